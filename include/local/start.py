"""``python -m include.local.start COMPONENT COMMAND…``: how supervisord starts a component."""

import sys

from include.local.processes import start_alone

if __name__ == "__main__":
    start_alone(sys.argv[1], sys.argv[2:])

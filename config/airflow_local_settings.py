"""Read by every Airflow process at its start; warms the scheduler, from which workers are forked.

``CICLO_WARM_WORKERS=0`` switches it off, to measure what it is worth.
"""

import sys

if "scheduler" in sys.argv:
    from include.local.warm import preload
    from include.settings import settings

    if settings().warm_workers:
        preload()

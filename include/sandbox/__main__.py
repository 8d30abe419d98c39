"""Start the sandbox: `python -m include.sandbox --port 8900`."""

import argparse
import os
import socket
import sys

import uvicorn

from include.errors import ConfigError
from include.sandbox.app import create_app
from include.sandbox.config import from_environment


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return 2 with one sentence on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m include.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--faults", action="store_true", help="let POST /faults make it misbehave (for tests)")
    options = parser.parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
        app = create_app(from_environment(os.environ, options.faults))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    # No access log: INEGI's token is part of the path, Banxico's can be part of the query.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    print(f"The sandbox listens on http://{options.host}:{options.port}.", flush=True)
    server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        way_out = "free the port or give another one with --port"
        raise ConfigError(f"The sandbox cannot listen on {host}:{port} ({error}): {way_out}.") from error


if __name__ == "__main__":
    sys.exit(main())

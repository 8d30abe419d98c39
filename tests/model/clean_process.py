"""The process that answers a version's golden rows, imported once and forked for each version.

A fork knows nothing of the test that trains. That a process which begins with nothing answers too is seen in
test_gate_rules.py and by the journeys.
"""

import json
import os
import socket
import sys


def serve(listener: socket.socket) -> None:
    """Answer each caller in a fork, one after the other."""
    import pandas  # noqa: F401  what an answer needs
    import skops.io  # noqa: F401

    from include.registry import golden
    from include.training import forecaster, probability  # noqa: F401

    while True:
        caller, _ = listener.accept()
        with caller, caller.makefile() as question:
            if not os.fork():
                caller.sendall(json.dumps(golden.main(*json.loads(question.readline()))).encode())
                os._exit(0)
            os.wait()


def ask(address: str, *arguments: str) -> str:
    """Return what a fork answers."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(address)
        link.sendall(f"{json.dumps(arguments)}\n".encode())
        return link.makefile().read()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(socket.socket(fileno=int(sys.argv[2])))
    print(ask(*sys.argv[2:]))

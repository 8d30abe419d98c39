"""Start the prediction service: ``python -m include.serving --port 8000 --workers 2``.

One process listens and forks: workers that answer, and a keeper that follows the registry and brings the log of
answers to the warehouse. It starts again what ends, and all end with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from include.errors import ConfigError
from include.settings import settings

log = logging.getLogger("ciclo.serving")


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return 2 with one sentence on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m include.serving", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--certificate", help="PEM file of the certificate and its chain: HTTPS instead of HTTP")
    parser.add_argument("--key", help="PEM file of its private key")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder = settings().var / "serving"
    try:
        listener = _listen(options.host, options.port)
        _prepare(folder)
        _check_certificate(options.certificate, options.key)
        _check_keys()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    from include.serving import doorkeeping, work

    scheme = "https" if options.certificate else "http"
    log.info("the prediction service listens on %s://%s:%d", scheme, options.host, options.port)
    parts: dict[str, Callable[[], None]] = {
        "keeper": lambda: work.keep(folder),
        "doorkeeper": lambda: doorkeeping.keep_door(folder, os.environ["CICLO_SERVING_DATABASE"]),
    }
    worker = lambda: work.answer(folder, listener, options.workers, options.certificate, options.key)  # noqa: E731
    return _supervise(parts | {f"worker-{n}": worker for n in range(options.workers)})


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "models").mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(folder / "metrics", ignore_errors=True)
    (folder / "metrics").mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")


def _check_certificate(certificate: str | None, key: str | None) -> None:
    import ssl

    if not certificate and not key:
        return
    if not certificate or not key:
        raise ConfigError("HTTPS needs both --certificate and --key: give the other one as well, or none of the two.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{certificate} and {key} cannot be used for HTTPS ({error}): correct one of them."
        ) from error


def _check_keys() -> None:
    from include.serving.work import key_ring

    if not key_ring().in_use():
        raise ConfigError(
            "There is no key to check tokens with: ciclo token rotate makes one, or set CICLO_SERVING_KEYS."
        )


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except (OSError, OverflowError) as error:
        way_out = "free the port or give another one with --port"
        raise ConfigError(f"The prediction service cannot listen on {host}:{port} ({error}): {way_out}.") from error


def _supervise(parts: dict[str, Callable[[], None]]) -> int:
    """Run each part in a process of its own, start it again where it ends, and end all when told to."""
    import gc

    gc.freeze()
    running: dict[int, str] = {}
    is_ending = False

    def end(*_: object) -> None:
        nonlocal is_ending
        is_ending = True
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for name in parts:
        running[_fork(parts[name])] = name
    while running:
        pid, status = os.wait()
        name = running.pop(pid)
        if not is_ending:
            log.error("%s (%d) ended with %d; it is started again", name, pid, os.waitstatus_to_exitcode(status))
            time.sleep(0.5)
            running[_fork(parts[name])] = name
    return 0


def _fork(part: Callable[[], None]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _end_with(parent)
    try:
        part()
    except BaseException:
        logging.getLogger("ciclo.serving").exception("it ends")
        os._exit(1)
    os._exit(0)


def _end_with(parent: int) -> None:
    """Let this process end when its parent does, however that ends."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

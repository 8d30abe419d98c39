"""Start the prediction service: ``python -m include.serving --port 8000 --workers 2``.

One process forks: workers that listen and answer, a keeper that follows the registry and brings the log of answers to
the warehouse, and a doorkeeper that looks for revoked tokens. It starts again what ends, and all end with it.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import shutil
import sys
import time
import uuid
from functools import partial
from pathlib import Path

from include.errors import ConfigError
from include.serving.supervising import supervise
from include.serving.troubles import STATE
from include.settings import settings

LOCK_SECONDS = 10.0
# Processes, not threads, share the cores; and threads of a library would not survive the fork.
ALONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
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
        service = _prepare(folder)
        _check_port((options.host, options.port))
        _check_certificate(options.certificate, options.key)
        _check_keys()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    from include.serving import doorkeeping, work

    scheme = "https" if options.certificate else "http"
    log.info("the prediction service listens on %s://%s:%d", scheme, options.host, options.port)
    address = options.host, options.port
    worker = partial(work.answer, folder, address, options.workers, options.certificate, options.key)
    doorkeeper = partial(doorkeeping.keep_door, folder, os.environ["CICLO_SERVING_DATABASE"])
    others = {"keeper": partial(work.keep, folder, service), "doorkeeper": doorkeeper}
    return supervise(others | {f"worker-{n}": worker for n in range(options.workers)})


def _prepare(folder: Path) -> str:
    """Take the folder, make what is missing in it, and return the name of the service that it belongs to."""
    os.environ |= ALONE
    from include.serving.versions import rest_challengers

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _lock(folder)
    for room in ("models", "spool"):
        (folder / room).mkdir(mode=0o700, exist_ok=True)
    rest_challengers(folder / "models")
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / "metrics", ignore_errors=True)
    (folder / "metrics").mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
    name = folder / "service"
    if not name.exists():
        name.write_text(uuid.uuid4().hex)
    return name.read_text()


def _lock(folder: Path) -> None:
    """Keep others off a folder until the last process of this service, which all inherit the lock, has ended."""
    file = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS  # one that was killed has workers that finish what they answer
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                way_out = "stop it, or give this one a folder of its own with CICLO_VAR"
                raise ConfigError(f"Another prediction service works in {folder}: {way_out}.") from None
            time.sleep(0.1)


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


def _check_port(address: tuple[str, int]) -> None:
    from include.serving.server import listen

    try:
        listen(address).close()
    except (OSError, OverflowError) as error:
        host, port = address
        way_out = "free the port or give another one with --port"
        raise ConfigError(f"The prediction service cannot listen on {host}:{port} ({error}): {way_out}.") from error


if __name__ == "__main__":
    sys.exit(main())

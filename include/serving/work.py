"""What the processes of the service do; what importing it imports is shared by all of them, for they are forked."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from threading import Thread

from include.registry.download import Downloads
from include.security.keys import KeyRing
from include.serving.alerting import tell
from include.serving.app import create_app
from include.serving.following import Follower
from include.serving.guard import Guard
from include.serving.link import Link
from include.serving.server import serve
from include.serving.shipping import Shipper
from include.serving.spool import END, REFUSED, Spool, sizes
from include.serving.troubles import Troubles, write_state
from include.serving.versions import clean
from include.serving.warehouse import Warehouse
from include.settings import settings

SHIPS_SECONDS, TELLS_SECONDS = 0.25, 1.0
# What a version needs to be loaded and to answer: imported once, before the processes are forked.
SHARED = (
    "pandas", "skops.io", "sklearn.ensemble", "sklearn.impute", "sklearn.linear_model", "sklearn.pipeline",
    "treelite.gtil", "treelite.sklearn", "include.monitoring.reference", "include.training.estimators",
    "include.training.probability",
)  # fmt: skip
for name in SHARED:
    importlib.import_module(name)
log = logging.getLogger("ciclo.serving")


def key_ring() -> KeyRing:
    """Return the keys of this installation, wherever they come from."""
    return KeyRing(settings().serving_keys, settings().var / "secrets" / "serving_keys")


def answer(folder: Path, address: tuple[str, int], workers: int, certificate: str | None, key: str | None) -> None:
    """Answer requests until told to stop; of each subject this worker's share of what it may ask."""
    # scikit-learn's forests, asked by several threads, reset each other's filters of warnings, and warn of that.
    warnings.showwarning = lambda *_, **__: None
    sys.setswitchinterval(0.001)  # while another version is loaded, requests wait the less for their turn
    options = settings()
    guard = Guard(key_ring(), folder, options.predictions_rate / workers)
    spool = Spool(folder / "spool", options.serving_spool_mb << 20, workers, options.serving_sync)
    app = create_app(folder, guard, spool, Warehouse(os.environ["CICLO_SERVING_DATABASE"]))
    gc.collect()
    gc.freeze()  # what stays is not looked through for garbage while requests wait
    serve(app, address, certificate, key)


def keep(folder: Path, service: str) -> None:
    """Follow the registry and bring the log to the warehouse, until told to stop; tell the workers how that goes."""
    clean(folder / "models")
    database, troubles = os.environ["CICLO_SERVING_DATABASE"], Troubles()
    follower = Follower(folder / "models", Downloads(os.environ["MLFLOW_TRACKING_URI"]), database, troubles)
    shipper = Shipper(folder / "spool", service, partial(troubles.beat, "warehouse"))
    # Two threads: a slow registry does not hold up the log, nor a long log the next version.
    threads = [Thread(target=follower.run, daemon=True)]
    threads += [Thread(target=_ship, args=(shipper, database, troubles), daemon=True)]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        try:
            _tell_workers(folder, shipper, troubles)
            troubles.clear("state")
        except OSError as error:
            troubles.note("state", f"it cannot be written: {error}")
        time.sleep(TELLS_SECONDS)
    raise RuntimeError("a thread of the keeper has ended; its reason stands above")


def _ship(shipper: Shipper, database: str, troubles: Troubles) -> None:
    link = Link(database, "warehouse", troubles)
    while True:
        try:
            link.use(shipper.ship)
            troubles.clear("spool")
        except OSError as error:
            troubles.note("spool", f"it cannot be read or written: {error}")
        for pipeline, reason in shipper.refused.items():
            message = f"the warehouse refused answers of the prediction service, they are set aside: {reason}"
            with troubles.awaits("warehouse"):
                tell(database, pipeline, message, "serving refused")
        shipper.refused.clear()
        time.sleep(SHIPS_SECONDS)


def _tell_workers(folder: Path, shipper: Shipper, troubles: Troubles) -> None:
    refused = sum(path.read_bytes().count(END) for path, _ in sizes(folder / REFUSED))
    if refused:
        troubles.note("refused", f"the warehouse refused {refused:,} answers, see the folder {REFUSED}")
    else:
        troubles.clear("refused")
    state = {"troubles": troubles.standing(), "waiting_bytes": shipper.waiting_bytes(), "refused_lines": refused}
    write_state(folder, state)

"""Warm workers: tasks inherit the heavy imports instead of making them again.

Importing Great Expectations, MLflow and scikit-learn costs seconds in a fresh process. The
scheduler imports them once and forks its workers from there, so that a task starts at once.
A thread must not run while a process forks (a lock it holds stays locked in the child for
ever), hence the guard.
"""

import gc
import importlib
import threading
from collections.abc import Iterable

from include.errors import ConfigError

WARM = (
    "great_expectations",
    "mlflow",
    "mlflow.sklearn",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "pandas",
    "pyarrow",
    "sqlalchemy",
    "psycopg2",
    "skops.io",
)


def preload(modules: Iterable[str] = WARM) -> None:
    """Import `modules`, check that nothing runs beside the main thread, and set their objects aside.

    Raises
    ------
    ConfigError
        A thread runs; the message names it and the module whose import started it.
    ImportError
        A module is missing: an installation that differs from the lock must not start.
    """
    _refuse_threads("Airflow")
    for module in modules:
        importlib.import_module(module)
        _refuse_threads(module)
    gc.collect()
    gc.freeze()  # the collector never writes to these pages again, so children keep sharing them


def _refuse_threads(module: str) -> None:
    if threading.active_count() == 1:
        return
    names = ", ".join(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
    raise ConfigError(
        f"Importing {module} started the thread(s) {names}, which the fork of a worker would break; switch them off, "
        "take the module out of WARM in include/local/warm.py, or set CICLO_WARM_WORKERS=0 in .env."
    )

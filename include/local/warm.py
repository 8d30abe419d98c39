"""Warm workers: tasks, and those who read DAG files, inherit imports instead of making them again.

Importing Great Expectations, MLflow and scikit-learn costs seconds in a fresh process, and our own packages a third of
one. The scheduler imports them once and forks its workers from there, so that a task starts at once. The DAG processor
reads each DAG file three times a minute, each in a fork of its own: with what they all import it takes a quarter of
the time. `ciclo up` starts both anew when the code has changed; with ``CICLO_WARM_WORKERS=0`` every task reads the code
as it is.

A thread must not run while a process forks (a lock it holds stays locked in the child for ever), hence the guard.
"""

import gc
import importlib
import threading
from collections.abc import Iterable
from pathlib import Path

from include.errors import ConfigError

# What tasks were seen to import, beside our own packages; a module brings the packages it is in.
LIBRARIES = (
    *("great_expectations.render.renderer.page_renderer", "great_expectations.render.view", "datasketches"),
    *("ftfy.badness", "stdnum.iban", "stdnum.mx.curp", "stdnum.mx.rfc"),
    *("mlflow.sklearn", "mlflow.tracking.request_header.registry", "mlflow.types.responses", "git"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "pandas"),
    *("pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "sqlalchemy", "psycopg2.sql"),
    *("fsspec.implementations.chained", "skops.io", "jinja2.ext"),
    *("openlineage.client.transport.file", "openlineage.client.facet_v2"),
    *("airflow.sdk.definitions.asset.metadata", "airflow.sdk.definitions.decorators"),
    *("airflow.providers.common.compat.assets", "airflow.providers.standard.decorators.python"),
    *("airflow.providers.standard.operators.trigger_dagrun", "croniter"),
)
# What DAG files import, and what Airflow does to store them.
DAG_FILES = (
    *("airflow.serialization.serialized_objects", "airflow.providers.standard.operators.empty"),
    *("airflow.providers.standard.operators.trigger_dagrun", "airflow.providers.standard.decorators.python"),
    *("airflow.sdk.definitions.decorators", "airflow.sdk.definitions.connection", "airflow.sdk.bases.sensor"),
    *("include.spec.load", "include.steps.run", "include.steps.wiring", "include.steps.connections"),
    *("include.events.notify", "include.local.validation"),
)
ELSEWHERE = (
    "commands",
    "events",
    "local",
    "pipelines",
    "reporting",
    "sandbox",
    "telemetry",
)  # packages that no task uses


def warm_modules() -> tuple[str, ...]:
    """Return the names of all modules that tasks inherit, the libraries first."""
    root = Path(__file__).parents[2]
    files = (file.relative_to(root).with_suffix("") for file in sorted((root / "include").rglob("*.py")))
    own = (".".join(file.parts).removesuffix(".__init__") for file in files if file.parts[1] not in ELSEWHERE)
    return (*LIBRARIES, *(name for name in own if ".migrations" not in name and not name.endswith(".__main__")))


def preload(modules: Iterable[str]) -> None:
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
        "take the module out of include/local/warm.py, or set CICLO_WARM_WORKERS=0 in .env."
    )

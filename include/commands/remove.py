"""``ciclo remove``: everything of one pipeline, but its decisions and, unless it is asked for, the lake."""

from __future__ import annotations

import getpass
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigError
from include.spec.dag_ids import VERBS

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.local.airflow_api import AirflowApi


class Removal:
    """One pipeline's removal; each part may be done again, so one that was interrupted goes on where it stopped.

    Raises
    ------
    ConfigError
        If nothing has this name, or one of its DAGs is running.
    SourceUnavailable
        If Airflow or MLflow does not answer; nothing is gone yet.
    """

    def __init__(self, pipeline: str, with_lake: bool) -> None:
        from include.commands.system import warehouse
        from include.local import environment, injections
        from include.local.airflow_api import AirflowApi
        from include.registry import removal as registry
        from include.settings import settings
        from include.spec.fields import NAME
        from include.warehouse import removal

        if not re.fullmatch(NAME, pipeline):
            raise ConfigError(f"{pipeline!r} is not the name of a pipeline: ciclo status lists them")
        self.pipeline, self.with_lake = pipeline, with_lake
        self.folder: Path = settings().pipelines / pipeline
        self.engine: Engine = warehouse()
        with self.engine.connect() as connection:
            self.tables = removal.own_tables(connection, pipeline)
            self.rows = removal.shared_rows(connection, pipeline)
            self.payloads = removal.own_payloads(connection, pipeline)
        self.injections = [each for each in injections.standing_now() if each.pipeline == pipeline]
        self.mlflow_url = environment.mlflow_url()
        self.versions = registry.versions(self.mlflow_url, pipeline)
        if not (self.folder.is_dir() or self.tables or self.rows or self.versions or self.injections):
            raise ConfigError(f"there is no pipeline {pipeline}: no folder, no table, no row, no model has this name")
        self.api: AirflowApi = AirflowApi.of_runtime()
        self._refuse_while_it_runs()

    def plan(self) -> Iterator[str]:
        """Yield what goes and what stays, a line each."""
        if self.folder.is_dir():
            yield f"{self.folder} moves to {self._attic().parent}"
        yield from (f"table {name}: {count:,} rows" for name, count in self.tables.items())
        yield from (f"rows of {name}: {count:,}" for name, count in self.rows.items())
        if self.versions:
            yield f"model {self.pipeline} in MLflow: {len(self.versions)} versions"
        yield from (f"injection {each}" for each in self.injections)
        yield f"the runs of {', '.join(f'{verb}_{self.pipeline}' for verb in VERBS)} in Airflow"
        lake = f"{len(self.payloads)} payloads, and its manifests, snapshots and batches"
        yield f"in the lake: {lake}" if self.with_lake else f"STAYS in the lake, unless --lake: {lake}"
        yield "STAYS: its decisions, in ml.decision"

    def carry_out(self) -> None:
        """Remove it all, the definition first, so that nothing makes it anew."""
        from include.lake.store import Lake
        from include.local import injections
        from include.promotion.ledger import record_removal
        from include.registry import removal as registry
        from include.settings import settings
        from include.warehouse import removal
        from include.warehouse.batch import RunRef

        if self.folder.is_dir():
            self._attic().parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.folder, self._attic())
        for verb in VERBS:
            self.api.call("DELETE", f"dags/{verb}_{self.pipeline}", accept=(404,))
        registry.remove(self.mlflow_url, self.pipeline)
        injections.take_back(self.pipeline)
        if self.with_lake:  # before the rows that name its payloads
            Lake(settings().lake).remove(self.pipeline, self.payloads)
        with self.engine.begin() as connection:
            removal.remove(connection, self.pipeline)
            record_removal(connection, self.pipeline, getpass.getuser(), RunRef("ciclo", f"remove__{time.time_ns()}"))
        for pages in ("quality", "monitoring", "training"):
            shutil.rmtree(settings().var / "docs" / pages / self.pipeline, ignore_errors=True)
        (settings().var / "docs" / "eda" / f"{self.pipeline}.html").unlink(missing_ok=True)

    def _attic(self) -> Path:
        from include.settings import settings

        return settings().var / "removed" / f"{self.pipeline}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    def _refuse_while_it_runs(self) -> None:
        for verb in VERBS:
            where = f"dags/{verb}_{self.pipeline}/dagRuns"
            answer = self.api.call("GET", where, accept=(404,), params={"state": ["running", "queued"]})
            if answer.ok and (runs := answer.json()["dag_runs"]):
                what = f"{verb}_{self.pipeline} has a run that has not ended, {runs[0]['dag_run_id']}"
                raise ConfigError(f"{what}: wait for it, or mark it as failed in the web UI, then run the same again")

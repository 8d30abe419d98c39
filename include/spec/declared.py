"""Finds connections that a pipeline names and nobody declared, with the pool that bounds them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from include.spec.model import Pipeline

FILE = Path(__file__).resolve().parents[2] / "airflow_settings.yaml"


def undeclared(pipelines: Iterable[Pipeline], file: Path = FILE) -> list[str]:
    """Return a line for each source whose connection or pool is not declared in ``airflow_settings.yaml``.

    A task whose pool does not exist is never started and never fails: it must be told before.
    """
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))["airflow"]
    connections = {entry["conn_id"] for entry in declared.get("connections") or []}
    pools = {entry["pool_name"] for entry in declared.get("pools") or []}
    faults = []
    for pipeline in pipelines:
        for name, source in pipeline.sources.items():
            kinds = {"a connection": connections, "a pool": pools}
            if missing := [what for what, names in kinds.items() if source.connection not in names]:
                faults.append(
                    f"{pipeline.where('sources', name, 'connection')}: sources.{name}.connection: {source.connection!r}"
                    f" is not declared as {' and '.join(missing)}; declare it in {file.name}, or write one of"
                    f" {', '.join(sorted(connections & pools))}"
                )
    return faults

"""Everything that is wrong with what people write: pipelines, connections, pools, queues. Nothing is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from include.errors import ConfigError
from include.local import airflow_settings
from include.local.airflow_settings import Declared
from include.spec.faults import dotted
from include.spec.load import load_each
from include.spec.model import Pipeline


def faults_of_all(environ: Mapping[str, str] | None, file: Path = airflow_settings.FILE) -> dict[str, list[str]]:
    """Return all faults, each a line with file, line, field and fix; empty where there is none.

    Parameters
    ----------
    environ : mapping, optional
        The variables that `file` may name; without it, whether they are set is not asked.

    Returns
    -------
    dict
        By the pipeline they stop; those of ``airflow_settings.yaml``, which stops all of them, by its name.
    """
    pipelines, broken = load_each()
    faults = {name: text.splitlines() for name, text in broken.items()}
    try:
        declared = airflow_settings.read(file, environ)
    except ConfigError as error:
        faults[file.name] = str(error).splitlines()
    else:
        for name, pipeline in pipelines.items():
            if told := [*undeclared(pipeline, declared), *_unheard(pipeline)]:
                faults[name] = told
    return dict(sorted(faults.items()))


def undeclared(pipeline: Pipeline, declared: Declared) -> Iterator[str]:
    """Yield a line for each connection or pool that a pipeline needs and nobody declared."""
    wanted: dict[tuple[str | int, ...], str] = {
        ("sources", name, "connection"): source.connection for name, source in pipeline.sources.items()
    }
    ids = sorted(declared["connections"].keys() & declared["pools"].keys())
    if pipeline.events and (queue := pipeline.events.queue):
        wanted["events", "queue", "connection"] = queue.connection
    wanted |= {("alerts", "to", i, "connection"): one.connection for i, one in enumerate(pipeline.alerts.to)}
    for path, connection in wanted.items():
        kinds = (
            {"connections": "a connection", "pools": "a pool"}
            if path[0] == "sources"
            else {"connections": "a connection"}
        )
        if missing := [what for section, what in kinds.items() if connection not in declared[section]]:
            yield (
                f"{pipeline.where(*path)}: {dotted(path)}: {connection!r} is not declared as {' and '.join(missing)};"
                f" declare it in {airflow_settings.FILE.name}, or write one of {', '.join(ids)}"
            )


def _unheard(pipeline: Pipeline) -> list[str]:
    if not (pipeline.events and pipeline.events.queue):
        return []
    from include.events.source_asset import unheard  # imports Airflow

    return unheard([pipeline])

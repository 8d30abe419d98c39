"""Tell a catalogue, or a file, what a run has made from what."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.lineage.columns import Made
from include.settings import settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from include.warehouse.batch import RunRef

NAMESPACE = "ciclo"
PRODUCER = "https://openlineage.io/ciclo"
ELSEWHERE = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")  # the standard's own names for another place than the file
MOST_BYTES = 50 << 20  # of the file; what was before it is kept once
FILE = ("log", "openlineage.ndjson")  # below var
log = logging.getLogger(__name__)


def tell(run: RunRef, task: str, made: Sequence[Made]) -> None:
    """Tell what a task has made: to the catalogue that the environment names, or to the file ``openlineage.ndjson``.

    It stops no task: what a catalogue does not take goes to the file, and what that does not take to the task's log.
    """
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    event = event_of(run, task, made, datetime.now(UTC))
    if any(os.environ.get(name) for name in ELSEWHERE):
        try:
            OpenLineageClient().emit(event)
            return
        except Exception as error:  # whatever transport the environment has named
            log.warning("lineage was not told (%s: %s): it is kept in the file", type(error).__name__, error)
    file = settings().var.joinpath(*FILE)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > MOST_BYTES:
            file.replace(file.with_name(f"{file.name}.1"))
        OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(file), append=True))).emit(event)
    except OSError as error:
        log.warning("lineage cannot be written to %s (%s): %s", file, error.strerror, event)


def event_of(run: RunRef, task: str, made: Sequence[Made], at: datetime) -> RunEvent:
    """Return the event that a run's task is complete; the same run and task have the same id."""
    from openlineage.client import event_v2 as event
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage
    from openlineage.client.facet_v2 import schema_dataset as schema

    def output(one: Made) -> event.OutputDataset:
        fields = {
            name: lineage.Fields([lineage.InputField(NAMESPACE, dataset, column) for dataset, column in made_from])
            for name, made_from in one.columns.items()
        }
        facets = {
            "schema": schema.SchemaDatasetFacet([schema.SchemaDatasetFacetFields(name) for name in one.columns]),
            "columnLineage": lineage.ColumnLineageDatasetFacet(fields),
        }
        return event.OutputDataset(NAMESPACE, one.dataset, facets=facets)

    read = sorted({dataset for one in made for columns in one.columns.values() for dataset, _ in columns})
    return event.RunEvent(
        eventTime=at.isoformat(),
        eventType=event.RunState.COMPLETE,
        producer=PRODUCER,
        run=event.Run(str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run.dag_id}/{run.run_id}/{task}"))),
        job=event.Job(NAMESPACE, f"{run.dag_id}.{task}"),
        inputs=[event.InputDataset(NAMESPACE, dataset) for dataset in read],
        outputs=[output(one) for one in made],
    )

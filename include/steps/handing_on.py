"""How a checked batch goes from task to task: its rows and verdicts in the lake, XCom carries ids, URIs and counts."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import PayloadLost

if TYPE_CHECKING:
    from include.steps.run import Run
    from include.warehouse.batch import Batch


def kept_batch(run: Run, batch: Batch) -> dict[str, Any]:
    """Return a batch as JSON, without its verdicts, which go to the lake: XCom carries ids, URIs and counts."""
    import pandas as pd

    place = batch.accepted_uri.rpartition("/")[0].partition("batches/")[2]
    frame = pd.DataFrame([result.to_dict() for result in batch.results])
    item = {key: value for key, value in asdict(batch).items() if key != "results"}
    item["spans"] = {name: [bound.isoformat() for bound in span] for name, span in batch.spans.items()}
    item["covers"] = [bound.isoformat() for bound in batch.covers or ()]
    item["newest_at"] = {name: at.isoformat() for name, at in batch.newest_at.items()}
    item["fetched_at"] = batch.fetched_at.isoformat() if batch.fetched_at else None
    return {
        **item,
        "payload_ids": list(batch.payload_ids),
        "results_uri": run.lake.put_frame(f"batches/{place}/results", frame),
    }


def batch_of(run: Run, kept: dict[str, Any]) -> Batch:
    """Return a batch from the form it has in XCom; `PayloadLost` where another version of Ciclo handed it on."""
    from include.quality.contract import Result
    from include.warehouse.batch import Batch

    if odd := {field.name for field in fields(Batch)} ^ {"results"} ^ {"results_uri"} ^ set(kept):
        raise PayloadLost(
            f"{run.pipeline.pipeline} {kept.get('source')}: its task check ran under another version of Ciclo, which"
            f" knew {', '.join(sorted(odd))} otherwise: clear the task check"
        )
    try:
        records = run.lake.get_frame(kept["results_uri"]).to_dict("records")
    except PayloadLost:
        raise PayloadLost(f"{kept['results_uri']} is not in the lake any more: clear the task that wrote it") from None
    results = [Result(**{str(name): value for name, value in record.items()}) for record in records]
    spans = {name: tuple(map(datetime.fromisoformat, span)) for name, span in kept["spans"].items()}
    covers = tuple(map(datetime.fromisoformat, kept["covers"])) or None
    fetched_at = datetime.fromisoformat(kept["fetched_at"]) if kept["fetched_at"] else None
    facts = {key: value for key, value in kept.items() if key != "results_uri"}
    facts |= {"results": results, "spans": spans, "payload_ids": tuple(kept["payload_ids"])}
    newest_at = {name: datetime.fromisoformat(at) for name, at in kept["newest_at"].items()}
    return Batch(**facts | {"covers": covers, "fetched_at": fetched_at, "newest_at": newest_at})

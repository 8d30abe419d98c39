"""From a prediction to the bytes of its payloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from include.errors import CicloError
from include.page.data import payload_bytes, predictions
from include.page.data.reading import reading
from include.page.render import page
from include.page.views import walk

if TYPE_CHECKING:
    from include.page.data.reading import Row
    from include.page.place import Place

ENDINGS = {"json": "json", "csv": "csv", "zip": "zip", "gzip": "gz", "plain": "txt"}


class File(NamedTuple):
    """A file to download."""

    name: str
    size: int
    chunks: Iterator[bytes]


def prediction(place: Place, number: int) -> str | None:
    """Return the page that walks from a prediction back to the payloads; None where there is none of this number."""
    with reading(place.engine) as connection:
        made = predictions.prediction(connection, number)
        if made is None:
            return None
        version, unversioned = place.version(made["pipeline"], made["model_version"])
        spec, unspecified = place.spec(made["pipeline"])
        features, is_own = predictions.feature_row(
            connection, made, version.tags.get("feature_set") if version else None
        )
        known_at = features["available_at"] if features else made["predicted_at"]
        names_a_row = made["valid_at"] is not None
        core = predictions.core_rows(connection, spec, made, known_at) if spec and names_a_row else {}
        numbers = {row["payload_id"] for read in core.values() for row in read.rows}
        came = predictions.truth(connection, made)
        told: dict[str, Any] = {
            "payloads": list(predictions.payloads(connection, sorted(numbers)).values()),
            "decision": predictions.made_live_by(connection, made),
            "problems": [problem for problem in (unversioned, unspecified) if problem],
        }
    told |= {"made": made, "sentence": walk.sentence(made), "answer": walk.answer(made)}
    told |= {"came": came, "hit": walk.is_hit(made, came), "features": features, "is_own": is_own, "core": core}
    return page("prediction", links=place.links, here="", **told)


def predictions_named(place: Place, name: str) -> dict[int, str]:
    """Return the predictions of a number or of a request, each with what it is in words."""
    with reading(place.engine) as connection:
        if name.isascii() and name.isdecimal() and len(name) < 19 and predictions.prediction(connection, int(name)):
            return {int(name): f"prediction {name}"}
        made = predictions.of_request(connection, name)
    return {
        row["prediction_id"]: f"row {row['row_number']}, {row['kind']}, version {row['model_version']}" for row in made
    }


def payload(place: Place, number: int) -> str | None:
    """Return the page of a payload; None where there is none of this number."""
    kept, loads = _payload(place, number)
    if kept is None:
        return None
    excerpt, problem = None, ""
    try:
        excerpt = payload_bytes.excerpt(place.lake, kept["uri"], kept["size_bytes"], kept["sha256"])
    except CicloError as error:
        problem = str(error)
    told = {"payload": kept, "loads": loads, "excerpt": excerpt, "problem": problem}
    return page("payload", links=place.links, here="", **told)


def payload_file(place: Place, number: int) -> File | None:
    """Return a payload's bytes; None where there is none of this number.

    Raises
    ------
    ContractBroken
        It is not in the lake any more.
    """
    kept, _ = _payload(place, number)
    if kept is None:
        return None
    kind = str(kept["media_type"]).partition(";")[0].rpartition("/")[2]
    name = f"{kept['pipeline']}_{kept['source']}_{number}.{ENDINGS.get(kind, 'bin')}"
    return File(name, kept["size_bytes"], payload_bytes.chunks(place.lake, kept["uri"]))


def _payload(place: Place, number: int) -> tuple[Row | None, list[Row]]:
    with reading(place.engine) as connection:
        kept = predictions.payloads(connection, [number]).get(number)
        return kept, predictions.loads_of(connection, kept) if kept else []

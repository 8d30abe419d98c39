"""Which answers feedback is about: in the warehouse, on their way there, or given by nobody."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

from include.serving.inputs import MOST_FAULTS, BadRequest
from include.serving.spool import waiting

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

GIVEN = re.compile("[0-9a-f]{26}")  # how the service names requests
ANSWERED = """
select p.request_id, p.row_number, p.pipeline from ml.prediction p
where p.request_id = any(%s)
"""
Place = tuple[str, int]  # a request's id, and the number of the row in it


class NotHere(BadRequest):
    """Answers that nobody gave, or another instance, which has not brought them to the warehouse yet.

    Attributes
    ----------
    requests : list of str
        Their ids.
    retry : bytes
        Seconds after which the same may be sent again.
    """

    retry = b"1"

    def __init__(self, title: str, faults: list[str], requests: list[str]) -> None:
        super().__init__(404, title, faults)
        self.requests = requests


def locate(connection: PgConnection, spool: Path, wanted: set[Place]) -> tuple[dict[Place, str], list[str]]:
    """Return the pipeline of each answer, and the requests whose answers still wait in the spool.

    Raises
    ------
    BadRequest
        404 naming each answer that nobody gave.
    NotHere
        404, too; each may be on its way here from another instance.
    """
    answered = _answered(connection, {request_id for request_id, _ in wanted})
    on_their_way = _in_spool(spool, wanted - answered.keys()) if wanted - answered.keys() else {}
    if missing := wanted - answered.keys() - on_their_way.keys():
        # They may have arrived while the spool was read.
        answered |= _answered(connection, {request_id for request_id, _ in missing})
        if missing := missing - answered.keys():
            raise _unknown(missing, {request_id for request_id, _ in answered | on_their_way})
    return {place: (answered | on_their_way)[place] for place in wanted}, sorted({each for each, _ in on_their_way})


def have_come(connection: PgConnection, requests: list[str]) -> bool:
    """Tell whether the warehouse has answers to all these requests."""
    return {request_id for request_id, _ in _answered(connection, set(requests))} >= set(requests)


def _unknown(missing: set[Place], known: set[str]) -> BadRequest:
    """Return the refusal of answers that were not found, of requests some of which are known by other answers."""
    faults = [f"{request_id}, row {number}: there is no such answer" for request_id, number in sorted(missing)]
    requests = sorted({request_id for request_id, _ in missing})
    if all(GIVEN.fullmatch(request_id) and request_id not in known for request_id in requests):
        return NotHere(
            "feedback to answers that nobody gave, or that are not known here yet", faults[:MOST_FAULTS], requests
        )
    return BadRequest(404, "feedback to answers that nobody gave", faults[:MOST_FAULTS])


def _answered(connection: PgConnection, requests: set[str]) -> dict[Place, str]:
    with connection.cursor() as cursor:
        cursor.execute(ANSWERED, (sorted(requests),))
        return {(row[0], row[1]): row[2] for row in cursor.fetchall()}


def _in_spool(folder: Path, wanted: set[Place]) -> dict[Place, str]:
    """Return the pipeline of each answer whose line waits for the warehouse."""
    pipelines: dict[Place, str] = {}
    for segment in waiting(folder):
        try:
            with segment.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                for request_id, number in wanted - pipelines.keys():
                    start = f"{request_id}\t{number}\t".encode()
                    at = 0 if lines[: len(start)] == start else lines.find(b"\n" + start) + 1
                    if at or lines[: len(start)] == start:
                        pipelines[request_id, number] = lines[at : lines.find(b"\n", at)].split(b"\t")[2].decode()
        except (FileNotFoundError, ValueError):  # it was brought to the warehouse meanwhile, or is empty yet
            continue
    return pipelines

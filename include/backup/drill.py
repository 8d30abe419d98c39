"""The rehearsal: restore the newest backup into a server of its own, and compare what is there with what was noted."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg2

from include.backup import checksums, files, journal
from include.backup.plan import Backup
from include.backup.records import record_drill
from include.backup.restore import check_room, files_at, pick, put_together
from include.errors import CicloError, ConfigError
from include.local import archive, environment, postgres
from include.settings import settings

SHOWN = 5  # faults
ARTIFACTS = "mlflow-artifacts:/"  # as MLflow calls what lies in var/mlflow
CHAMPIONS = """
select v.name, v.version, tag.value as sha256, l.artifact_location, r.artifact_uri
from registered_model_aliases a
join model_versions v on v.name = a.name and v.version = a.version
left join model_version_tags tag on (tag.name, tag.version, tag.key) = (v.name, v.version, 'sha256')
left join model_version_tags model on (model.name, model.version, model.key) = (v.name, v.version, 'model_id')
left join logged_models l on l.model_id = model.value
left join runs r on r.run_uuid = v.run_id
where a.alias = 'champion' order by 1
"""
ERASED = "ops.erased"  # the payloads that were erased for a person: docs/runbooks/erasure.md
PAYLOADS = "select distinct uri from raw.payload order by 1"
SNAPSHOTS = """
select uri from ml.snapshot s where not exists
    (select from ml.pruned p where (p.pipeline, p.kind, p.name) = (s.pipeline, 'snapshot', s.snapshot_id)) order by 1
"""
IN_LAKE = re.compile(r"/((?:payloads|snapshots)/[^/]+/[^/]+)$")


class Outcome(NamedTuple):
    """How a rehearsal went.

    Attributes
    ----------
    status : str
        passed, failed, or unknown: nothing is wrong, but something could not be judged.
    lines : list of str
        What was seen, in words.
    backup : str or None
        Which backup it was; None where none could be chosen.
    """

    status: str
    lines: list[str]
    backup: str | None
    seconds: float

    @property
    def reason(self) -> str:
        """All lines in one."""
        return "; ".join(self.lines)


def rehearse(source: Path) -> Outcome:
    """Restore the newest backup into a temporary folder and compare it; nothing else moves.

    Checked are the base backup against its manifest, its WAL, each table's rows and checksum against what was noted,
    the chains of decisions, every file against its hash, and the answers of each champion.
    """
    began, name = time.monotonic(), None
    try:
        backup, _ = pick(source, None)
        name = backup.name
        with tempfile.TemporaryDirectory(prefix="ciclo-drill-") as folder:
            Path(folder).chmod(0o711)  # the server may run as a user of its own
            check_room(source, backup, Path(folder))
            faults, unknown, told = _compare(source, backup, Path(folder) / "postgres")
    except (CicloError, OSError) as error:
        faults, unknown, told = [str(error)], [], []
    status = "failed" if faults else "unknown" if unknown else "passed"
    more = [f"and {len(faults) - SHOWN} more faults"] if len(faults) > SHOWN else []
    return Outcome(status, [*faults[:SHOWN], *more, *unknown, *told], name, time.monotonic() - began)


def tell(outcome: Outcome, source: Path) -> list[str]:
    """Keep the outcome in the warehouse, where it is of this installation's folder; return why not, in words."""
    remembered = archive.destination()
    if remembered is None or remembered.folder.resolve() != source.resolve():
        return [f"not kept as a rehearsal of this installation: its backups do not go to {source}"]
    if not settings().postgres_url and not (settings().var / "postgres").exists():
        return ["there is no warehouse here to keep this in"]
    place = (outcome.backup, outcome.status, outcome.seconds, outcome.reason)
    try:
        record_drill(environment.database_url("warehouse"), *place)
    except psycopg2.Error as error:
        return [f"the warehouse has no record of this ({str(error).strip().splitlines()[0]})"]
    return []


def _compare(source: Path, backup: Backup, data: Path) -> tuple[list[str], list[str], list[str]]:
    """Return what is wrong, what could not be judged, and what was seen."""
    unknown = [f"tables cannot be compared: {backup.unknown}"] if backup.unknown else []
    if not backup.journal:
        unknown.append("lines that the journal of files has lost would not show: the next backup notes how many it has")
    kept, then = files_at(source, None), _files_with(source, backup)
    with put_together(source, backup, data, {"recovery_target_name": backup.point}) as url:
        restored = checksums.of_server(url)
        faults = [] if backup.unknown else checksums.differences(backup.checksums, restored)
        ledgers = list(_ledgers(url)) if "warehouse" in restored else []
        referred = list(_referred(url)) if "warehouse" in restored and backup.has_lake else []
        champions = list(_champions(url)) if "mlflow" in restored else []
    faults += [fault for _, fault in ledgers if fault] + files.faults(source, kept)
    faults += files.faults(source, dict(then.items() - kept.items()))
    faults += missing(referred, then)
    judged = [_answers(source, then, *champion) for champion in champions]
    faults += [line for status, line in judged if status == "failed"]
    unknown += [line for status, line in judged if status == "unknown"]
    tables = sum(len(each) for each in restored.values())
    rows = sum(int(count) for each in restored.values() for count, _ in each.values())
    told = [
        f"{len(restored)} databases, {tables} tables, {rows} rows",
        f"{sum(count for count, _ in ledgers)} decisions of {len(ledgers)} pipelines are chained",
        f"{len(kept)} files have their hashes, {len(referred)} payloads and snapshots of the warehouse among them"
        if backup.has_lake
        else f"{len(kept)} files have their hashes; the lake lies in an object store, which keeps it",
    ]
    return faults, unknown, told + [line for status, line in judged if status == "passed"]


def _files_with(source: Path, backup: Backup) -> dict[str, journal.Kept]:
    """Return the files that were there at the moment of a backup, also those that went while it was being made."""
    lines = journal.until_note(source, backup.journal, backup.name) if backup.journal else journal.read(source)
    ended = int(backup.ended_at.timestamp() * 1e9)
    return journal.state(line for line in lines if line.get("gone", 0) <= ended)


def missing(uris: Iterable[str], kept: Mapping[str, journal.Kept]) -> list[str]:
    """Return in words which payloads and snapshots of the lake are not among the files of a backup. Pure.

    Examples
    --------
    >>> missing(["file:///var/lake/payloads/ab/cd.zst"], {})
    ['lake/payloads/ab/cd.zst is in the warehouse and not in the backup']
    """
    names = [f"lake/{match[1] if (match := IN_LAKE.search(uri)) else uri}" for uri in uris]
    return [f"{name} is in the warehouse and not in the backup" for name in names if name not in kept]


def _referred(url: str) -> Iterator[str]:
    """Yield the URIs of the payloads and snapshots that are not erased or pruned."""
    with closing(postgres.connect(postgres.with_database(url, "warehouse"))) as link, link.cursor() as cursor:

        def uris(table: str, query: str) -> list[str]:
            cursor.execute("select to_regclass(%s)", [table])
            if (cursor.fetchone() or [None])[0] is None:
                return []
            cursor.execute(query)
            return [uri for (uri,) in cursor.fetchall()]

        erased = set(uris(ERASED, f"select uri from {ERASED}"))
        yield from (uri for uri in uris("raw.payload", PAYLOADS) if uri not in erased)
        yield from uris("ml.pruned", SNAPSHOTS)


def _ledgers(url: str) -> Iterator[tuple[int, str | None]]:
    """Yield how many decisions of a pipeline are intact, and what is wrong with the next, if any."""
    from include.promotion import chain
    from include.warehouse.engine import connect_engine

    engine = connect_engine(postgres.with_database(url, "warehouse"))
    with engine.connect() as connection:
        if connection.exec_driver_sql("select to_regclass('ml.ledger_head')").scalar() is None:
            return
        for pipeline in chain.pipelines(connection):
            count, fault = chain.verify(connection, pipeline)
            yield count, f"{pipeline}: {fault}" if fault else None
    engine.dispose()


def _champions(url: str) -> Iterator[tuple[str, int, str | None, str | None, str | None]]:
    with closing(postgres.connect(postgres.with_database(url, "mlflow"))) as link, link.cursor() as cursor:
        cursor.execute("select to_regclass('logged_models')")
        if (cursor.fetchone() or [None])[0] is not None:
            cursor.execute(CHAMPIONS)
            yield from cursor.fetchall()


def _answers(
    source: Path,
    kept: dict[str, journal.Kept],
    pipeline: str,
    version: int,
    sha256: str | None,
    model: str | None,
    run: str | None,
) -> tuple[str, str]:
    """Load a champion from the backup and compare its answers with those that were kept with it."""
    from include.registry import golden

    named, way_out = f"{pipeline} version {version}", f"the next version has it, airflow dags trigger train_{pipeline}"
    if sha256 is None or model is None or run is None:
        what = "its hash" if sha256 is None else "its model" if model is None else "its run"
        return "unknown", f"{named}: MLflow does not know {what}, so that its answers cannot be compared: {way_out}"
    with tempfile.TemporaryDirectory() as folder:
        for place, name in ((model, golden.MODEL), (run, golden.FILE)):
            path = f"mlflow/{place.removeprefix(ARTIFACTS).strip('/')}/{name}"
            if path not in kept and name == golden.MODEL:
                return "failed", f"{named}: {path} is not in the backup"
            if path not in kept:
                return "unknown", f"{named}: {path} is not in the backup, to compare its answers with: {way_out}"
            try:
                (Path(folder) / name).write_bytes(files.content(source, path, kept[path]))
            except ConfigError as error:
                return "failed", str(error)
        outcome = golden.main(folder, sha256)
    if "failure" in outcome:
        return "failed", f"{named}: {outcome['failure']}"
    if outcome["differing"]:
        return "failed", f"{named} answers {outcome['differing']} of {outcome['rows']} rows otherwise"
    return "passed", f"{named} answers {outcome['rows']} rows as when it was registered"

"""The tasks of ``quarantine_<pipeline>``, and what ``ciclo quarantine`` shares with them."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken, NothingToDo
from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline
    from include.steps.run import Run
    from include.warehouse.quarantine import Entry, Wanted

log = logging.getLogger(__name__)

SHOWN = 50  # entries in a list for people


def list_entries(run: Run) -> None:
    """Print what the params ask for, or what waits, as a table in the task's log."""
    from include.warehouse.quarantine import count, find

    wanted = wanted_of(run)
    with run.engine.connect() as connection:
        entries = find(connection, wanted, SHOWN)
        log.info("%s", table(entries, sum(count(connection, wanted).values())))


def show_entries(run: Run) -> None:
    """Print everything known of the entries that `ids` names.

    Raises
    ------
    ConfigError
        If `ids` is empty, or none of this pipeline has such a number.
    """
    with run.engine.connect() as connection:
        for entry in entries_of(connection, _ids(run), run.pipeline.pipeline):
            log.info("%s", details(entry))


def accept_entries(run: Run, who: str) -> None:
    """Vouch for the entries that `ids` names; they are loaded with the next retry.

    Raises
    ------
    ConfigError
        Without a reason, or where an entry cannot be accepted; nothing is, then.
    """
    from include.warehouse.quarantine import accept

    ids, reason = _ids(run), str(run.params.get("reason") or "")
    with run.engine.begin() as connection:
        entries_of(connection, ids, run.pipeline.pipeline)
        entries = accept(connection, ids, who, reason, key_columns([run.pipeline]))
    log.info("accepted by %s: %s\n%s", who, reason, table(entries, len(entries)))
    log.info("load them: %s", retry_command(run.pipeline.pipeline))


def find_windows(run: Run) -> list[dict[str, Any]]:
    """Return the conf of one ``ingest_<pipeline>`` for each window with entries that wait, oldest first.

    Raises
    ------
    NothingToDo
        If nothing waits that the params ask for; the rest is skipped.
    """
    from include.warehouse.quarantine import windows

    with run.engine.connect() as connection:
        found = windows(connection, wanted_of(run))
    if not found:
        raise NothingToDo(f"{run.pipeline.pipeline}: nothing waits in quarantine that the params ask for")
    log.info("windows to load again: %s", ", ".join(str(window) for _, window, _ in found))
    return [conf_of(window, is_kept) for _, window, is_kept in found]


def tell_outcome(run: Run, confs: Sequence[dict[str, Any]], states: Sequence[str]) -> None:
    """Say what became of the entries, and fail if a window could not be loaded.

    Parameters
    ----------
    confs, states : sequence
        The windows, and how each one's ``ingest_<pipeline>`` ended.

    Raises
    ------
    ContractBroken
        Naming the windows that failed; the logs of their runs say why.
    """
    said = []
    with run.engine.connect() as connection:
        for conf in confs:
            said.append(outcome(connection, run.pipeline.pipeline, Window.from_dict(conf)))
            log.info("%s", said[-1])
    failed = [str(Window.from_dict(conf)) for conf, state in zip(confs, states, strict=True) if state != "success"]
    if failed:
        name = run.pipeline.pipeline
        raise ContractBroken(
            f"{name}: {len(failed)} of {len(confs)} windows could not be loaded: {', '.join(failed)}. What waits in"
            f" them stays in quarantine. The log of their ingest_{name} says why; mend that, then:"
            f" {retry_command(name)}"
        )


def wanted_of(run: Run) -> Wanted:
    """Return which entries a run's params ask for."""
    from include.steps.run import asked_window
    from include.warehouse.quarantine import Wanted

    params = run.params
    return Wanted(
        pipeline=run.pipeline.pipeline,
        source=params.get("source"),
        rule=params.get("rule"),
        ids=tuple(params.get("ids") or ()),
        status=params.get("status") or "waiting",
        window=asked_window(run),
    )


def entries_of(connection: Connection, ids: Sequence[int], pipeline: str | None = None) -> list[Entry]:
    """Return the entries of these numbers, in their order.

    Raises
    ------
    ConfigError
        If a number is none of an entry, or of another pipeline's.
    """
    from include.warehouse.quarantine import Wanted, find

    found = {e.quarantine_id: e for e in find(connection, Wanted(pipeline=pipeline, ids=tuple(ids), status="all"))}
    if missing := [number for number in ids if number not in found]:
        of = f" of {pipeline}" if pipeline else ""
        raise ConfigError(
            f"there is no entry {missing[0]}{of} in quarantine: ciclo quarantine list shows those there are"
        )
    return [found[number] for number in ids]


def key_columns(pipelines: Iterable[Pipeline]) -> set[tuple[str, str, str]]:
    """Return the columns that no row can be loaded without: pipeline, source and name."""
    return {
        (spec.pipeline, name, column)
        for spec in pipelines
        for name, source in spec.sources.items()
        for column in source.key
    }


def conf_of(window: Window, is_kept: bool) -> dict[str, Any]:
    """Return the conf of the run that loads a window again: from the lake, where the lake has what came."""
    return window.to_dict() | ({"from_lake": True} if is_kept else {})


def retry_command(pipeline: str, window: Window | None = None) -> str:
    """Return what brings entries back, for the shell; the same in the web UI is the DAG's action retry."""
    bounds = " --start {} --end {}".format(*str(window).split("..")) if window else ""
    return f"ciclo quarantine retry {pipeline}{bounds}"


def trigger_command(pipeline: str, window: Window) -> str:
    """Return the same as `retry_command`, through Airflow."""
    start, end = str(window).split("..")
    conf = json.dumps({"action": "retry", "start": start, "end": end})
    return f"airflow dags trigger quarantine_{pipeline} --conf '{conf}'"


def outcome(connection: Connection, pipeline: str, window: Window) -> str:
    """Say how the entries of one window stand, and why those that wait do."""
    from include.warehouse.quarantine import Wanted, count, reasons

    everything = Wanted(pipeline=pipeline, window=window, status="all")
    wanted = Wanted(pipeline=pipeline, window=window)
    waiting = sum(count(connection, wanted).values())
    parts = [f"{number} {status}" for status, number in count(connection, everything).items() if status != "open"]
    lines = [f"{pipeline} {window}: {', '.join([*parts, f'{waiting} still wait'])}"]
    for rule, column, number, reason in reasons(connection, wanted):
        lines.append(f"  {number} wait for {rule} of {column}, e.g. {reason}")
    return "\n".join(lines)


def table(entries: Sequence[Entry], total: int) -> str:
    """Return entries as lines of text for people, with what there is beyond them.

    Examples
    --------
    >>> table([], 0)
    'Nothing in quarantine.'
    """
    if not entries:
        return "Nothing in quarantine."
    head = ("id", "pipeline", "source", "window", "row", "time", "status", "rule", "reason")
    lines = [head, *(_cells(entry) for entry in entries)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head) - 1)]
    shown = ["  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[-1]]) for line in lines]
    rest = [f"and {total - len(entries)} more"] if total > len(entries) else []
    return "\n".join([*shown, *rest])


def details(entry: Entry) -> str:
    """Return everything known of one entry as lines of text for people; its row a line a column."""
    facts = {
        "entry": f"{entry.quarantine_id}, {'a stopped batch' if entry.is_batch else 'a row'}",
        "of": f"{entry.pipeline} {entry.source}, window {entry.window}",
        "came in": "no payload" if entry.payload_id is None else f"payload {entry.payload_id}, row {_row(entry)}",
        "about": f"{entry.valid_at:%Y-%m-%d %H:%M:%S} UTC" if entry.valid_at else "no readable time",
        "rule": f"{entry.rule} of {entry.column_name}",
        "reason": entry.reason,
        "status": f"{entry.status} since {entry.status_at:%Y-%m-%d %H:%M} UTC"
        + (f", by {entry.status_by}" if entry.status_by else "")
        + (f": {entry.status_reason}" if entry.status_reason else ""),
        "loaded": f"{entry.loaded_at:%Y-%m-%d %H:%M} UTC" if entry.loaded_at else "not yet",
        "set aside by": entry.run_id,
    }
    if entry.is_batch:
        facts["about"] = "every row of the batch"
    row = {f"  {name}": "(missing)" if value is None else str(value) for name, value in (entry.raw_row or {}).items()}
    width = max(map(len, [*facts, *row]))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in (facts | row).items())


def _cells(entry: Entry) -> tuple[str, ...]:
    at = f"{entry.valid_at:%Y-%m-%d %H:%M}" if entry.valid_at else "-"
    place = (str(entry.quarantine_id), entry.pipeline, entry.source, str(entry.window), _row(entry), at)
    reason = " ".join(entry.reason.split())
    return (*place, entry.status, entry.rule, reason if len(reason) <= 100 else f"{reason[:99]}…")


def _row(entry: Entry) -> str:
    return f"batch, {entry.row_count} rows" if entry.is_batch else str(entry.row_number)


def _ids(run: Run) -> tuple[int, ...]:
    ids = tuple(run.params.get("ids") or ())
    if not ids:
        raise ConfigError(f"{run.ref.dag_id}: this action needs ids, e.g. [17, 18]: the action list shows them")
    return ids

"""The tasks of ``quarantine_<pipeline>``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken, NothingToDo
from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.quarantine.entries import Wanted
    from include.steps.run import Run

log = logging.getLogger(__name__)


def list_entries(run: Run) -> None:
    """Print what the params ask for, or what waits, as a table in the task's log."""
    from include.quarantine.tell import listing

    with run.engine.connect() as connection:
        log.info("%s", listing(connection, _wanted(run)))


def show_entries(run: Run) -> None:
    """Print everything known of the entries that `ids` names.

    Raises
    ------
    ConfigError
        If `ids` is empty, or none of this pipeline has such a number.
    """
    from include.quarantine.entries import entries_of
    from include.quarantine.tell import details

    with run.engine.connect() as connection:
        for entry in entries_of(connection, _ids(run), run.pipeline.pipeline):
            log.info("%s", details(entry))


def override_entries(run: Run, who: str) -> None:
    """Override the entries that `ids` names; they are loaded with the next retry.

    Raises
    ------
    ConfigError
        Without a reason, or where an entry cannot be overridden; nothing is, then.
    """
    from include.quarantine.entries import entries_of
    from include.quarantine.override import override
    from include.quarantine.tell import retry_command, table

    ids, reason = _ids(run), str(run.params.get("reason") or "")
    with run.engine.begin() as connection:
        entries_of(connection, ids, run.pipeline.pipeline)
        entries = override(connection, [run.pipeline], ids, who, reason)
    log.info("overridden by %s: %s\n%s", who, reason, table(entries, len(entries)))
    log.info("load them: %s", retry_command(run.pipeline.pipeline))


def find_windows(run: Run) -> list[dict[str, Any]]:
    """Return the conf of one ``ingest_<pipeline>`` for each window with entries that wait, oldest first.

    Raises
    ------
    NothingToDo
        If nothing waits that the params ask for; the rest is skipped.
    """
    from include.quarantine.entries import windows

    with run.engine.connect() as connection:
        confs = [conf for _, conf in windows(connection, _wanted(run))]
    if not confs:
        raise NothingToDo(f"{run.pipeline.pipeline}: nothing waits in quarantine that the params ask for")
    log.info("windows to load again: %s", ", ".join(str(Window.from_dict(conf)) for conf in confs))
    return confs


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
    from include.quarantine.tell import outcome, retry_command

    name, windows = run.pipeline.pipeline, [Window.from_dict(conf) for conf in confs]
    with run.engine.connect() as connection:
        for window in windows:
            log.info("%s", outcome(connection, name, window))
    failed = [str(window) for window, state in zip(windows, states, strict=True) if state != "success"]
    if failed:
        raise ContractBroken(
            f"{name}: {len(failed)} of {len(confs)} windows could not be loaded: {', '.join(failed)}. What waits in"
            f" them stays in quarantine. The log of their ingest_{name} says why; mend that, then:"
            f" {retry_command(name)}"
        )


def _wanted(run: Run) -> Wanted:
    """Return which entries a run's params ask for."""
    from include.quarantine.entries import Wanted
    from include.steps.run import asked_window

    params = run.params
    return Wanted(
        pipeline=run.pipeline.pipeline,
        source=params.get("source"),
        rule=params.get("rule"),
        ids=tuple(params.get("ids") or ()),
        status=params.get("status") or "waiting",
        window=asked_window(run),
    )


def _ids(run: Run) -> tuple[int, ...]:
    ids = tuple(run.params.get("ids") or ())
    if not ids:
        raise ConfigError(f"{run.ref.dag_id}: this action needs ids, e.g. [17, 18]: the action list shows them")
    return ids

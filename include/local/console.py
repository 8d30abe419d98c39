"""What a person sees of the runtime: progress while it comes up, its addresses, its state."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from include.local import report
from include.local.launch import Report
from include.local.secrets import secret_path

SHOWN = 3  # windows a pipeline
COLOURS = {"degraded": "red", "unknown": "magenta", "warning": "yellow", "healthy": "green"}  # of a grade of health


@contextmanager
def progress() -> Iterator[Report]:
    """Yield a reporter that prints each part as it gets ready, with a line of what is under way.

    Without a terminal only the finished parts are printed, one a line.
    """
    console = Console()
    started: dict[str, float] = {}
    with console.status("Looking around") as line:

        def tell(name: str, state: str) -> None:
            if state == "starts":
                started[name] = time.monotonic()
            else:
                console.print(f"  [green]✓[/green] {name:<18}{time.monotonic() - started.pop(name):5.1f} s")
            line.update(f"Starting {', '.join(started)}" if started else "Ready")

        yield tell


def print_addresses(services: dict[str, dict[str, Any]]) -> None:
    """Print where each service is found, and how to get into the web UI."""
    console = Console()
    for name, service in services.items():
        if service["url"]:
            console.print(f"  {'airflow' if name == 'api-server' else name:<12}{service['url']}", highlight=False)
    console.print(f"  Airflow's user is admin; its password lies in {secret_path('airflow_admin')}", soft_wrap=True)


def print_status(status: dict[str, Any], as_json: bool) -> None:
    """Print services and pipelines as two tables, or as one JSON object."""
    if as_json:
        print(json.dumps(status, indent=2, default=str))
        return
    console = report.console()
    console.print(_services_table(status["services"]))
    for name, service in status["services"].items():
        for incident in service["incidents"]:
            console.print(f"  {name} ended at {incident['at']} ({incident['how']}) and was started again")
    console.print(_pipelines_table(status))
    console.print(_predictions_table(status["predictions"]))
    for line in _degraded(status["predictions"]):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    for name, state in status["pipelines"].items():
        for remark in _remarks(name, state):
            console.print(f"  {name}{remark}", markup=False, soft_wrap=True)
    for each in status["injections"]:
        name = each["pipeline"]
        remark = f"  {name} SIMULATED, injected: {each['text']}; ciclo inject {name} --clear takes it back"
        console.print(remark, markup=False, soft_wrap=True)
    for line in _backup(status["backup"]):
        console.print(f"  backup: {line}", markup=False, soft_wrap=True)
    if "problem" in status:
        console.print(status["problem"], markup=False, soft_wrap=True)


def _pipelines_table(status: dict[str, Any]) -> Table:
    """Return a row a pipeline, the worst first."""
    table = Table("pipeline", "health", "what to do", "loaded until", "champion", title="Pipelines")
    table.add_column("rows", justify="right")
    for name, health in status["health"].items():
        state = status["pipelines"].get(name, {})
        champion = state.get("champion") or {}
        table.add_row(
            f"{name} SIMULATED" if state.get("is_simulated") else name,
            f"[{COLOURS[health['grade']]}]{health['word']}[/]",
            escape(health["todo"]),
            (state.get("last_window") or "-").rpartition("..")[2],
            f"{champion['version']}, {champion['candidate']}" if champion else "-",
            f"{state['rows']:,}" if state else "-",
        )
    return table


def _predictions_table(service: dict[str, Any]) -> Table:
    """Return a row a pipeline: which version answers, and how; what nobody could ask is unknown, and not nothing."""
    table = Table("pipeline", "version", title="Predictions since the service was started")
    for name in ("requests", "refused", "errors", "p99"):
        table.add_column(name, justify="right")

    def shown(figures: dict[str, Any], name: str, form: str) -> str:
        value = figures[name]
        return format(value, form) if value is not None else "unknown" if figures["requests"] is None else "-"

    for name, figures in service["pipelines"].items():
        table.add_row(
            name,
            ", ".join([*map(str, figures["versions"]), *(figures["rollouts"] or ())])
            if figures["versions"]
            else "none answers",
            shown(figures, "requests", ",d"),
            shown(figures, "refused", ",d"),
            shown(figures, "error_share", ".2%"),
            f"{shown(figures, 'p99_ms', '.1f')}{' ms' if figures['p99_ms'] is not None else ''}",
        )
    return table


def _degraded(service: dict[str, Any]) -> Iterator[str]:
    """Yield what the prediction service lacks, and how much of its log waits."""
    waiting = service["spool_bytes"]
    size = "it is unknown how many bytes wait" if waiting is None else f"{waiting:,} bytes wait"
    yield f"predictions: {size} for the warehouse"
    yield from (f"predictions: degraded, {line}" for line in service["degraded"])


def _backup(state: dict[str, Any]) -> Iterator[str]:
    """Yield when the last backup was made, when restoring it was rehearsed, and what keeps the WAL from its archive."""
    if last := state["last"]:
        size = f"{last['byte_count'] / 1e6:,.1f} MB"
        yield f"the last was made at {last['ended_at'][:16]}, {last['kind']}, {size}, in {last['folder']}"
        drill = state["drill"]
        if drill is None:
            yield f"restoring was never rehearsed: ciclo restore --from {last['folder']} --check"
        else:
            yield f"restoring was rehearsed at {drill['drilled_at'][:16]}: {drill['status']}, {drill['seconds']:.1f} s"
            if drill["status"] != "passed":
                yield f"{drill['reason']}; it passed last at {(drill['passed_at'] or 'no time')[:16]}"
    if text := state["problem"]:
        yield text


def _remarks(name: str, state: dict[str, Any]) -> Iterator[str]:
    """Yield what the table has no room for: what waits for a person, and features that have no value."""
    if state["failure"]:
        yield f": {state['failure']}"
    if (live := state["live"]) and live["verdict"] == "rollback":
        yield f": version {live['version']} came back at {live['since_at'][:16]}: {'; '.join(live['reasons'][:2])}"
    if pin := state["pin"]:
        yield f": {pin}; ciclo unpin {name} --reason … takes it off"
    if shadow := state["shadow"]:
        yield f": {shadow}"
    if (drill := state["drill"]) is not None:
        yield f": undo rehearsed at {drill['drilled_at'][:16]}: {drill['status']}, {drill['seconds']:.1f} s"
    unloaded = state["unloaded_windows"]
    yield from (f" {line}" for line in unloaded[:SHOWN])
    if len(unloaded) > SHOWN:
        yield f": and {len(unloaded) - SHOWN} more windows that are not loaded: mart.window_status"
    yield from (f": {line}" for line in state["overdue"])
    yield from (f": alerts not delivered, {line}" for line in state["undelivered_alerts"])
    yield from (f": {line}" for line in state["silences"])
    for source, (before, after) in state["rows_outside"].items():
        where = f" {source}: {before} rows lie before the first window and {after} after the last"
        yield f"{where}; load them with ingest_{name}, or move schedule.start and schedule.end"
    if outdated := state["outdated_windows"]:
        what = f": {len(outdated)} windows were loaded under an older contract, {outdated[0]} first"
        yield f"{what}; read them again: ciclo reread {name}"
    if empty := state["features"]["without_value"]:
        yield f": no value at all: {', '.join(empty)}"


def _services_table(services: dict[str, dict[str, Any]]) -> Table:
    table = Table("service", "state", "healthy", "restarts", "url", title="Services")
    for name, service in services.items():
        health = "[green]yes[/green]" if service["healthy"] else "[red]no[/red]"
        table.add_row(name, service["state"].lower(), health, str(service["restarts"]), service["url"] or "")
    return table

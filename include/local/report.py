"""What people see while the loops turn, and the table at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(frozen=True)
class Moment:
    """Where a replay stands: shown to people while it runs."""

    pipeline: str
    done: int
    total: int
    window: str
    dag_id: str
    tasks: tuple[str, ...] = ()
    trouble: str = ""


Watch = Callable[[Moment], None]


@contextmanager
def live(pipelines: list[str], console: Console) -> Iterator[Watch]:
    """Show a bar a pipeline with its window and running tasks; where there is no terminal, a line a step.

    A task that is tried again is printed with its reason, either way.
    """
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("[bold]{task.description:12}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}", style="dim"), console=console) as progress:
        bars = {name: progress.add_task(name, total=None, now="") for name in pipelines}
        troubles = set()

        def watch(moment: Moment) -> None:
            now = f"{moment.window}  {moment.dag_id}  {', '.join(moment.tasks)}"
            progress.update(bars[moment.pipeline], completed=moment.done, total=moment.total, now=now)
            if moment.trouble and moment.trouble not in troubles:
                troubles.add(moment.trouble)
                progress.console.print(f"[yellow]{moment.dag_id} {moment.window}[/yellow] {escape(moment.trouble)}")

        yield watch


def _lines(console: Console) -> Watch:
    """Return a watch that prints a line when a pipeline's window, DAG or trouble changes: readable in a log file."""
    lock, started = threading.Lock(), time.monotonic()
    last: dict[str, tuple[int, str, str]] = {}

    def watch(moment: Moment) -> None:
        place = (moment.done, moment.dag_id, moment.trouble)
        with lock:  # moments come from several threads
            if last.get(moment.pipeline) == place:
                return
            last[moment.pipeline] = place
            passed = f"{time.monotonic() - started:6.0f} s  {moment.done:3}/{moment.total}"
            line = f"{passed}  {moment.window}  {moment.dag_id}  {moment.trouble}"
            console.print(line.rstrip(), markup=False, soft_wrap=True)

    return watch


def result_table(pipelines: dict[str, dict[str, Any]]) -> Table:
    """Return the table of what the loops did, from `status`: one column a pipeline."""
    table = Table("", title="What the loops did", show_lines=False)
    for name, state in pipelines.items():
        table.add_column(f"{name} SIMULATED" if state["is_simulated"] else name, justify="right")
    for label, of in ROWS.items():
        table.add_row(label, *(of(state) for state in pipelines.values()))
    return table


def _figures(state: dict[str, Any], metric: str) -> str:
    """Return the champion's figure on its held-out rows beside the naive model's."""
    champion = state["champion"]
    if not champion or not champion.get("metrics"):
        return "-"
    values = [champion["metrics"].get(metric), (champion.get("naive") or {}).get(metric)]
    own, naive = ("-" if value is None else f"{value:.4f}" for value in values)
    return f"{own} (naive {naive})"


def _verdicts(state: dict[str, Any]) -> str:
    verdicts = state["verdicts"]
    return ", ".join(f"{verdicts.get(verdict, 0)} {verdict}" for verdict in ("retrain", "hold", "investigate"))


def _champion(state: dict[str, Any]) -> str:
    champion = state["champion"]
    return f"version {champion['version']}, {champion['candidate']}" if champion else "none yet"


ROWS = {
    "windows loaded": lambda s: str(s["loads"]["windows"]),
    "rows in core": lambda s: f"{s['rows']:,}",
    "rows corrected": lambda s: f"{s['loads']['corrected']:,}",
    "rows withdrawn": lambda s: f"{s['loads']['withdrawn']:,}",
    "rows quarantined": lambda s: f"{s['loads']['quarantined']:,}",
    "checks passed": lambda s: f"{s['loads']['checks_passed']} of {s['loads']['checks_total']}",
    "drift verdicts": _verdicts,
    "trainings": lambda s: str(s["trainings"]),
    "promotions": lambda s: str(s["verdicts"].get("promote", 0)),
    "champion": _champion,
    "R²": lambda s: _figures(s, "r2"),
    "RMSE": lambda s: _figures(s, "rmse"),
    "MAE": lambda s: _figures(s, "mae"),
    "Brier score": lambda s: _figures(s, "brier"),
    "last window": lambda s: s["last_window"] or "-",
    "features": lambda s: s["features"]["state"],
    "windows not loaded": lambda s: str(len(s["unloaded_windows"])),
    "SIMULATED sources": lambda s: ", ".join(s["simulated_sources"]) or "none",
}


def console() -> Console:
    """Return the console people look at; wide enough for the table where output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)

"""What a person sees of the runtime: progress while it comes up, its addresses, its state."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from include.local.launch import Report
from include.local.secrets import secret_path


@contextmanager
def progress() -> Iterator[Report]:
    """Yield a reporter that prints each part as it gets ready, with a line of what is under way.

    Without a terminal only the finished parts are printed, one a line.
    """
    console = Console()
    started: dict[str, float] = {}
    with console.status("Looking around") as line:

        def report(name: str, state: str) -> None:
            if state == "starts":
                started[name] = time.monotonic()
            else:
                console.print(f"  [green]✓[/green] {name:<18}{time.monotonic() - started.pop(name):5.1f} s")
            line.update(f"Starting {', '.join(started)}" if started else "Ready")

        yield report


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
    console = Console()
    console.print(_services_table(status["services"]))
    for name, pipeline in status["pipelines"].items():
        table = Table("", name, title_justify="left")
        for key, value in pipeline.items():
            table.add_row(key.replace("_", " "), "-" if value is None else str(value))
        console.print(table)
    if status.get("problem"):
        console.print(status["problem"], soft_wrap=True)


def _services_table(services: dict[str, dict[str, Any]]) -> Table:
    table = Table("service", "state", "healthy", "url", "restarts", "last unplanned end")
    for name, service in services.items():
        last = service["incidents"][-1] if service["incidents"] else None
        table.add_row(
            name,
            service["state"].lower(),
            "[green]yes[/green]" if service["healthy"] else "[red]no[/red]",
            service["url"] or "",
            str(service["restarts"]),
            f"{last['at']} {last['how']}" if last else "",
        )
    return table

"""``ciclo quarantine``: quarantined rows and blocked batches, and the way back for them."""

import getpass
import json
from typing import TYPE_CHECKING, Annotated

import typer

from include.commands.system import known_pipelines, load_again, warehouse

if TYPE_CHECKING:
    from include.windows import Window

app = typer.Typer(help="Show what is in quarantine, load it again, or override it.", no_args_is_help=True)

Pipeline = Annotated[str | None, typer.Argument(help="One pipeline; all when left out.")]
Ids = Annotated[list[int] | None, typer.Option("--id", help="Number of an entry; may be given several times.")]
Source = Annotated[str | None, typer.Option(help="Only what came from this source.")]
Rule = Annotated[str | None, typer.Option(help="Only what broke this rule.")]
Start = Annotated[str | None, typer.Option(help="Only windows that end after it, UTC; needs --end.")]
End = Annotated[str | None, typer.Option(help="Only windows that start before it, UTC; needs --start.")]


@app.command("list")
def list_entries(
    pipeline: Pipeline = None,
    source: Source = None,
    rule: Rule = None,
    status: Annotated[str, typer.Option(help="waiting, open, overridden, released, superseded or all.")] = "waiting",
    start: Start = None,
    end: End = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of them, for programs.")] = False,
) -> None:
    """List what waits in quarantine, the newest window first."""
    from include.quarantine.entries import Wanted, find
    from include.quarantine.tell import listing

    known_pipelines(pipeline)
    wanted = Wanted(pipeline, source, rule, (), status, _window(start, end))
    with warehouse().connect() as connection:
        if as_json:
            entries = [entry.to_dict() for entry in find(connection, wanted)]
            typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        else:
            typer.echo(listing(connection, wanted))


@app.command()
def show(number: Annotated[int, typer.Argument(metavar="ID", help="Number of an entry.")]) -> None:
    """Show one entry: its row as it came, what it broke, and what became of it."""
    from include.quarantine.entries import entries_of
    from include.quarantine.tell import details

    with warehouse().connect() as connection:
        [entry] = entries_of(connection, [number])
    typer.echo(details(entry))


@app.command()
def override(
    numbers: Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers of entries.")],
    reason: Annotated[str, typer.Option(help="Why they are right; kept on record.")] = "",
) -> None:
    """Override quarantined rows or blocked batches, which are right all the same; a retry then loads them."""
    from include.quarantine.override import override
    from include.quarantine.tell import retry_command
    from include.spec.load import load_runnable

    with warehouse().begin() as connection:
        entries = override(connection, load_runnable().values(), numbers, getpass.getuser(), reason)
    typer.echo(f"Overridden: {', '.join(str(entry.quarantine_id) for entry in entries)}. Load them:")
    for name in sorted({entry.pipeline for entry in entries}):
        typer.echo(f"  {retry_command(name)}")


@app.command()
def retry(
    pipeline: Pipeline = None,
    ids: Ids = None,
    source: Source = None,
    rule: Rule = None,
    start: Start = None,
    end: End = None,
) -> None:
    """Load the windows with waiting entries again, from the lake, through Airflow; say what became of them."""
    from include.local.airflow_api import AirflowApi
    from include.quarantine.entries import Wanted, windows
    from include.quarantine.tell import outcome
    from include.windows import Window

    known_pipelines(pipeline)
    wanted = Wanted(pipeline, source, rule, tuple(ids or ()), "waiting", _window(start, end))
    engine = warehouse()
    with engine.connect() as connection:
        confs = windows(connection, wanted)
    if not confs:
        typer.echo("Nothing waits in quarantine that this asks for.")
        return
    api, failed = AirflowApi.of_runtime(), []
    for name, conf in confs:
        window = Window.from_dict(conf)
        typer.echo(f"{name} {window}: loading again")
        if trouble := load_again(api, name, window, conf, "quarantine"):
            failed.append(trouble)
        with engine.connect() as connection:
            typer.echo(outcome(connection, name, window))
    for trouble in failed:
        typer.echo(trouble, err=True)
    if failed:
        raise typer.Exit(1)


def _window(start: str | None, end: str | None) -> "Window | None":
    from include.errors import ConfigError
    from include.windows import Window

    if (start is None) != (end is None):
        raise ConfigError("give both --start and --end, or neither")
    return Window.parse(start, end) if start is not None and end is not None else None

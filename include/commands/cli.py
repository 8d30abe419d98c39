"""``ciclo``: the command that brings the system up, asks how it is, and takes it down."""

import os
import signal
import sys
import time
from typing import Annotated

import typer

from include.commands import backup, inject, quarantine, replay, scorecard, silence, token, undo
from include.errors import CicloError, ConfigError, NothingToDo

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(token.app, name="token")
app.command("inject")(inject.inject)
app.command("replay")(replay.replay)
app.command("scorecard")(scorecard.scorecard)
app.add_typer(undo.ledger, name="ledger")
for command in (undo.rollback, undo.pin, undo.unpin, undo.reproduce, backup.backup, backup.restore):
    app.command()(command)
app.command()(silence.silence)
app.command()(silence.unsilence)


@app.command()
def up() -> None:
    """Start everything; what is up already stays."""
    from include.local import console, runtime

    with console.progress() as report:
        runtime.up(report)
    console.print_addresses(runtime.services())


@app.command()
def down() -> None:
    """End everything; no process stays behind."""
    from include.local import runtime

    ended = runtime.down()
    typer.echo(f"Ended: {', '.join(ended)}." if ended else "Nothing was running.")


@app.command()
def env() -> None:
    """Print the exports that point a shell at this runtime: eval "$(ciclo env)"."""
    import shlex

    from include.local import environment, preparation

    preparation.write_passfile()
    for key, value in environment.shell_env().items():
        typer.echo(f"export {key}={shlex.quote(value)}")


@app.command()
def run(pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all when left out.")] = None) -> None:
    """Start everything and run each pipeline's replay through the Airflow scheduler; of all, rehearse the undo, too."""
    from include.commands.system import faults, known_pipelines, rehearse
    from include.local import console, runtime
    from include.local.replay import run as replay

    pipelines = list(known_pipelines(pipeline).values())
    if lines := faults(pipeline):  # told before anything starts
        raise ConfigError("\n".join(lines))
    with console.progress() as report:
        runtime.up(report)
    replay(pipelines)
    if pipeline is None:
        typer.echo(rehearse())
    console.print_addresses(runtime.services())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Tell how services and pipelines are, the worst first; exit 1 where a file is wrong or nothing is known."""
    from include.local import console, runtime

    state = runtime.status()
    console.print_status(state, as_json)
    if "problem" in state:
        raise typer.Exit(1)


@app.command()
def validate(pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all when left out.")] = None) -> None:
    """Tell everything that is wrong in pipeline.yaml files and airflow_settings.yaml, a line a fault; exit 1 if any."""
    from include.commands.system import faults, known_pipelines

    for line in (lines := faults(pipeline)):
        typer.echo(line)
    if lines:
        raise typer.Exit(1)
    typer.echo(f"{', '.join(known_pipelines(pipeline))}: everything is in order.")


@app.command()
def reread(pipeline: Annotated[str, typer.Argument(help="The pipeline whose contract was corrected.")]) -> None:
    """Read what was loaded under an older contract again from the lake, a window at a time, through Airflow."""
    from include.commands.system import known_pipelines, load_again, warehouse
    from include.local.airflow_api import AirflowApi
    from include.warehouse.loaded_windows import windows_to_read_again

    spec, engine = known_pipelines(pipeline)[pipeline], warehouse()
    with engine.connect() as connection:
        windows = windows_to_read_again(connection, spec)
    if not windows:
        typer.echo(f"{pipeline}: everything was read by the contract as it is now.")
        return
    api = AirflowApi.of_runtime()
    for number, window in enumerate(windows, 1):
        typer.echo(f"{number}/{len(windows)} {pipeline} {window}: reading again")
        if trouble := load_again(api, pipeline, window, {**window.to_dict(), "from_lake": True}, "reread"):
            raise CicloError(f"{trouble}\nMend that, then run the same again: it goes on with this window.")
    api.trigger(f"monitor_{pipeline}", f"reread__{time.time_ns()}", {})
    typer.echo(f"All is read again; monitor_{pipeline} decides whether to train.")


@app.command()
def remove(
    pipeline: Annotated[str, typer.Argument(help="The pipeline to remove.")],
    lake: Annotated[bool, typer.Option("--lake", help="What was fetched goes, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a pipeline: its tables, rows, models and DAGs. Its decisions stay, and what was fetched unless --lake."""
    from include.commands.remove import Removal

    removal = Removal(pipeline, lake)
    for line in removal.plan():
        typer.echo(f"  {line}")
    if not yes:
        typer.confirm(f"Remove {pipeline}?", abort=True)
    removal.carry_out()
    typer.echo(f"{pipeline} is removed.")


@app.command("inspect")
def inspect_file(
    file: Annotated[str, typer.Argument(help="A delimited text file, plain or inside a zip.")],
    member: Annotated[str | None, typer.Option("--member", help="File inside the zip, if it holds several.")] = None,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", help="Write a whole pipeline of this name that reads the file.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The column to predict; others that give it away are told.")
    ] = None,
) -> None:
    """Look at a file and print a draft of its sources: block; what was found, and why, goes to standard error."""
    from pathlib import Path

    from include.commands import inspecting

    inspecting.inspect_file(Path(file), member, pipeline, target)


@app.command()
def psql(
    database: Annotated[
        str, typer.Option("-d", "--database", help="warehouse, airflow, mlflow or core_banking")
    ] = "warehouse",
    command: Annotated[str | None, typer.Option("-c", "--command", help="SQL to run; interactive without it.")] = None,
) -> None:
    """Open the database, or run one statement in it."""
    import subprocess

    from include.local import environment, postgres, preflight, preparation

    preflight.check_postgres("or start everything with make run or ciclo up")
    preparation.write_passfile()
    variables = environment.shell_env() | {"PGDATABASE": database, "PGUSER": database}
    arguments = [str(postgres.binary("psql")), "-v", "ON_ERROR_STOP=1", *([] if command is None else ["-c", command])]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends a query in psql, not psql
    sys.exit(subprocess.call(arguments, env=os.environ | variables))


def main() -> None:
    """Run the command; an expected error is one sentence and exit code 1, or 3 where there is nothing to do."""
    try:
        app()
    except CicloError as error:
        typer.echo(str(error), err=True)
        sys.exit(3 if isinstance(error, NothingToDo) else 1)
    except UnicodeEncodeError:
        typer.echo("an argument is no text in UTF-8; write it anew", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise  # not about a file: a fault of ours, which needs its traceback
        typer.echo(f"{error.filename}: {error.strerror}; mend that, or set CICLO_VAR in .env.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

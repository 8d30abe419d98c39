"""``ciclo rollback``, ``pin``, ``unpin``, ``reproduce`` and ``ledger verify``: what was decided, and the way back."""

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.system import known_pipelines, warehouse
from include.errors import CicloError, ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.windows import Window

ledger = typer.Typer(help="Look after the record of decisions.", no_args_is_help=True)
Pipeline = Annotated[str, typer.Argument(help="The pipeline.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept on record.")]


@ledger.command()
def verify(pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all when left out.")] = None) -> None:
    """Follow every chain of decisions and name the first that was changed or is missing; exit 1 if there is any."""
    from include.promotion import chain

    is_intact = True
    with warehouse().connect() as connection:
        every = chain.pipelines(connection)
        if pipeline is not None and pipeline not in every:
            raise ConfigError(f"nothing was ever decided for {pipeline}; there are {', '.join(every) or 'none'}")
        for name in every if pipeline is None else [pipeline]:
            count, fault = chain.verify(connection, name)
            is_intact &= fault is None
            typer.echo(f"{name}: {fault}; {count} before it are intact" if fault else f"{name}: {count} are intact")
    if not is_intact:
        raise typer.Exit(1)


def rollback(
    pipeline: Pipeline,
    to: Annotated[int | None, typer.Option("--to", help="Version that comes back; else the previous.")] = None,
    reason: Reason = "",
) -> None:
    """Make the previous version the champion again, or another, through Airflow, and pin it; twice goes back."""
    from include.commands.system import run_to_end
    from include.local.airflow_api import AirflowApi

    known_pipelines(pipeline)
    reason = reason_given(reason)
    conf: dict[str, Any] = {"reason": reason, "by": getpass.getuser()} | ({"to": to} if to is not None else {})
    if trouble := run_to_end(AirflowApi.of_runtime(), f"rollback_{pipeline}", f"ciclo__{time.time_ns()}", conf):
        raise CicloError(trouble)
    with warehouse().connect() as connection:
        [row] = connection.exec_driver_sql("select version, reasons from ml.live_at(%s, 'infinity')", (pipeline,))
    typer.echo(f"{pipeline}: version {row.version} is live. {'; '.join(row.reasons)}.")
    typer.echo(f"It is pinned: ciclo unpin {pipeline} --reason … lets promotions go on.")


def pin(
    pipeline: Pipeline,
    reason: Reason = "",
    until: Annotated[str | None, typer.Option("--until", help="Date or time, UTC, at which it expires.")] = None,
) -> None:
    """Let nothing be promoted or rolled back by itself, until unpin or a date."""
    from include.promotion.rollback import Pin

    known_pipelines(pipeline)
    reason = reason_given(reason)
    kept = Pin(getpass.getuser(), reason, instant(until) if until else None)
    _record(pipeline, f"the champion is {kept}", kept.to_dict())
    typer.echo(f"{pipeline}: {kept}")


def unpin(pipeline: Pipeline, reason: Reason = "") -> None:
    """Take the pin off: promotion and rollback go by themselves again."""
    from include.promotion.ledger import standing_pin

    known_pipelines(pipeline)
    reason = reason_given(reason)
    with warehouse().connect() as connection:
        standing = standing_pin(connection, pipeline, datetime.now(UTC))
    if standing is None:
        typer.echo(f"{pipeline} is not pinned.")
        return
    _record(pipeline, f"unpinned by {getpass.getuser()}: {reason}", None)
    typer.echo(f"{pipeline}: unpinned; it was {standing}")


def reproduce(
    pipeline: Pipeline, version: Annotated[int, typer.Argument(metavar="VERSION", help="Its number in MLflow.")]
) -> None:
    """Train a version again from its snapshot, spec and seed: bit-equal, or the difference and its cause and exit 1."""
    import os

    from include.lake.store import Lake
    from include.local import environment
    from include.registry import aliases
    from include.registry.mlflow_registry import by_number
    from include.settings import settings
    from include.steps.reproduce import reproduce as train_again

    aliases.champion(environment.mlflow_url(), pipeline)  # says at once if MLflow is down
    os.environ.update({key: value for key, value in environment.shell_env().items() if key.startswith("MLFLOW")})
    outcome = train_again(warehouse(), Lake(settings().lake), by_number(pipeline, version))
    typer.echo(f"{pipeline} version {version}: {outcome}")
    if not outcome.is_equal:
        raise typer.Exit(1)


def _record(pipeline: str, reason: str, kept: dict[str, Any] | None) -> None:
    from include.promotion.ledger import append, live
    from include.warehouse.batch import RunRef

    run = RunRef("ciclo", f"by_hand__{time.time_ns()}")
    with warehouse().begin() as connection:
        standing = live(connection, pipeline)
        version = standing.version if standing else None
        append(connection, pipeline, _last_window(connection, pipeline), "hold", [reason], {"pin": kept}, version, run)


def _last_window(connection: "Connection", pipeline: str) -> "Window":
    from include.windows import Window

    row = connection.exec_driver_sql(
        "select window_start_at, window_end_at from ops.run where pipeline = %s order by window_end_at desc limit 1",
        (pipeline,),
    ).first()
    if row is None:
        raise ConfigError(f"{pipeline}: nothing is loaded yet, so there is nothing to pin: run ingest_{pipeline} first")
    return Window(row[0], row[1])


def reason_given(text: str) -> str:
    r"""Return a reason as it is kept: in one line.

    Examples
    --------
    >>> reason_given(" audit,\nas every year ")
    'audit, as every year'

    Raises
    ------
    ConfigError
        There is none.
    """
    if not (reason := " ".join(text.split())):
        raise ConfigError('give a reason, which is kept on record: --reason "…"')
    return reason


def instant(text: str) -> datetime:
    """Return the instant to come that was written behind ``--until``.

    Raises
    ------
    ConfigError
        It is no time, or has passed.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--until {text!r} is neither a date nor a time: write 2026-12-24 or 2026-12-24T18:00"
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at <= datetime.now(UTC):
        raise ConfigError(f"--until {text} has passed already: name a later time")
    return at

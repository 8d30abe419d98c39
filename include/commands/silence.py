"""``ciclo silence`` and ``unsilence``: alerts that nobody wants for a time, with a reason and an end."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from include.commands.system import faults, warehouse
from include.errors import ConfigError
from include.health.findings import ASPECTS

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
MOST = timedelta(days=30)


def silence(
    pipeline: Annotated[str, typer.Argument(help="The pipeline.")],
    lasting: Annotated[str, typer.Option("--for", help="How long, such as 30m, 4h or 2d; at most 30d.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept on record.")],
    aspect: Annotated[str, typer.Option("--aspect", help=f"One of {', '.join(ASPECTS)}; all when left out.")] = "",
) -> None:
    """Do not deliver a pipeline's alerts for a time: they are recorded, and what lasts is told when it is over."""
    faults(pipeline)  # one whose file is broken may be silenced, one that is not there may not
    length = duration(lasting)
    if aspect and aspect not in ASPECTS:
        raise ConfigError(f"--aspect {aspect}: there is no such aspect; there are {', '.join(ASPECTS)}")
    if not reason.strip():
        raise ConfigError("--reason is missing: say why, it is kept on record")
    until = datetime.now(UTC) + length
    with warehouse().begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.silence (pipeline, aspect, reason, made_by, until_at) values (%s, %s, %s, %s, %s)",
            (pipeline, aspect, reason, getpass.getuser(), until),
        )
    typer.echo(f"{pipeline}: {aspect or 'every'} alert is silent until {until:%Y-%m-%d %H:%M} UTC.")


def unsilence(pipeline: Annotated[str, typer.Argument(help="The pipeline.")]) -> None:
    """Deliver a pipeline's alerts again."""
    faults(pipeline)  # refuses a name that no pipeline has
    with warehouse().begin() as connection:
        ended = connection.exec_driver_sql(
            "update ops.silence set until_at = clock_timestamp() where pipeline = %s and until_at > now()", (pipeline,)
        ).rowcount
    typer.echo(f"{pipeline}: {ended} silences are over." if ended else f"{pipeline}: nothing is silenced.")


def duration(text: str) -> timedelta:
    """Return a length of time.

    Raises
    ------
    ConfigError
        If it is none, or longer than 30 days.

    Examples
    --------
    >>> duration("90m"), duration("2d")
    (datetime.timedelta(seconds=5400), datetime.timedelta(days=2))
    """
    parts = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    length = timedelta(**{UNITS[parts[2]]: int(parts[1])}) if parts else None
    if length is None or length > MOST:
        raise ConfigError(f"--for {text}: write a length of time such as 30m, 4h or 2d, of 30 days at most")
    return length

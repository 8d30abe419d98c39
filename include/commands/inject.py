"""``ciclo inject``: change a column that the sandbox sends, to see the loop react; never a real source."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from include.errors import ConfigError

if TYPE_CHECKING:
    from include.commands.injecting import Amount, Place, Rows
    from include.sandbox.injection import Injection
    from include.sources import Endpoint
    from include.windows import Window

FOR_GOOD = "9999-12-31"
VARIABLES = {  # that name the real source, by service
    **{"banxico": "BANXICO_API_URL", "inegi": "INEGI_API_URL", "uci": "UCI_API_URL"},
    **{"frankfurter": "FRANKFURTER_API_URL", "open_meteo": "OPEN_METEO_API_URL", "core_banking": "INTERNAL_DB_HOST"},
}
EXAMPLE = "ciclo inject air_quality --column co_sensor --shift 0.5sd --from 2004-09-01"


def inject(
    pipeline: Annotated[str, typer.Argument(help="The pipeline to see react.")],
    column: Annotated[
        str | None, typer.Option(help="A column of its main source, or source.column; the target's column, too.")
    ] = None,
    shift: Annotated[str | None, typer.Option(help="Add so much: 0.5sd, or 12.5 in the column's unit.")] = None,
    scale: Annotated[str | None, typer.Option(help="Multiply by a factor: 1.2.")] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Repeat the last value before --from.")] = False,
    missing: Annotated[str | None, typer.Option(help="Lose this share of the values: 0.3.")] = None,
    unit_swap: Annotated[str | None, typer.Option(help="Send another unit: 0.001, or 1.8+32.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First time that is changed, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First time that is not any more; else for good.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show the pipeline's injections that stand.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take them back, or those of one --column.")] = False,
) -> None:
    """Change a column in what the sandbox sends, from a time on, to see the loop react. The data are SIMULATED then."""
    from include.commands.injecting import read_amount

    texts = {"shift": shift, "scale": scale, "missing": missing, "unit-swap": unit_swap}
    kinds = {kind: text for kind, text in texts.items() if text is not None} | ({"freeze": ""} if freeze else {})
    if show or clear:
        if (show and clear) or kinds or start or end:
            raise ConfigError("--list and --clear stand alone: leave the other options out; --clear takes --column")
        _list(pipeline) if show else _clear(pipeline, column)
        return
    if len(kinds) != 1 or column is None or start is None:
        wanted = "--column, --from and one of --shift, --scale, --freeze, --missing and --unit-swap"
        raise ConfigError(f"an injection needs {wanted}: {EXAMPLE}")
    [(kind, text)] = kinds.items()
    _inject(pipeline, column, read_amount(kind, text), _window(start, end), is_open=end is None)


def _window(start: str, end: str | None) -> Window:
    from include.windows import Window

    try:
        return Window.parse(start, end or FOR_GOOD)
    except ConfigError as error:
        raise ConfigError(f"--from and --to: {error}") from None


def _inject(pipeline: str, column: str, amount: Amount, window: Window, is_open: bool) -> None:
    """Let an injection stand once it is proven that it changes what the source sends."""
    from include.commands.injecting import find, injection, place_of, rows_of
    from include.commands.system import known_pipelines
    from include.local import injections

    spec = known_pipelines(pipeline)[pipeline]
    place = place_of(spec, *find(spec, column))
    endpoint, now = _endpoint(place), datetime.now(UTC)
    before = rows_of(place, endpoint, now)
    made = injection(place, amount, window, is_open, before)

    def check() -> None:
        changed, count = _difference(before, rows_of(place, endpoint, now), window)
        if not changed:
            what = f"{pipeline} {made}: none of {count:,} values changes, so nothing is injected; choose another amount"
            raise ConfigError(f"{what}. If it is large enough, the sandbox does not read {injections.folder()}")
        typer.echo(f"{pipeline} {made}, in {place.column.unit}: {changed:,} of {count:,} values change.")

    injections.prove(made, check)
    _tell_what_follows(made)


def _endpoint(place: Place) -> Endpoint:
    """Return how the column's source is reached, where that is this runtime's sandbox or its simulated database.

    Raises
    ------
    ConfigError
        Its connection leads elsewhere, or the sandbox does not answer.
    """
    from include.local import connections, environment, health, preflight
    from include.sandbox.injection import CORE_BANKING
    from include.sources import Endpoint

    name = place.spec.sources[place.source].connection
    is_desk, address = place.service == CORE_BANKING, connections.address_of(name)
    own = connections.core_banking_address() if is_desk else connections.sandbox_address()
    if address != own:
        raise ConfigError(
            f"{place.spec.pipeline} {place.source}: the Airflow Connection {name} leads to {address} and not to the"
            f" sandbox of this runtime, {own}: nothing is injected into a real source. To read the sandbox again, leave"
            f" {VARIABLES[place.service]} out of .env and run ciclo up"
        )
    secrets, start = connections.declared(name), "start everything with make run or ciclo up"
    if is_desk:
        preflight.check_postgres(f"or {start}")
        hash_key = str((secrets.get("extra") or {}).get("hash_key", ""))
        return Endpoint(environment.database_url("core_banking"), hash_key=hash_key)
    if not health.answers(f"{environment.sandbox_url()}/health"):
        raise ConfigError(f"the sandbox at {own} does not answer: {start}")
    return Endpoint(environment.sandbox_url(), secrets.get("password"))


def _difference(before: Rows, after: Rows, window: Window) -> tuple[int, int]:
    """Return how many values of a window are others now, or gone, and how many there were."""
    old, new = (Counter(row for row in rows if window.contains(row[0])) for rows in (before, after))
    return (old - new).total(), sum(count for (_, text), count in old.items() if text is not None)


def _tell_what_follows(made: Injection) -> None:
    typer.echo(f"All that its service {made.service} sends is marked SIMULATED while this stands, for every pipeline.")
    typer.echo("The monitor sees it in windows that are not loaded yet. Rows that are loaded keep the features they")
    typer.echo("came with: loading them again revises the table and the target, no feature. Where all is loaded, start")
    typer.echo(f"anew: ciclo down, an empty CICLO_VAR in .env, ciclo up, inject the same, ciclo run {made.pipeline}.")
    typer.echo(f"Take it back: ciclo inject {made.pipeline} --clear")


def _list(pipeline: str) -> None:
    from include.local import injections

    _check_name(pipeline)
    lines = [f"{pipeline} {each}" for each in injections.standing_now() if each.pipeline == pipeline]
    typer.echo("\n".join(lines or [f"No injection of {pipeline} stands."]))


def _clear(pipeline: str, column: str | None) -> None:
    from include.local import injections

    _check_name(pipeline)
    gone = injections.take_back(pipeline, column)
    for each in gone:
        typer.echo(f"Taken back: {pipeline} {each}")
    if not gone:
        of = f"{column} of {pipeline}" if column else pipeline
        raise ConfigError(f"no injection of {of} stands: ciclo inject {pipeline} --list shows those that do")
    typer.echo("What was loaded meanwhile stays, marked SIMULATED: loading it again revises the table, no feature.")


def _check_name(pipeline: str) -> None:
    """Check that a pipeline is there, or was when something was injected."""
    from include.commands.system import known_pipelines
    from include.local import injections

    if not any(each.pipeline == pipeline for each in injections.standing_now()):
        known_pipelines(pipeline)

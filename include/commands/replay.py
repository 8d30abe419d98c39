"""``ciclo replay``: what policies would have done on a pipeline's history, beside the best that was possible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.errors import ConfigError

if TYPE_CHECKING:
    from include.monitoring.decide import Rules
    from include.reporting.replays import Played
    from include.spec.model import Pipeline

SHOWN = ("never", "every_window", "published", "default")


def replay(
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose history is played.")],
    policy: Annotated[
        list[str] | None, typer.Option("--policy", help="A policy to play; may be given several times.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day, instead of the replay plan's.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Day after the last, instead of what is loaded.")] = None,
    candidate: Annotated[
        str | None, typer.Option("--candidate", help="The recipe to train; the champion's when left out.")
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", min=0, help="Price of all trainings, % of the error; the pipeline's.")
    ] = None,
    all_candidates: Annotated[
        bool,
        typer.Option("--all-candidates", help="Train all candidates; cross-validation chooses one."),
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Search a policy on the first part; report it on the rest.")
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write each policy's error over time to a file.")] = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="Write a page with a chart, HTML.")] = None,
) -> None:
    """Play policies on history with the monitor's own decision, and print what each would have cost and when."""
    from include.commands.system import known_pipelines

    spec = known_pipelines(pipeline)[pipeline]
    names = list(dict.fromkeys(policy or [*SHOWN, spec.monitoring.policy]))
    _check(spec, names, candidate, all_candidates)
    played, rules = _play(spec, names, (start, end), candidate, price, all_candidates)
    _tell(played, csv, chart)
    if suggest:
        _advise(played, rules)


def _check(spec: Pipeline, names: list[str], candidate: str | None, all_candidates: bool) -> None:
    """Refuse names that are not known before anything is read.

    Raises
    ------
    ConfigError
        With the way out.
    """
    from include.spec.faults import one_of
    from include.spec.monitoring import POLICIES

    known = POLICIES | spec.monitoring.policies
    for name in names:
        if name not in known:
            own = f"one of your own goes under monitoring.policies in {spec.where('monitoring')}"
            raise ConfigError(f"{spec.pipeline} has no policy {name!r}: {one_of(name, known)}; {own}")
    if candidate is not None and all_candidates:
        raise ConfigError("--all-candidates trains every candidate: leave --candidate out")
    if candidate is not None and candidate not in spec.training.candidates:
        choice = one_of(candidate, spec.training.candidates)
        raise ConfigError(f"{spec.pipeline} has no candidate {candidate!r}: {choice}")


def _play(
    spec: Pipeline,
    names: list[str],
    span: tuple[str | None, str | None],
    candidate: str | None,
    price_pct: float | None,
    all_candidates: bool,
) -> tuple[Played, Rules]:
    """Read what the warehouse holds, fit what has to be fitted, and play each policy."""
    from dataclasses import replace

    from include.commands import replaying
    from include.commands.system import warehouse
    from include.monitoring.decide import Rules
    from include.monitoring.gate import train
    from include.monitoring.replay import price, walk
    from include.monitoring.schedule import optima
    from include.reporting.replays import Played
    from include.spec.monitoring import Costs
    from include.warehouse.engine import answering

    engine = warehouse()
    with answering():
        recipe = "" if all_candidates else candidate or replaying.champions_candidate(engine, spec)
        ground = replaying.read_ground(engine, spec, replaying.windows_of(engine, spec, *span))
        simulated = replaying.simulated_data(engine, spec)
    matrix = train(ground, recipe)
    rules = Rules.of(spec)
    if price_pct is not None:
        rules = replace(rules, costs=Costs(training_pct=price_pct))
    walks = {name: walk(matrix, replace(rules, policy=spec.monitoring.policy_named(name))) for name in names}
    unit, how = spec.sources[spec.main].columns[spec.target.column].unit, replaying.told(recipe)
    return Played(spec.pipeline, unit, how, matrix, price(matrix, rules), walks, optima(matrix), simulated), rules


def _tell(played: Played, csv: Path | None, chart: Path | None) -> None:
    from include.local.report import console
    from include.reporting.replay_page import page
    from include.reporting.replays import notes, table, to_csv

    shown = table(played)
    console().print(shown)
    for line in notes(played):
        typer.echo(line)
    if csv is not None:
        csv.write_text(to_csv(played), encoding="utf-8")
        typer.echo(f"Error over time: {csv}")
    if chart is not None:
        chart.write_text(page(played, shown), encoding="utf-8")
        typer.echo(f"Chart: {chart}")


def _advise(played: Played, rules: Rules) -> None:
    from include.monitoring.suggest import suggest
    from include.reporting.replays import advice

    for line in advice(suggest(played.matrix, rules), played):
        typer.echo(line)

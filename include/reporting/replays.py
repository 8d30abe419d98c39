"""What a replay tells: a table of policies beside the best that was possible, and the error over time as CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from include.monitoring.schedule import Price, Schedule

if TYPE_CHECKING:
    from rich.table import Table

    from include.monitoring.matrix import Matrix
    from include.monitoring.replay import Step, Walk
    from include.monitoring.suggest import Suggestion

COLUMNS = (
    *("pipeline", "policy", "window_start_at", "window_end_at", "is_simulated", "champion_trained_at", "candidate"),
    *("row_count", "mae", "absolute_error_sum", "verdict", "outcome", "is_probed", "reasons"),
)


@dataclass(frozen=True)
class Played:
    """A replay of several policies on one history.

    Attributes
    ----------
    unit : str
        The target's.
    how : str
        What a training does in it, in words.
    walks : dict of str to Walk
        By policy.
    best : sequence of Schedule
        The best schedule of each size.
    simulated : str
        Which of the data are SIMULATED; nothing where none is.
    """

    pipeline: str
    unit: str
    how: str
    matrix: Matrix
    prices: Price
    walks: dict[str, Walk]
    best: Sequence[Schedule]
    simulated: str = ""

    @property
    def rows(self) -> int:
        """How many rows every policy was judged on."""
        return sum(step.rows for step in next(iter(self.walks.values())).steps)

    def label(self, place: int) -> str:
        """Return a window's name: the month it ends with where all begin in months of their own, else its first day."""
        window = self.matrix.periods[place].window
        return f"{window.end - timedelta(1):%Y-%m}" if self.is_monthly else f"{window.start:%Y-%m-%d}"

    @property
    def is_monthly(self) -> bool:
        """Whether no two windows begin in the same month."""
        months = [f"{period.window.start:%Y-%m}" for period in self.matrix.periods]
        return len(set(months)) == len(months)


def table(played: Played) -> Table:
    """Return a row a policy, and one for the best schedule of each size; the cheapest of those is marked."""
    from rich.table import Table

    first, last = played.matrix.periods[0].window.start, played.matrix.periods[-1].window.end
    title = f"{played.pipeline} replayed, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    shown = Table("policy", title=f"{title}, SIMULATED" if played.simulated else title)
    costs = [f"{name} {played.prices.costs.unit or ''}".strip() for name in ("cost", "regret")]
    for name in ("trainings", "probes", "promotions", f"error {played.unit}", "error %", *costs):
        shown.add_column(name, justify="right")
    shown.add_column("trained after", overflow="fold")
    for name, walk in played.walks.items():
        shown.add_row(name, *_figures(played, walk.schedule, walk))
    shown.add_section()
    cheapest = played.prices.cheapest(played.best)
    for schedule in played.best:
        is_cheapest, size = schedule == cheapest, len(schedule.trainings)
        name, style = (f"best of {size}, cheapest", "bold") if is_cheapest else (f"best of {size}", "")
        shown.add_row(name, *_figures(played, schedule), style=style)
    return shown


def notes(played: Played) -> Iterator[str]:
    """Yield what the table's words mean, a line each."""
    prices, costs, every = played.prices, played.prices.costs, len(played.matrix.periods)
    yield (
        f"{played.how} The first training, after {played.label(played.matrix.first)}, is everybody's and not counted;"
        f" {prices.possible} more were possible in the {every} windows, judged on {played.rows:,} rows."
    )
    if costs.unit is None:
        cost = f"that, and {costs.training_pct:g} % times the share of the possible trainings that were asked for"
    else:
        cost = (
            f"{costs.error:g} {costs.unit} for each {played.unit} of error in a row, {costs.training:g} for a training"
            f" and {costs.promotion:g} for a promotion"
        )
    yield (
        f"error %: whole absolute error against training in every window. cost: {cost}; regret: cost above the"
        " cheapest schedule, which only somebody who knew the future could have chosen. Probes are refits to compare"
        " with, on half of what they would learn from next; they are no trainings and cost nothing here."
    )
    yield from _refusals(played)
    if played.simulated:
        yield played.simulated


def _refusals(played: Played) -> Iterator[str]:
    """Yield why challengers were refused, a line for each reason, whichever policies asked for the training."""
    steps = [(place, step) for walk in played.walks.values() for place, step in enumerate(walk.steps) if step.refusal]
    for place, champion, refusal in sorted({(place, step.champion or (), step.refusal) for place, step in steps}):
        stays = f"the {champion[1]} of {played.label(champion[0])} stays" if champion else "nobody stands yet"
        for reason in refusal:
            yield f"After {played.label(place)} {stays}: {reason}."


def advice(result: Suggestion, played: Played) -> Iterator[str]:
    """Yield what a search for a better policy has found, a line each, and whether it held on data it had not seen."""
    until, name, own = played.label(result.split), result.name, played.prices.costs.unit
    unit = f" {own}" if own else ""
    yield f"Of {result.tried} policies, on the windows up to {until}, the cheapest is: {name}."
    for part, figures in (("there", result.first), ("on the windows after it", result.rest)):
        told = "; ".join(
            f"{who} costs {one.cost:,.2f}{unit}, trainings {one.trainings}, regret {one.regret:,.2f}"
            for who, one in figures.items()
        )
        yield f"  {part}: {told}"
    if name == "default":
        yield "Nothing was cheaper than the default: keep it."
    elif result.is_better:
        yield (
            "It was cheaper than the default on both parts. That is one history: put it under monitoring.policies in"
            " pipeline.yaml if you have a reason to believe in it, too."
        )
    elif result.is_tie:
        yield "On the windows it was not chosen on it costs the same as the default: a tie. Keep the default."
    else:
        yield "On the windows it was not chosen on it was dearer than the default: it was luck. Keep the default."


def to_csv(played: Played) -> str:
    """Return the error over time as CSV, a row a policy and window; times are UTC."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for name, walk in played.walks.items():
        for step in walk.steps:
            writer.writerow({"pipeline": played.pipeline, "policy": name, **_record(played, step)})
    return text.getvalue()


def _record(played: Played, step: Step) -> dict[str, Any]:
    look = step.look
    return {
        "window_start_at": look.window.start.isoformat(),
        "window_end_at": look.window.end.isoformat(),
        "is_simulated": bool(played.simulated),
        "champion_trained_at": look.trained_at.isoformat() if look.trained_at else "",
        "candidate": step.champion[1] if step.champion else "",
        "row_count": step.rows,
        "mae": f"{step.error / step.rows:.6g}" if step.rows else "",
        "absolute_error_sum": f"{step.error:.9g}",
        "verdict": look.verdict,
        "outcome": look.outcome,
        "is_probed": look.probe is not None,
        "reasons": "; ".join((*step.reasons, *step.refusal)),
    }


def _figures(played: Played, schedule: Schedule, walk: Walk | None = None) -> list[str]:
    prices = played.prices
    return [
        str(len(schedule.trainings)),
        str(walk.probes) if walk else "-",
        str(walk.promotions) if walk else "-",
        f"{schedule.error / max(played.rows, 1):.4g}",
        f"{prices.excess_pct(schedule):+.1f}",
        f"{prices.cost(schedule):,.2f}",
        f"{prices.regret(schedule, played.best):,.2f}",
        ", ".join(_stretches(played, schedule.trainings)) or "-",
    ]


def _stretches(played: Played, places: Sequence[int]) -> Iterator[str]:
    """Yield windows by name, three or more in a row as the first and the last of them."""
    # Windows in a row keep the same distance from their rank.
    for _, ranked in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        stretch = [played.label(place) for _, place in ranked]
        yield f"{stretch[0]} to {stretch[-1]}" if len(stretch) > 2 else ", ".join(stretch)

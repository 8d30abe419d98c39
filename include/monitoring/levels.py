"""Where the mean of a subject has gone, and whether that is its level or a few wild values. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from include.monitoring.histogram import Counts
from include.monitoring.limits import Limits, is_beyond
from include.monitoring.measure import Measure

NEAR_ZERO = 0.05  # of the deviation: a mean closer to zero is no measure of anything
FEW = 0.01  # of the values, which may be wild without being the level
SURE = 3.0  # standard errors beyond which a shift is no chance
NO_PROOF = (
    "The limit in per cent is exceeded, as its rule counts, but that is no proof that anything changed: it is a shift"
    " which chance may do"
)
BLIND = 2.0  # times the limit that is asked for: where chance may do more, a shift beyond that limit is unknown


@dataclass(frozen=True)
class Level:
    """The means of a subject in a window and in its reference, in the subject's unit.

    Attributes
    ----------
    before, now : float
        Exact means.
    held_before, held_now : float
        Means in which values beyond the ends of the reference's middle 99.9 % count as those ends.
    deviation : float
        Of the reference, of values held alike.
    error : float
        Standard error of the difference of the means; 0 where it is not known.
    own_error : float
        Standard error of the reference's mean.
    """

    before: float
    now: float
    held_before: float
    held_now: float
    deviation: float
    error: float
    own_error: float

    @classmethod
    def of(cls, reference: Counts, counts: Counts, worth: float) -> Level:
        """Return the level of counts with at least one value on either side; see `usual_distances` for `worth`."""
        deviation = reference.held_deviation
        own, other = (deviation / math.sqrt(max(1.0, side.values * worth)) for side in (reference, counts))
        means = (reference.mean, counts.mean, reference.held_mean, counts.held_mean)
        return cls(*means, deviation, math.hypot(own, other), own)


def shift_in_deviations(level: Level, counts: Counts, limits: Limits) -> Measure:
    """Judge the shift of the mean in deviations of the reference."""
    figure, limit = "mean_shift_sd", max(limits.mean_shift_sd, _sure(level))
    if not level.deviation > 0:
        return _measure(figure, None, "unknown", "the reference never varies", level, limit, counts)
    shift, held = ((now - before) / level.deviation for now, before in _pairs(level))
    moved = f"the mean moved {shift:+.2f} deviations, from {level.before:.4g} to {level.now:.4g}"
    return _judged(figure, (shift, held), moved, (limits.mean_shift_sd, limit), level, counts)


def shift_in_per_cent(level: Level, counts: Counts, limits: Limits) -> Measure:
    """Judge the shift of the mean in per cent of the reference's.

    Unknown where that mean is as good as zero, with the value that a rule in per cent would go by all the same.
    """
    figure, limit = "mean_shift_pct", limits.mean_shift_pct
    base = abs(level.before)
    if base <= level.own_error or base < NEAR_ZERO * level.deviation or base == 0:
        near = f"the reference's mean {level.before:.3g} is as good as zero beside its deviation {level.deviation:.3g}"
        unsure = 100 * (level.now - level.before) / base if base else None
        return _measure(figure, unsure, "unknown", f"{near}: a per cent of it says nothing", level, limit, counts)
    shift, held = (100 * (now - before) / abs(before) if before else math.inf for now, before in _pairs(level))
    moved = f"the mean moved {shift:+.1f} %, from {level.before:.4g} to {level.now:.4g}"
    if limit is None:
        return _measure(figure, shift, "ok", "", level, None, counts)
    one = _judged(figure, (shift, held), moved, (limit, limit), level, counts)
    if one.status == "breach" and abs(level.now - level.before) < SURE * level.error:
        sure = f"({SURE:g} standard errors are {100 * SURE * level.error / base:.1f} %)"
        return replace(one, reason=f"{one.reason}. {NO_PROOF} {sure}")
    return one


def _judged(
    figure: str, shifts: tuple[float, float], moved: str, limits: tuple[float, float], level: Level, counts: Counts
) -> Measure:
    """Judge the exact shift by the larger limit, but by the held one where a few wild values make the difference.

    Where chance may do far more than is asked for, a shift between both is unknown.
    """
    (shift, held), (tolerated, limit) = shifts, limits
    is_exact, is_held = (is_beyond(abs(one), limit) for one in shifts)
    told, status = "", "ok"
    if is_exact != is_held and (wild := _wild(level, counts)):
        unit = "%" if figure == "mean_shift_pct" else "deviations"
        told = f", but {wild} did it: without such values it moved {held:+.3g} {unit}"
        is_exact = is_held
    elif is_beyond(abs(shift), tolerated) and not is_exact:
        told = f", no more than chance may do: {limit:.3g}"
        status = "unknown" if limit > BLIND * tolerated else "ok"
    if is_exact:
        return _measure(figure, shift, "breach", f"{moved}{told}; allowed are ±{limit:.3g}", level, limit, counts)
    return _measure(figure, shift, status, f"{moved}{told}" if told else "", level, limit, counts)


def _wild(level: Level, counts: Counts) -> str:
    """Say which few values are far out; empty where so many are that they are the window's level."""
    if abs(level.before - level.held_before) > abs(level.now - level.held_now):
        return "single wild values of the reference"
    if counts.beyond > max(1.0, FEW * counts.values):
        return ""
    rows = f"{counts.beyond} of {counts.values} rows" if counts.beyond > 1 else f"one row of {counts.values}"
    return f"{rows} beyond the whole reference"


def _sure(level: Level) -> float:
    return SURE * level.error / level.deviation if level.deviation > 0 else 0.0


def _pairs(level: Level) -> tuple[tuple[float, float], tuple[float, float]]:
    return (level.now, level.before), (level.held_now, level.held_before)


def _measure(
    figure: str, value: float | None, status: str, reason: str, level: Level, limit: float | None, counts: Counts
) -> Measure:
    return Measure("", "", figure, value, status, reason, level.before, limit, rows=counts.values)

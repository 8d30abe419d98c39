"""How the slices of a window differ from those of the reference: the level of each feature, and the mix of rows. Pure.

Many slices times many features are many chances of a false alarm, and rows resemble their neighbours. So each figure
is held against how such means wander in the reference (`slow`, as in the joint test), and all figures of a window
together against one probability (Holm, 1979, Scandinavian Journal of Statistics 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from include.monitoring.histogram import WindowCounts
from include.monitoring.limits import Limits, is_beyond
from include.monitoring.measure import Measure
from include.monitoring.reference import Reference
from include.monitoring.slices import LEAST_PARTS, TOO_MANY, Slices, Sums, in_parts
from include.monitoring.slow import squared_error, variances_of
from include.monitoring.usual import runs_of

ALL, ROWS = "features", "rows"


@dataclass(frozen=True)
class Shift:
    """A figure that is known and not judged yet: how far it is off, and the least that is worth a word."""

    measure: Measure
    size: float
    error: float
    degrees: int
    least: float
    text: str


def measure_slices(
    reference: Reference | None,
    sums: Mapping[str, Sums],
    counted: WindowCounts,
    features: Sequence[str],
    names: Sequence[str],
    limits: Limits,
) -> list[Measure]:
    """Measure the slices that some features cut a window into.

    Parameters
    ----------
    sums : Mapping of str to Sums
        Of the window, by slice; see `watched`.
    names : sequence of str
        Features that cut.

    Returns
    -------
    list of Measure
        Of each slice the `mean_shift_sd` of each feature and, of the subject ``rows``, its `row_share`, the threshold
        either way. Of a slice that nothing is known of one is unknown, of the subject ``features``.
    """
    figures: list[Measure | Shift] = []
    for name in names:
        own = reference.slices.get(name) if reference else None
        if own is None or (why := _unknown(own, counted)):
            why = why if own else f"the version's reference keeps no slices of {name}: train again"
            figures.append(Measure("covariate", ALL, "mean_shift_sd", None, "unknown", why, slice=name))
            continue
        labels = [label for label in sums if label.startswith((f"{name}=", f"{name} "))]
        for label in dict.fromkeys([*own.labels, *labels]):
            figures += _levels(own, label, sums.get(label), counted.span_ns, features, limits)
        figures += _mix(own, {label: sums[label].rows for label in labels}, counted, limits)
    return _judged(figures, limits.p_value)


def levels_held(chances: Sequence[float], level: float) -> np.ndarray:
    """Return the level that each of some p-values is held against, so that all together err with `level` (Holm).

    Examples
    --------
    >>> levels_held([0.9, 0.01, 0.04], 0.06).tolist()
    [0.03, 0.02, 0.03]
    """
    order, steps = np.argsort(chances, kind="stable"), level / np.arange(len(chances), 0, -1)
    passed = np.append(np.asarray(chances)[order] <= steps, False)
    held = np.empty(len(chances))
    held[order] = steps[np.minimum(np.arange(len(chances)), passed.argmin())]
    return held


def _judged(figures: Sequence[Measure | Shift], level: float) -> list[Measure]:
    """Return all figures, the known ones judged together."""
    shifts = [one for one in figures if isinstance(one, Shift)]
    chances = [2 * float(student.sf(abs(one.size) / one.error, one.degrees)) for one in shifts]
    held = iter(levels_held(chances, level) if chances else ())
    return [_told(one, next(held)) if isinstance(one, Shift) else one for one in figures]


def _told(shift: Shift, level: float) -> Measure:
    limit = max(shift.least, float(student.isf(level / 2, shift.degrees)) * shift.error)
    if is_beyond(abs(shift.size), limit):
        return replace(
            shift.measure, status="breach", threshold=limit, reason=f"{shift.text}; allowed are ±{limit:.3g}"
        )
    is_large = is_beyond(abs(shift.size), shift.least)
    reason = f"{shift.text}, no more than chance may do among all slices" if is_large else ""
    return replace(shift.measure, threshold=limit, reason=reason)


def _unknown(own: Slices, counted: WindowCounts) -> str:
    """Say why nothing is known of any slice of a feature; empty where something is."""
    if not own.labels:
        return TOO_MANY
    if not counted.rows:
        return "the window has no rows"
    return "" if own.name in counted.columns else "the window's rows do not have it"


def _levels(
    own: Slices, label: str, sums: Sums | None, span_ns: int | None, features: Sequence[str], limits: Limits
) -> Iterator[Measure | Shift]:
    """Yield the level of each feature in one slice."""
    rows = sums.rows if sums else 0
    place = own.labels.index(label) if label in own.labels else None
    why = _unjudged(own, place, rows, limits)
    if why or place is None or sums is None:
        yield Measure("covariate", ALL, "mean_shift_sd", None, "unknown", why, slice=label, rows=rows)
        return
    for name in features:
        if name == own.name:
            continue
        if name not in own.subjects:
            why = "the reference has no value of it"
            yield Measure("covariate", name, "mean_shift_sd", None, "unknown", why, slice=label)
            continue
        yield _level(own, place, own.subjects.index(name), sums, span_ns, limits)


def _unjudged(own: Slices, place: int | None, rows: int, limits: Limits) -> str:
    """Say why no level in a slice can be judged; empty where they can."""
    if place is None:
        return "the version's reference has no such rows"
    before, parts = own.part_rows[place], int(np.count_nonzero(own.part_rows[place]))
    if before.sum() < limits.min_rows or rows < limits.min_rows:
        return f"{before.sum()} rows in the reference and {rows} in the window are few, {limits.min_rows} are needed"
    if parts < LEAST_PARTS:
        return f"it has rows in {parts} parts of the reference, {LEAST_PARTS} are needed"
    return ""


def _level(own: Slices, place: int, number: int, sums: Sums, span_ns: int | None, limits: Limits) -> Measure | Shift:
    """Return how far the mean of one feature moved in one slice, or why that is unknown."""
    values, before = int(sums.values[number]), int(own.values[place, number])
    measure = Measure("covariate", own.subjects[number], "mean_shift_sd", None, "unknown", slice=own.labels[place])
    measure = replace(measure, rows=values)
    if min(values, before) < limits.min_rows:
        few = f"{before} values in the reference and {values} in the window are few, {limits.min_rows} are needed"
        return replace(measure, reason=few)
    before_mean, deviation = float(own.means[place, number]), float(own.deviations[place, number])
    if not deviation > 0:
        return replace(measure, reason="the reference never varies there")
    mean = float(own.origins[number] + sums.totals[number] / values)
    size = (mean - before_mean) / deviation
    error = own.squared_error(place, number, values, span_ns) ** 0.5
    measure = replace(measure, value=size, status="ok", reference=before_mean)
    text = f"the mean moved {size:+.2f} deviations, from {before_mean:.4g} to {mean:.4g}"
    return Shift(measure, size, error, int(own.degrees[place]), limits.mean_shift_sd, text)


def _mix(own: Slices, rows: Mapping[str, int], counted: WindowCounts, limits: Limits) -> Iterator[Measure | Shift]:
    """Yield the share of rows that each slice holds."""
    parts = own.part_rows.shape[1]
    few = f"the window has {counted.rows} rows and the reference {parts} parts: {limits.min_rows} and {LEAST_PARTS}"
    is_known = counted.rows >= limits.min_rows and parts >= LEAST_PARTS
    before, degrees = _shares(own, counted) if is_known else ({}, 0)
    for label in dict.fromkeys([*own.labels, *rows]):
        now = rows.get(label, 0) / counted.rows
        measure = Measure("covariate", ROWS, "row_share", now, "ok", slice=label, rows=rows.get(label, 0))
        if label in before:
            share, error, usual = before[label]
            text = f"{now:.1%} of the rows are of this slice, in the reference it was {share:.1%}"
            least = max(limits.share_shift, usual)
            yield Shift(replace(measure, reference=share), now - share, error, degrees, least, text)
        else:
            why = f"{few} are needed" if label in own.labels else "the version's reference has no such rows"
            yield replace(measure, status="unknown", reason=why)


def _shares(own: Slices, counted: WindowCounts) -> tuple[dict[str, tuple[float, float, float]], int]:
    """Return each slice's share in the reference, the error of a window's, how far a stretch as long is off; degrees.

    A calendar deals slices out unevenly: no share is worth a word that a stretch as long of the reference has as well.
    """
    of_part, total = own.part_rows.sum(axis=0), int(own.part_rows.sum())
    rows = np.repeat(of_part[:, None], len(own.labels), axis=1).astype(np.float64)
    variances, degrees = variances_of(rows, own.part_rows.T.astype(np.float64))
    length = in_parts(counted.rows, float(of_part.mean()), counted.span_ns, own.span_ns)
    before = own.part_rows.sum(axis=1) / total
    spread = np.maximum(before * (1 - before), 1e-24)
    window = np.maximum([squared_error(one, length) for one in variances.T], spread / counted.rows)
    errors = np.sqrt(window + np.maximum(variances[0] / len(of_part), spread / total))
    runs = runs_of(own.part_rows.T, counted.rows)
    usual = np.abs(runs / runs.sum(axis=1, keepdims=True) - before).max(axis=0)
    figures = np.column_stack([before, errors, usual]).tolist()
    return {label: tuple(each) for label, each in zip(own.labels, figures, strict=True)}, degrees

"""How a window differs from what a model version learnt from: every figure with its status and, in words, why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from include.monitoring.histogram import Counts, WindowCounts, count_rows
from include.monitoring.joint import Moved, Wander, shifts_jointly, worth_of
from include.monitoring.levels import Level, shift_in_deviations, shift_in_per_cent
from include.monitoring.limits import Limits, is_beyond, judge
from include.monitoring.measure import Measure
from include.monitoring.reference import LOSS, PREDICTION, TARGET, TIME, Reference, Subject
from include.monitoring.slice_drift import measure_slices
from include.monitoring.slices import Sums, watched
from include.monitoring.usual import figures_of, usual_distances, usual_missing, usual_share

KINDS = {TARGET: "target", PREDICTION: "prediction", LOSS: "concept"}
JOINT, ALL = "joint", "features"
FIGURES = ("psi", "js", "ks", "mean", "mean_shift_sd", "mean_shift_pct", "out_of_range_share")
WORDS = {"psi": "PSI", "js": "Jensen–Shannon distance", "ks": "Kolmogorov–Smirnov distance"}
# Where a shift twice as large as the limit asks for would be usual, nobody can tell: psi grows as its square.
BLIND = {"psi": 4.0, "js": 2.0, "ks": 2.0}
BLIND_SHARE = 0.1  # the same of shares, beside that of the reference
PLAIN_SHARE = 0.5  # above what is asked: no chance explains that
NEARLY_ALL = 0.9  # of the values missing: as good as all
SHORT = "the reference is too short, or wanders too much, to tell what is usual for so many rows"
SHARES = {
    "out_of_range_share": "lie outside all that the reference had",
    "outlier_share": "lie outside the middle 99.9 % of the reference",
    "unseen_share": "are values that the reference never had",
}


def measure_drift(
    reference: Reference | None,
    rows: Any,
    features: Sequence[str],
    limits: Limits | None = None,
    slices: Sequence[str] = (),
) -> list[Measure]:
    """Measure a window's features, all of them jointly, its target, prediction and loss where it has them, its slices.

    Parameters
    ----------
    reference : Reference or None
        Of the version; None where nobody kept it, and everything is unknown.
    rows : DataFrame, pyarrow Table or RecordBatch, Mapping of str to array, or an iterable of any of these
        The window's rows; see `count_rows`. Their order changes nothing.
    features : sequence of str
        What the model reads.
    slices : sequence of str
        Features that cut the window into slices.

    Returns
    -------
    list of Measure
        Of each subject its figures, those of the first feature first; then the joint ones: the p-value of all
        features together (the subject is ``features``, the statistic ``p_value``), and of each feature its `shift` in
        standard errors, a breach where it is named as moved; then those of slices, see `measure_slices`.
    """
    limits, sums = limits or Limits(), dict[str, Sums]()
    grids = reference.grids if reference else {}
    named = {name: one for name, one in reference.slices.items() if name in slices} if reference else {}
    counted = count_rows(grids, watched(named, grids, rows, sums), TIME)
    sliced = measure_slices(reference, sums, counted, features, slices, limits)
    return _of_all(reference, counted, features, limits) + sliced


def _of_all(
    reference: Reference | None, counted: WindowCounts, features: Sequence[str], limits: Limits
) -> list[Measure]:
    """Return the figures of all rows of a window."""
    wander = _wander(reference, tuple(features)) if reference else None
    measures: list[Measure] = []
    late = [name for name in KINDS if name in counted.columns and name not in features]
    for name in [*features, *late]:
        subject = reference.subjects.get(name) if reference else None
        own = _of_subject(subject, name, counted, limits)
        measures += [replace(one, kind=KINDS.get(name, "covariate"), subject=name) for one in own]
    return measures + list(_jointly(wander, counted, limits))


@lru_cache(maxsize=4)
def _wander(reference: Reference, features: tuple[str, ...]) -> Wander | None:
    """Return what the joint test knows of a reference; windows of one version are measured after each other."""
    subjects = [reference.subjects[name] for name in features if name in reference.subjects]
    return Wander(subjects) if subjects else None


def _of_subject(subject: Subject | None, name: str, counted: WindowCounts, limits: Limits) -> Iterator[Measure]:
    """Yield the figures of one subject, or say of each why it is unknown."""
    counts = counted.subjects.get(name)
    why = _unknown(subject, name, counted, counts, limits)
    worth = worth_of(subject) if subject is not None and subject.grid is not None else 1.0
    if name not in KINDS:  # of a target that comes late none is missing
        yield _missing(subject, counts, limits, worth, why)
    if why or subject is None or counts is None:
        for figure in FIGURES:
            yield Measure("", "", figure, None, "unknown", why, rows=counts.values if counts else 0)
        return
    yield from _shape(subject, counts, limits, worth)
    level = Level.of(subject.whole, counts, worth)
    yield Measure("", "", "mean", counts.mean, "ok", "", subject.whole.mean, rows=counts.values)
    yield shift_in_deviations(level, counts, limits)
    yield shift_in_per_cent(level, counts, limits)
    yield from _shares(subject, counts, limits, worth)


def _unknown(subject: Subject | None, name: str, counted: WindowCounts, counts: Counts | None, limits: Limits) -> str:
    """Say why a subject's figures cannot be known; empty where they can."""
    if subject is None:
        return "the model version's reference does not know it: train again"
    if not counted.rows:
        return "the window has no rows"
    if name not in counted.columns:
        return "the window's rows do not have it"
    if counts is None or subject.grid is None:
        return "the reference has no value of it"
    if subject.whole.values < limits.min_rows:
        return f"the reference has {subject.whole.values} values of it, {limits.min_rows} are needed"
    if not counts.values:
        return f"none of {counts.rows} rows has a value"
    if counts.values < limits.min_rows:
        return f"{counts.values} values are few, {limits.min_rows} are needed"
    return ""


def _shape(subject: Subject, counts: Counts, limits: Limits, worth: float) -> Iterator[Measure]:
    """Yield psi, js and ks; js and psi by bins, ks by cells."""
    own = figures_of(subject, counts)
    most = usual_distances(subject, counts.values, worth)
    for figure, value in own.items():
        tolerated = getattr(limits, figure)
        status, limit = judge(value, tolerated, most[figure], BLIND[figure] * tolerated)
        above, reason = f"{WORDS[figure]} {value:.3g} is above", ""
        if status == "breach":
            reason = f"the shape moved: {above} {limit:.3g}"
        elif status == "unknown":
            reason = f"{SHORT}: {above} {tolerated:g}, but up to {most[figure]:.3g} may be"
        elif is_beyond(value, tolerated):
            reason = f"{above} {tolerated:g}, but up to {limit:.3g} is usual for so many rows"
        yield Measure("", "", figure, value, status, reason, None, limit, rows=counts.values)


def _missing(subject: Subject | None, counts: Counts | None, limits: Limits, worth: float, why: str) -> Measure:
    """Judge the share of rows without a value; where nearly all are, that is a breach whatever stretches had."""
    figure = "missing_share"
    if subject is None or counts is None or not counts.rows:
        return Measure("", "", figure, None, "unknown", why)
    share, before = counts.missing / counts.rows, subject.whole.missing / subject.whole.rows
    stretch = min(usual_missing(subject, counts.rows), NEARLY_ALL)
    tolerated = before + limits.missing_share
    usual = usual_share(subject.whole.missing, subject.whole.rows, counts.rows, worth)
    plain = min(max(tolerated + PLAIN_SHARE, stretch), NEARLY_ALL)
    status, limit = judge(share, max(tolerated, stretch), usual, before + BLIND_SHARE, plain)
    reason = f"{share:.1%} of {counts.rows} rows have no value; in the reference it was {before:.1%}"
    if not counts.values:
        status = "breach"
    elif status == "unknown":
        reason += f". {SHORT.capitalize()}"
    elif status == "ok":
        reason = f"{reason}, up to {limit:.1%} is usual" if is_beyond(share, tolerated) else ""
    return Measure("", "", figure, share, status, reason, before, limit, rows=counts.rows)


def _shares(subject: Subject, counts: Counts, limits: Limits, worth: float) -> Iterator[Measure]:
    """Yield the shares of values out of range, and of outliers or of values never seen."""
    whole = subject.whole
    yield _share("out_of_range_share", (0, whole), (counts.beyond, counts), limits, worth)
    if subject.grid is not None and subject.grid.is_exact:
        unseen = int(counts.cells[0::2].sum())
        yield _share("unseen_share", (0, whole), (unseen, counts), limits, worth)
    else:
        outer = [int(side.cells[[0, -1]].sum()) for side in (whole, counts)]
        yield _share("outlier_share", (outer[0], whole), (outer[1], counts), limits, worth)


def _share(figure: str, before: tuple[int, Counts], now: tuple[int, Counts], limits: Limits, worth: float) -> Measure:
    (few, whole), (own, counts) = before, now
    share, reference = own / counts.values, few / whole.values
    tolerated, usual = reference + getattr(limits, figure), usual_share(few, whole.values, counts.values, worth)
    status, limit = judge(share, tolerated, usual, reference + BLIND_SHARE, tolerated + PLAIN_SHARE)
    reason = f"{own} of {counts.values} values {SHARES[figure]}; {limit:.2%} may" if is_beyond(share, tolerated) else ""
    reason += f". {SHORT.capitalize()}" if status == "unknown" else ""
    return Measure("", "", figure, share, status, reason, reference, limit, rows=counts.values)


def _jointly(wander: Wander | None, counted: WindowCounts, limits: Limits) -> Iterator[Measure]:
    """Yield the joint p-value, and how far each feature's level is from the reference's in standard errors."""
    if wander is None or not counted.rows:
        why = "the window has no rows" if wander else "there is no reference of any feature: train again"
        yield Measure(JOINT, ALL, "p_value", None, "unknown", why, threshold=limits.p_value, rows=counted.rows)
        return
    result = shifts_jointly(wander, counted.subjects, limits, wander.parts_of(counted.span_ns))
    yield _p_value(result, counted.rows, limits)
    for name, shift in result.shifts.items():
        is_moved, limit = name in result.moved, result.limits[name]
        reason = f"its level is {shift:+.1f} standard errors off, {limit:.1f} are allowed" if is_moved else ""
        status = "breach" if is_moved else "ok"
        yield Measure(JOINT, name, "shift", shift, status, reason, 0.0, limit, rows=counted.subjects[name].values)


def _p_value(result: Moved, rows: int, limits: Limits) -> Measure:
    if result.p_value is None:
        return Measure(JOINT, ALL, "p_value", None, "unknown", result.reason, threshold=limits.p_value, rows=rows)
    is_moved = bool(result.moved)
    reason = f"so large a shift comes by chance in {result.p_value:.2%} of windows; moved: {', '.join(result.moved)}"
    reason = "; ".join(part for part in (reason if is_moved else "", result.reason) if part)
    status = "breach" if is_moved else "ok"
    return Measure(JOINT, ALL, "p_value", result.p_value, status, reason, threshold=limits.p_value, rows=rows)

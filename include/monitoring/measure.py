"""One figure of a window, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NO_LIMIT = "no limit is set"


@dataclass(frozen=True)
class Measure:
    """One figure of a window, and what it means.

    Attributes
    ----------
    kind : str
        covariate, joint, target, prediction, concept, error, bias, business, staleness, quality or serving.
    subject, statistic : str
        What was measured (a feature, target, prediction, loss, rows) and how (psi, ks, r2, mae …).
    value : float or None
        None where it is undefined.
    status : str
        ok, breach or unknown.
    reason : str
        Why it is a breach or unknown, in words with figures.
    reference, threshold : float or None
        What it is compared with, and its limit.
    slice : str
        Empty for all rows, else such as ``hour_of_day=8``.
    rows : int
        Rows it was measured on.
    """

    kind: str
    subject: str
    statistic: str
    value: float | None
    status: str
    reason: str = ""
    reference: float | None = None
    threshold: float | None = None
    slice: str = ""
    rows: int = 0


def out_of_limits(measures: Sequence[Measure]) -> Iterator[str]:
    """Yield a line for each subject with a breach or an unknown figure: its breaches first, then what is unknown."""
    for subject in dict.fromkeys(one.subject for one in measures):
        own = [one for one in measures if one.subject == subject]
        parts = [f"{_name(one)} is a breach: {one.reason}" for one in own if one.status == "breach"]
        if unknown := [one for one in own if one.status == "unknown"]:
            others = f" and {len(unknown) - 1} more are" if len(unknown) > 1 else " is"
            parts.append(f"{_name(unknown[0])}{others} unknown: {unknown[0].reason}")
        if parts:
            yield f"{subject}: {'; '.join(parts)}"


def _name(one: Measure) -> str:
    return f"{one.statistic} at {one.slice}" if one.slice else one.statistic


def moved_features(measures: Sequence[Measure]) -> list[str]:
    """Return what moved in a window as a whole: features that did jointly, the farthest first; target, prediction.

    It is what a decision names, what its evidence keeps and what the page shows. A single statistic of one of many
    features is beyond its limit by chance too often, so features count only as the joint test names them.
    """
    breaches = [one for one in measures if one.status == "breach" and not one.slice]
    jointly = [one for one in breaches if one.kind == "joint" and one.statistic != "p_value"]
    features = [one.subject for one in sorted(jointly, key=lambda one: -abs(one.value or 0))]
    apart = sorted(
        (one for one in breaches if one.kind in ("target", "prediction") and one.statistic != "mean_shift_pct"),
        key=lambda one: one.kind,
        reverse=True,
    )
    return list(dict.fromkeys([*features, *(one.subject for one in apart)]))

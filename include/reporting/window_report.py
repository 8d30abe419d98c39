"""The report of one monitored window: a page to look at, which holds all it shows and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.monitoring.measure import Measure, moved_features
from include.reporting import window_chart, window_drawing
from include.reporting.window_slices import moved_slices, slice_tables
from include.windows import Window

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent
VERDICTS = {
    "hold": "Go on as it is",
    "retrain": "Train again",
    "investigate": "A person has to look",
}
WHOLE = ("target", "prediction", "loss")  # no features
ORDER = {"breach": 0, "unknown": 1, "ok": 2}
KINDS = (
    *("error", "concept", "business", "serving", "bias", "target", "prediction", "joint", "covariate"),
    *("quality", "staleness"),
)
MOVING = ("covariate", "joint", "target", "prediction")
WORDS = {
    **{"psi": "population stability index", "js": "Jensen–Shannon distance", "ks": "Kolmogorov–Smirnov distance"},
    **{"mean_shift_sd": "mean moved, in standard deviations", "mean_shift_pct": "mean moved, %"},
    **{"missing_share": "share missing", "out_of_range_share": "share outside what training saw"},
    **{"outlier_share": "share of outliers", "unseen_share": "share of values never seen", "p_value": "p-value"},
    **{"r2": "R²", "rmse": "root mean squared error", "mae": "mean absolute error", "bias": "mean error, signed"},
    **{
        "coverage": "share inside the interval",
        "shift": "level moved, standard errors",
        "ratio": "times as expected",
    },
    **{"row_share": "share of rows", "between_slices": "bias, largest less smallest slice"},
    **{"age_days": "age, days", "mae_estimate": "mean absolute error, estimated"},
    **{"count": "requests answered", "warned_share": "share of answers with a warning", "outcome_mean": "mean told"},
    **{"latency_p50_ms": "time of an answer, median, ms", "latency_p99_ms": "time of an answer, 99 of 100, ms"},
    "skew_share": "share from other features than the loop's",
    "mae_estimate_off_pct": "how far the estimate was off, %",
}


@dataclass(frozen=True)
class WindowReport:
    """All that the page of a window shows.

    Attributes
    ----------
    pipeline, title, unit : str
        The pipeline's name, its title for people, and the target's unit.
    verdict, reasons
        hold, retrain or investigate, and why, the most important first.
    harm, worth, cause : str
        A line each; empty where nothing is known of it. Without a cause the page names the features that moved.
    measures : sequence of Measure
        All figures of the window, in any order.
    error_by_window : sequence of tuple
        Start (UTC), error, its interval's low and high end, the promised error and the version that stood, of this
        window and those before, oldest first. None is unknown.
    feature_by_window : mapping of str to sequence of tuple
        By feature, the start (UTC) and mean of each window, oldest first. None is unknown.
    distributions : mapping of str to tuple
        By feature, the n + 1 edges of bins, ascending, the outer ones perhaps infinite, and the n counts of the
        training data and of the window.
    decisions : sequence of (datetime, str)
        When on the axis of the windows, and the verdict: end of the window that was decided on. Also promote, rollback.
    is_simulated : bool
        Whether any of the data is.
    importance : mapping of str to float
        By feature, its share of what the champion's error owes to features; what moved is ordered by it.
    """

    pipeline: str
    title: str
    unit: str
    window: Window
    verdict: str
    reasons: Sequence[str] = ()
    harm: str = ""
    worth: str = ""
    cause: str = ""
    measures: Sequence[Measure] = ()
    error_by_window: Sequence[window_drawing.ErrorPoint] = ()
    feature_by_window: Mapping[str, Sequence[tuple[datetime, float | None]]] = field(default_factory=dict)
    distributions: Mapping[str, window_drawing.Distribution] = field(default_factory=dict)
    decisions: Sequence[tuple[datetime, str]] = ()
    is_simulated: bool = False
    importance: Mapping[str, float] = field(default_factory=dict)


def page(report: WindowReport) -> str:
    """Return the page as one HTML file: the decision, what moved, the error over time, every figure, worst first."""
    from markupsafe import Markup

    ordered = sorted(report.measures, key=_rank)
    whole = [one for one in ordered if not one.slice]  # those of slices have tables of their own
    moved = _by_weight(moved_features(ordered), whole, report.importance)
    in_slices = moved_slices(ordered, moved)
    is_known = any(one.kind == "joint" and one.status != "unknown" for one in ordered)
    changed = _cause(moved, in_slices, ordered) if is_known or moved or in_slices else ""
    names = dict.fromkeys([*report.distributions, *report.feature_by_window])
    error = window_drawing.error_over_time(report.error_by_window, report.decisions, report.window, report.unit)
    styles = (FOLDER / "eda" / "page.css", FOLDER / "window_report.css")
    return _template().render(
        report=report,
        style=Markup("".join(path.read_text(encoding="utf-8") for path in styles)),  # noqa: S704 - ours
        cause=report.cause or changed,
        changed=changed,
        is_known=is_known,
        slices=slice_tables(ordered),
        sentence=VERDICTS.get(report.verdict, report.verdict),
        counts={status: sum(one.status == status for one in whole) for status in ORDER},
        measures=whole,
        moved=[_card(report, name, ordered) for name in moved],
        others=[_card(report, name, ordered) for name in names if name not in moved],
        error=Markup(error),  # noqa: S704 - our own drawing, its texts escaped
    )


def _rank(one: Measure) -> tuple[Any, ...]:
    """Return what sorts figures: the worst first, then what people care for most, then the farthest from its limit."""
    kind = KINDS.index(one.kind) if one.kind in KINDS else len(KINDS)
    times = abs(one.value / one.threshold) if one.value is not None and one.threshold else 0.0
    return ORDER.get(one.status, 1), kind, -times, one.subject, one.slice, one.statistic


def _by_weight(moved: Sequence[str], measures: Sequence[Measure], importance: Mapping[str, float]) -> list[str]:
    """Sort what moved: first what moved far and matters, how far times the feature's weight.

    The target and the predictions weigh all; so does everything where no weights are known.
    """
    shifts = {one.subject: abs(one.value or 0) for one in measures if one.statistic == "mean_shift_sd"}
    weights = {name: importance.get(name, 0.0 if importance and name not in WHOLE else 1.0) for name in moved}
    return sorted(moved, key=lambda name: (-shifts.get(name, 0.0) * weights[name], -shifts.get(name, 0.0)))


def _cause(moved: Sequence[str], in_slices: str, measures: Sequence[Measure]) -> str:
    """Return what has changed, in a line."""
    single = {one.subject for one in measures if (one.kind, one.status, one.slice) == ("covariate", "breach", "")}
    if moved:
        told = f"{', '.join(moved)} moved."
    elif single:
        names = ", ".join(sorted(single))
        told = f"Nothing moved more than chance moves it; single figures of {names} are outside their limit."
    else:
        told = "" if in_slices else "Nothing: every feature lies where the training data would have it."
    return " ".join(part for part in (told, in_slices) if part)


def _card(report: WindowReport, name: str, measures: Sequence[Measure]) -> dict[str, Any]:
    """Return what is shown of one feature: why it is here, its distribution, and its mean over time."""
    from markupsafe import Markup

    distribution, means = report.distributions.get(name), report.feature_by_window.get(name, ())
    own = [one for one in measures if one.subject == name and one.kind in MOVING]
    level = next((one for one in own if (one.statistic, one.slice) == ("mean", "")), None)
    before, now = map(window_chart.known, (level.reference, level.value) if level else (None, None))
    chart = window_drawing.distribution(name, distribution, (before, now)) if distribution else ""
    time = window_drawing.mean_over_time(name, means, distribution, before, report.window)
    return {
        "name": name,
        "weight": report.importance.get(name),
        "reasons": [
            f"at {one.slice}: {one.reason}" if one.slice else one.reason
            for one in own
            if one.status == "breach" and one.reason
        ],
        "distribution": Markup(chart),  # noqa: S704 - our own drawing, its texts escaped
        "over_time": Markup(time),  # noqa: S704
    }


def _number(value: float | None) -> str:
    shown = window_chart.known(value)
    return "" if shown is None else window_chart.number(shown)


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number}
    environment.filters |= {"words": lambda statistic: WORDS.get(statistic, statistic.replace("_", " "))}
    return environment.get_template("window_report.html.j2")

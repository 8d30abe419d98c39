"""What is predicted, who competes, when to train again and what a challenger has to show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pydantic import Field

from include.spec.candidates import Candidate, Combined, Fitted, Naive
from include.spec.faults import Fault, one_of
from include.spec.fields import Name, Percent, Rows, Share, Span, Strict, Zone

SHADOW_ROWS, LEAST_SHADOW_ROWS = 20, 12  # of tier_1 where nothing else is said; fewer prove nothing
Loss = Literal["mae", "rmse", "brier", "log_loss"]


class TargetCalendar(Strict):
    """When the row after the newest is expected: after a step, or on the next weekday that is no holiday."""

    step: Span | None = Field(None, description="Distance of the rows' times.")
    weekdays: bool = Field(False, description="Rows come from Monday to Friday, a day each.")
    holidays: tuple[date, ...] = Field((), description="Weekdays without a row.")
    timezone: Zone = Field("UTC", description="IANA zone of the days; the one the rows' dates are midnight in.")

    def _faults(self) -> Iterator[Fault]:
        if bool(self.step) == self.weekdays or (self.holidays and not self.weekdays):
            yield Fault((), "give either step, or weekdays: true with its holidays")


class Target(Strict):
    """What is predicted."""

    column: Name = Field(description="Column of the main source; a number.")
    horizon: Rows = Field(0, ge=0, description="How many rows ahead; 0 estimates the row itself.")
    above: float | None = Field(
        None,
        description="Predict the probability that a value above it comes within the next `horizon` rows.",
        json_schema_extra={"unit": "the column's"},
    )
    anchor: str | None = Field(None, description="Feature the models predict the change from; for series that wander.")
    interval: Share = Field(0.9, gt=0.5, lt=1, description="Share of actuals the interval should cover.")
    calendar: TargetCalendar | None = Field(
        None, description="When the target of the newest row is expected; for a horizon of 1 or more."
    )

    @property
    def is_probability(self) -> bool:
        """Whether a probability is predicted, and no value."""
        return self.above is not None

    @property
    def identity(self) -> str:
        """What is predicted, however it is: two targets with one identity have the same truth."""
        limit = "" if self.above is None else f", above {self.above:g}"
        return f"{self.column}, {self.horizon} rows ahead{limit}"

    @property
    def loss(self) -> Loss:
        """What one prediction's error is measured by: absolute of a value, squared (Brier) of a probability."""
        return "brier" if self.is_probability else "mae"

    def _faults(self) -> Iterator[Fault]:
        if self.above is not None and self.horizon == 0:
            yield Fault(("above",), "says what comes within the next rows, and there are none; give a horizon")
        if self.above is not None and self.anchor:
            yield Fault(("anchor",), "is a level to add a change to, which a probability has none of; leave it out")


class Split(Strict):
    """How the snapshot is cut: by time, never at random."""

    holdout: Span = Field(description="Length of the newest part that no candidate sees while fitting.")


class Selection(Strict):
    """How candidates are compared when one is chosen: on rows that prove nothing afterwards."""

    scheme: Literal["expanding", "sliding", "k_fold", "leave_one_out"] = Field(
        "expanding", description="In time, on all rows before a fold or on the same span; or at random, of independent."
    )
    folds: int = Field(3, ge=2, le=20, description="How many, the newest.", json_schema_extra={"unit": "folds"})
    gap: Span | None = Field(None, description="Left out between what is fitted and what is judged.")


class Keep(Strict):
    """What of old versions stays; those that were ever live, the challenger and what they go back to always do."""

    versions: int = Field(
        20, ge=2, description="The newest, with their models.", json_schema_extra={"unit": "versions"}
    )
    days: int = Field(365, ge=1, description="Anything younger, too.", json_schema_extra={"unit": "days"})


class Training(Strict):
    """What a training reads and who competes."""

    min_rows: Rows = Field(ge=20, description="With fewer usable rows there is nothing to train on yet.")
    lookback: Span | None = Field(None, description="Read only this much history; leave out for all.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of everything random.")
    candidates: dict[Name, Candidate] = Field(
        min_length=1, description="Who competes, by name; one of kind naive always does."
    )
    split: Split = Field(description="How the snapshot is cut.")
    selection: Selection = Field(Selection(), description="How the challenger is chosen.")
    keep: Keep = Field(Keep(), description="Which models and snapshots `keep_house` leaves in place.")

    def _faults(self) -> Iterator[Fault]:
        if not any(isinstance(c, Naive) for c in self.candidates.values()):
            what = "none is of kind naive, which must always compete; add `naive: {kind: naive}`"
            yield Fault(("candidates",), what)
        single = [name for name, c in self.candidates.items() if isinstance(c, Fitted)]
        for key, candidate in self.candidates.items():
            for place, name in enumerate(candidate.of if isinstance(candidate, Combined) else ()):
                if name not in single:
                    what = f"{name!r} is no candidate that can be combined; {one_of(name, single)}"
                    yield Fault(("candidates", key, "of", place), what)


class Thresholds(Strict):
    """Limits of the measures of a window; the policy `published` acts on them."""

    r2_min: float | None = Field(None, le=1, description="Least R² on a window.", json_schema_extra={"unit": "R²"})
    mean_shift_pct: Percent | None = Field(None, gt=0, description="How far a watched feature's mean may move.")
    features: tuple[str, ...] = Field((), description="Features watched for a moved mean.")
    min_rows: Rows = Field(30, ge=1, description="Windows with fewer rows are never judged.")

    def _faults(self) -> Iterator[Fault]:
        if self.mean_shift_pct is not None and not self.features:
            yield Fault(("mean_shift_pct",), "watches no feature; list some in `features`, or remove it")


class Minimums(Strict):
    """What a challenger has to reach on the held-out rows, whoever stands."""

    r2: float | None = Field(None, le=1, description="Least R².", json_schema_extra={"unit": "R²"})
    mae: float | None = Field(
        None, gt=0, description="Largest mean absolute error.", json_schema_extra={"unit": "the target's"}
    )
    rmse: float | None = Field(
        None, gt=0, description="Largest root mean squared error.", json_schema_extra={"unit": "the target's"}
    )
    roc_auc: float | None = Field(
        None, ge=0, le=1, description="Of an event: least area under the ROC curve.", json_schema_extra={"unit": "AUC"}
    )
    brier: float | None = Field(
        None, gt=0, le=1, description="Of an event: largest Brier score.", json_schema_extra={"unit": "Brier score"}
    )
    log_loss: float | None = Field(
        None, gt=0, description="Of an event: largest mean negative log-likelihood.", json_schema_extra={"unit": "nats"}
    )


class Promotion(Strict):
    """What a challenger has to show."""

    metric: Loss = Field(
        "mae", description="Error that is compared, on the same rows; of probabilities brier or log_loss."
    )
    confidence: Share = Field(0.95, gt=0.5, lt=1, description="Confidence of the paired comparison.")
    min_gain_pct: Percent = Field(0.0, ge=0, description="Least improvement over the champion.")
    minimums: Minimums = Field(Minimums(), description="What it has to reach, whoever stands.")
    slice_max_loss_pct: Percent | None = Field(
        None, ge=0, description="How much worse than the champion it may be in a slice of `monitoring.slices`."
    )
    latency_ms: float = Field(
        250, gt=0, description="Within what time it answers one row.", json_schema_extra={"unit": "ms"}
    )
    protected: tuple[str, ...] = Field(
        (), description="Features of people that must make no difference: the evaluation report tells their groups."
    )
    approval: Literal["auto", "manual"] = Field("auto", description="manual: a person has to approve, in the web UI.")
    approval_expires: Span = Field("2 days", description="Without an answer for so long it is rejected.")
    shadow_rows: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Live rows with their truth that a challenger has to predict beside the champion before it may take"
        " over; 0 for none. Left out: 20 where `impact` is tier_1, else none.",
        json_schema_extra={"unit": "rows"},
    )
    shadow_expires: Span = Field(
        "90 days", description="A challenger in shadow is rejected when so much of the data's time brings fewer rows."
    )
    probation: int = Field(
        2,
        ge=0,
        le=50,
        description="Windows in which the version before is scored beside a new champion, and comes back"
        " where the new one is proven worse; 0 for none.",
        json_schema_extra={"unit": "windows"},
    )

    def _faults(self) -> Iterator[Fault]:
        if self.shadow_rows is not None and 0 < self.shadow_rows < LEAST_SHADOW_ROWS:
            yield Fault(("shadow_rows",), f"proves nothing; give at least {LEAST_SHADOW_ROWS} rows, or 0 for none")

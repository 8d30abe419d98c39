"""How a model is watched and when it is trained again: policies are data, told in the pipeline's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from include.spec.faults import Fault, one_of
from include.spec.fields import Name, Percent, Rows, Share, Span, Strict, Unit

Windows = Annotated[int, Field(json_schema_extra={"unit": "windows"})]
Times = Annotated[float, Field(json_schema_extra={"unit": "times"})]


class Harm(Strict):
    """Train again when the error is proven larger than promised."""

    odds: Times = Field(100, gt=1, le=1e12, description="Evidence that is asked for: so many to one.")
    tolerance_pct: Percent = Field(5, ge=0, description="How much larger than promised an error may be.")


class Worth(Strict):
    """Train again when newer data pay for the training."""

    lasting: Times = Field(2, ge=1, description="For how many windows a gain that was seen is expected to last.")
    growth: Times | None = Field(
        2, gt=1, description="Train when there are so many times the rows the champion was trained on; null for never."
    )


class Policy(Strict):
    """When to train again; a clause that is left out never fires."""

    r2_min: Annotated[float | None, Field(json_schema_extra={"unit": "R²"})] = Field(
        None, le=1, description="R² on a window below it."
    )
    mean_shift_pct: Percent | None = Field(None, gt=0, description="A watched feature's mean moved by more than this.")
    every_window: bool = Field(False, description="After each window.")
    every: Span | None = Field(None, description="So long after the last training.")
    harm: Harm | None = Field(None, description="The error is proven larger than promised.")
    worth: Worth | None = Field(None, description="Newer data pay for the training.")
    business: bool = Field(False, description="The business outcome is outside its limits.")
    needed: Windows = Field(1, ge=1, description="In how many windows a clause has to hold, the newest among them …")
    among: Windows = Field(1, ge=1, description="… of so many newest windows; for r2_min, mean_shift_pct, business.")
    cooldown: Windows = Field(0, ge=0, description="Windows after a training in which none is asked for.")
    monthly: Annotated[int | None, Field(json_schema_extra={"unit": "trainings"})] = Field(
        None, ge=1, description="Most trainings in 30 days."
    )
    rejected: Annotated[int | None, Field(json_schema_extra={"unit": "challengers"})] = Field(
        None, ge=1, description="After so many rejected challengers in a row within a year a person is asked instead."
    )
    unknown: Windows | None = Field(3, ge=1, description="After so many windows in a row that nobody can judge, too.")

    def _faults(self) -> Iterator[Fault]:
        if self.needed > self.among:
            yield Fault(("needed",), f"{self.needed} of {self.among} windows can never be; make `among` larger")
        if self.r2_min is None and self.mean_shift_pct is None and not self.business:
            given = [name for name in ("needed", "among") if name in self.model_fields_set]
            if given:
                what = "counts for r2_min, mean_shift_pct and business only; add one of them, or remove it"
                yield Fault((given[0],), what)


POLICIES = {
    "never": Policy(),
    "every_window": Policy(every_window=True),
    "schedule": Policy(every="90 days"),
    "published": Policy(r2_min=0.68, mean_shift_pct=10),
    "default": Policy(harm=Harm(), worth=Worth(), monthly=8, rejected=3),
}


OWN = ("training", "promotion", "error", "unit")
OwnUnit = Annotated[float | None, Field(json_schema_extra={"unit": "costs.unit"})]


class Costs(Strict):
    """What a training costs: told as a share of what errors cost, or with all of the others in a unit of your own."""

    training_pct: Percent = Field(
        5, ge=0, description="A training with its promotion is worth so much of one window's whole error."
    )
    training: OwnUnit = Field(None, ge=0, description="Price of a training.")
    promotion: OwnUnit = Field(None, ge=0, description="Price of a promotion.")
    error: OwnUnit = Field(None, gt=0, description="Price of an error of one unit of the target in one row.")
    unit: Unit | None = Field(None, description="What these prices are told in.")

    def _faults(self) -> Iterator[Fault]:
        missing = [name for name in OWN if getattr(self, name) is None]
        given = [name for name in OWN if name not in missing]
        if given and missing:
            yield Fault((given[0],), f"is not enough to tell a price in a unit of your own; add {', '.join(missing)}")
        if given and "training_pct" in self.model_fields_set:
            yield Fault(("training_pct",), f"stands beside {given[0]}; tell the price in one way, remove the other")

    def of(self, error: float, trainings: int = 0, promotions: int = 0) -> float:
        """Return what an absolute error, in the target's unit, and trainings and promotions cost in one's own unit."""
        prices = (self.error or 0.0, self.training or 0.0, self.promotion or 0.0)
        return sum(price * count for price, count in zip(prices, (error, trainings, promotions), strict=True))

    def price_pct(self, error: float) -> float | None:
        """Return what a training with its promotion costs in per cent of a window's whole error; None of no error."""
        if self.unit is None:
            return self.training_pct
        return 100 * self.of(0, 1, 1) / self.of(error) if error else None


class Business(Strict):
    """An outcome that people care for: the mean of a column over a window."""

    column: str = Field(description="Column of any source, as in features: source.column, or column of the main one.")
    min: float | None = Field(None, description="Least mean.", json_schema_extra={"unit": "the column's"})
    max: float | None = Field(None, description="Largest mean.", json_schema_extra={"unit": "the column's"})

    def _faults(self) -> Iterator[Fault]:
        if self.min is None and self.max is None:
            yield Fault(("min",), "an outcome without a limit says nothing; give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Fault(("min",), f"{self.min:g} is above max {self.max:g}; swap them")


class Label(Strict):
    """Doubtful rows that wait for a person to tell their target: docs/people.md."""

    rows: Rows = Field(ge=1, le=1000, description="At most so many of each window: the most uncertain or surprising.")


SLICES = "Features of at most 40 values, by which the error, the bias, drift and the mix of rows are told, too."


class Monitoring(Strict):
    """How the champion is watched and when it is trained again."""

    policy: Name = Field("default", description=f"One of {', '.join(POLICIES)}, or a name from `policies`.")
    policies: dict[Name, Policy] = Field({}, description="Policies of your own, by name.")
    costs: Costs = Field(Costs(), description="What a training costs.")
    block: Span = Field("7 days", description="Length of the blocks that a reference is kept in.")
    slices: tuple[str, ...] = Field((), description=SLICES)
    business: Business | None = Field(None, description="An outcome that people care for.")
    stale_after: Span | None = Field(
        None, description="The champion's data may be so old at a window's end; told, and no reason to train."
    )
    label: Label | None = Field(None, description="Ask people for the target of doubtful rows; left out, nobody is.")
    quarantined_max: Share = Field(
        0.2, ge=0, le=1, description="A window of which a larger share waits in quarantine is not judged."
    )

    def _faults(self) -> Iterator[Fault]:
        known = POLICIES | self.policies
        if self.policy not in known:
            yield Fault(("policy",), f"there is no policy {self.policy!r}; {one_of(self.policy, known)}")
        for name in sorted(POLICIES.keys() & self.policies.keys()):
            yield Fault(("policies", name), f"{name!r} is a policy that is there already; give yours another name")
        for name in sorted(name for name, policy in self.policies.items() if policy.business and not self.business):
            yield Fault(
                ("policies", name, "business"), "no outcome is declared; add `monitoring.business`, or remove it"
            )

    def policy_named(self, name: str) -> Policy:
        """Return a policy by its name; a KeyError if there is none."""
        return (POLICIES | self.policies)[name]

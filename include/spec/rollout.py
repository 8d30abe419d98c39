"""How a challenger in shadow takes part in what the prediction service answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.spec.faults import Fault
from include.spec.fields import Share, Strict


class RolloutLimits(Strict):
    """What a challenger may do at most; beyond it, it is stopped at once, and rejected."""

    errors: Share = Field(0.01, gt=0, lt=1, description="Share of requests that it leaves unanswered.")
    latency_ms: Annotated[float | None, Field(json_schema_extra={"unit": "ms"})] = Field(
        None,
        gt=0,
        description="Time for a row, that at most one answer of twenty may exceed. Left out: `promotion.latency_ms`.",
    )
    disagreement: Share | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of its answers that are further from the champion's than half the width of that one's"
        " interval. Left out: not watched.",
    )


class Rollout(Strict):
    """What the prediction service does with a challenger that waits in shadow."""

    mode: Literal["basic", "shadow", "canary"] = Field(
        "basic",
        description="basic: nothing. shadow: it answers every request too, which is kept and never returned. canary: a"
        " share of the requests gets its answer.",
    )
    share: Share | None = Field(
        None, gt=0, lt=1, description="Share of the requests that a canary answers, always the same ones by their key."
    )
    limits: RolloutLimits = Field(RolloutLimits(), description="When it is stopped.")

    def _faults(self) -> Iterator[Fault]:
        if self.mode == "canary" and self.share is None:
            yield Fault(("share",), "says how many requests a canary answers; give it, such as share: 0.1")
        if self.mode != "canary" and self.share is not None:
            yield Fault(("share",), f"has no effect where mode is {self.mode}; write mode: canary, or remove it")
        if self.mode == "basic" and self.limits != RolloutLimits():
            yield Fault(("limits",), "have no effect where mode is basic; write mode: shadow or canary, or remove them")

"""How a model has to behave, whatever its mean error: tests that a challenger passes before it is promoted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.spec.fields import Rows, Share, Strict

Deviations = Annotated[float, Field(json_schema_extra={"unit": "standard deviations"})]
OfTarget = Annotated[float, Field(json_schema_extra={"unit": "the target's"})]


class Perturbation(Strict):
    """A little noise in the features moves predictions only a little."""

    kind: Literal["perturbation"] = Field(description="Noise moves predictions little.")
    features: tuple[str, ...] = Field((), description="Which features get noise; all where none is named.")
    noise_sd: Deviations = Field(0.1, gt=0, description="Size of the noise, in each feature's own deviations.")
    at_most: OfTarget = Field(gt=0, description="How far a prediction may move …")
    share: Share = Field(0.95, gt=0, le=1, description="… in at least this share of the rows.")


class Invariance(Strict):
    """A feature has no influence: with the value of another row in it, predictions stay."""

    kind: Literal["invariance"] = Field(description="A feature has no influence.")
    feature: str = Field(description="Which one.")
    at_most: OfTarget = Field(ge=0, description="How far a prediction may move …")
    share: Share = Field(1.0, gt=0, le=1, description="… in at least this share of the rows.")


class Direction(Strict):
    """More of a feature, everything else equal, never moves a prediction the other way."""

    kind: Literal["direction"] = Field(description="More of a feature moves predictions one way.")
    feature: str = Field(description="Which one.")
    never: Literal["lowers", "raises"] = Field(description="What more of it never does to a prediction …")
    step_sd: Deviations = Field(1.0, gt=0, description="How much more, in the feature's own deviations.")
    share: Share = Field(0.8, gt=0, le=1, description="… in at least this share of the rows.")


class MinimumFunction(Strict):
    """A tiny sample, shown again and again, is learnt by heart: a model that cannot do that is broken."""

    kind: Literal["minimum_function"] = Field(description="A tiny sample is fitted almost perfectly.")
    rows: Rows = Field(10, ge=4, le=100, description="How many rows the sample has.")
    r2_min: Annotated[float, Field(json_schema_extra={"unit": "R²"})] = Field(
        0.95, le=1, description="Least R² on the sample itself; of an anchored target on its change."
    )


Behaviour = Annotated[
    Perturbation | Invariance | Direction | MinimumFunction,
    Field(discriminator="kind"),
]

"""The kinds of candidates a ``pipeline.yaml`` may let compete. How they are built stands in ``include/training``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.spec.faults import Fault
from include.spec.fields import Name, Rows, Share, Strict


class Tuning(Strict):
    """What a search for better parameters may cost; the spec's own are always among those that are tried."""

    trials: int = Field(20, ge=1, le=1000, description="How many are tried.", json_schema_extra={"unit": "trials"})
    seconds: float | None = Field(
        None,
        gt=0,
        description="Begin no trial after this time; what is found then depends on the machine.",
        json_schema_extra={"unit": "s"},
    )


class Naive(Strict):
    """The model everybody has to beat."""

    kind: Literal["naive"] = Field(description="The model everybody has to beat.")
    by: str | None = Field(None, description="Feature whose values get a mean each, e.g. hour_of_day.")
    repeat: str | None = Field(None, description="Feature that is the prediction.")
    season: Rows | None = Field(
        None, ge=1, description="Predict the value this many rows before the target; a `lag` has to give it."
    )
    majority: bool = Field(False, description="Of probabilities: the commoner outcome, as if it were certain.")

    def _faults(self) -> Iterator[Fault]:
        given = [key for key in ("by", "repeat", "season", "majority") if getattr(self, key)]
        for key in given[1:]:
            yield Fault((key,), f"stands beside `{given[0]}`; give one of them")


class Fitted(Strict):
    """What every kind that learns from the features may have."""

    one_hot: tuple[str, ...] = Field((), description="Features whose values get an indicator each, e.g. hour_of_day.")
    best_features: int | None = Field(
        None,
        ge=1,
        description="Fit on this many only, those that go most with the target in what is fitted on.",
        json_schema_extra={"unit": "features"},
    )
    calibration: Literal["platt", "isotonic"] | None = Field(
        None, description="Of probabilities: set them right on rows that the classifier was not fitted on."
    )
    tune: Tuning | None = Field(None, description="Search for better parameters by cross-validation; off by default.")


class Shrunken(Fitted):
    """A linear model on standardised features whose coefficients are held small."""

    alpha: float = Field(1.0, gt=0, description="Strength of the penalty.", json_schema_extra={"unit": "1"})


class Linear(Shrunken):
    """Ridge regression on standardised features, medians for what is missing."""

    kind: Literal["linear"] = Field(description="Ridge regression.")


class Ridge(Shrunken):
    """Ridge regression under its own name."""

    kind: Literal["ridge"] = Field(description="Ridge regression, the same as linear.")


class Lasso(Shrunken):
    """Lasso on standardised features; drops those that add nothing."""

    kind: Literal["lasso"] = Field(description="Lasso: linear, and drops features that add nothing.")
    alpha: float = Field(0.01, gt=0, description="Strength of the penalty, in the target's unit.")


class PcaLinear(Fitted):
    """Least squares on the principal components of the standardised features."""

    kind: Literal["pca_linear"] = Field(description="Least squares on principal components.")
    variance: Share = Field(0.95, gt=0, lt=1, description="Share of the variance that the components kept hold.")


class Forest(Fitted):
    """Many trees, medians for what is missing."""

    trees: int = Field(100, ge=1, le=2000, description="How many trees.", json_schema_extra={"unit": "trees"})
    min_samples_leaf: Rows = Field(1, ge=1, description="Fewest rows in a leaf.")
    max_features: Share = Field(1.0, gt=0, le=1, description="Share of the features each split looks at.")


class RandomForest(Forest):
    """Random forest, medians for what is missing."""

    kind: Literal["random_forest"] = Field(description="Random forest.")


class ExtraTrees(Forest):
    """Extremely randomised trees, medians for what is missing."""

    kind: Literal["extra_trees"] = Field(description="Extremely randomised trees.")


class GradientBoosting(Fitted):
    """Gradient boosting on histograms, medians for what is missing."""

    kind: Literal["gradient_boosting"] = Field(description="Gradient boosting on histograms.")
    trees: int = Field(100, ge=1, le=2000, description="How many trees.", json_schema_extra={"unit": "trees"})
    learning_rate: float = Field(0.1, gt=0, le=1, description="Share of a tree that counts.")
    leaves: int = Field(31, ge=2, le=1000, description="Most leaves of a tree.", json_schema_extra={"unit": "leaves"})
    max_features: Share = Field(1.0, gt=0, le=1, description="Share of the features each split looks at.")


class AdaBoost(Fitted):
    """AdaBoost of shallow trees, medians for what is missing."""

    kind: Literal["ada_boost"] = Field(description="AdaBoost of shallow trees.")
    trees: int = Field(50, ge=1, le=2000, description="How many trees.", json_schema_extra={"unit": "trees"})
    depth: int = Field(4, ge=1, le=20, description="Depth of a tree.", json_schema_extra={"unit": "splits"})


class Mlp(Fitted):
    """A small neural network on standardised features and target."""

    kind: Literal["mlp"] = Field(description="A small neural network.")
    units: tuple[Annotated[int, Field(ge=1, le=512)], ...] = Field(
        (16,), min_length=1, max_length=3, description="Units of each hidden layer."
    )
    alpha: float = Field(0.001, gt=0, description="Strength of the penalty.", json_schema_extra={"unit": "1"})
    epochs: int = Field(200, ge=1, le=2000, description="Most passes over the rows.")


class Online(Strict):
    """Ridge regression that goes on from its predecessor's state with the rows that came since."""

    kind: Literal["online"] = Field(description="Ridge regression that goes on from its predecessor with new rows.")
    alpha: float = Field(1.0, gt=0, description="Strength of the penalty.", json_schema_extra={"unit": "1"})
    half_life: Rows | None = Field(None, ge=1, description="A row counts half after so many more; left out, for ever.")


class Combined(Strict):
    """Several candidates in one, each with its own parameters."""

    of: tuple[Name, ...] = Field(min_length=2, description="Names of the candidates it is made of.")


class Average(Combined):
    """The mean of what other candidates predict."""

    kind: Literal["average"] = Field(description="The mean of other candidates.")


class Stacking(Combined):
    """A weighted sum of other candidates, the weights learnt on rows later than those they were fitted on."""

    kind: Literal["stacking"] = Field(description="A weighted sum of other candidates.")
    folds: int = Field(3, ge=2, le=10, description="Later pieces to weigh on.", json_schema_extra={"unit": "folds"})


VALUES_ONLY = ("pca_linear", "online", "average", "stacking")  # kinds that predict no probability


Candidate = Annotated[
    Naive
    | Linear
    | Ridge
    | Lasso
    | PcaLinear
    | RandomForest
    | ExtraTrees
    | GradientBoosting
    | AdaBoost
    | Mlp
    | Online
    | Average
    | Stacking,
    Field(discriminator="kind"),
]

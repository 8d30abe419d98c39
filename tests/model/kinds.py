"""A candidate of every kind, for the plant."""

from __future__ import annotations

from include.spec.load import parse
from include.spec.model import Pipeline
from tests.model.conftest import PLANT

MEMBERS = ("linear: {kind: linear, alpha: 0.1}", "trees: {kind: extra_trees, trees: 10, min_samples_leaf: 3}")
KINDS = {
    "naive_mean": "{kind: naive}",
    "naive_by": "{kind: naive, by: hour_of_day}",
    "naive_repeat": "{kind: naive, repeat: second_sensor}",
    "linear": "{kind: linear, alpha: 0.1}",
    "ridge": "{kind: ridge}",
    "one_hot": "{kind: ridge, alpha: 0.1, one_hot: [hour_of_day]}",
    "best": "{kind: ridge, best_features: 1}",
    "lasso": "{kind: lasso}",
    "pca_linear": "{kind: pca_linear}",
    "random_forest": "{kind: random_forest, trees: 10}",
    "extra_trees": "{kind: extra_trees, trees: 10}",
    "gradient_boosting": "{kind: gradient_boosting, trees: 30}",
    "ada_boost": "{kind: ada_boost, trees: 10}",
    "mlp": "{kind: mlp, units: [8], epochs: 100}",
    "online": "{kind: online, half_life: 200}",
    "average": "{kind: average, of: [linear, trees]}",
    "stacking": "{kind: stacking, of: [linear, trees]}",
}


def plant_with(name: str, options: str | None = None) -> Pipeline:
    """Return the plant with a candidate of one kind, beside naive and those that a combination is made of."""
    own = () if name == "linear" else (f"{name}: {options or KINDS[name]}",)
    lines = "".join(f"    {line}\n" for line in (*own, *MEMBERS))
    return parse(PLANT.replace("    linear: {kind: linear, alpha: 0.1}\n", lines), "pipeline.yaml")

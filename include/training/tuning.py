"""Search for a candidate's better parameters within a budget, on the folds of the part that is fitted on.

The search is Optuna's (tree-structured Parzen estimator, Bergstra et al., 2011) and its randomness the spec's seed: a
budget in trials comes to the same wherever it is spent, one in seconds need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.spec.candidates import Fitted
from include.training.selection import cross_validate

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from include.spec.model import Pipeline

_FOREST = {"min_samples_leaf": (1, 20), "max_features": (0.2, 1.0)}
# Least and largest value by kind and parameter.
SPACES: dict[str, dict[str, tuple[float, float]]] = {
    "linear": {"alpha": (1e-3, 1e4)},
    "ridge": {"alpha": (1e-3, 1e4)},
    "lasso": {"alpha": (1e-4, 1.0)},
    "pca_linear": {"variance": (0.5, 0.999)},
    "random_forest": _FOREST,
    "extra_trees": _FOREST,
    "gradient_boosting": {"trees": (50, 400), "learning_rate": (0.01, 0.3), "leaves": (4, 63)},
    "ada_boost": {"trees": (20, 200), "depth": (2, 8)},
    "mlp": {"alpha": (1e-5, 1e-1)},
}
BY_POWERS = ("alpha", "learning_rate")  # of ten, as they matter by their order of magnitude


@dataclass(frozen=True)
class Tuned:
    """A pipeline whose candidate has the best parameters that were tried.

    Attributes
    ----------
    error : float
        In cross-validation, in the metric of the promotion.
    parameters : dict
        Those that were searched, with their best values; empty without a search.
    trials : int
        How many were tried, the spec's own among them; 0 without a search.
    """

    pipeline: Pipeline
    error: float
    parameters: dict[str, Any]
    trials: int


def tune(pipeline: Pipeline, candidate: str, rows: pd.DataFrame) -> Tuned:
    """Return a candidate with the parameters that err least in cross-validation, or with its own where none is asked.

    Parameters
    ----------
    rows : DataFrame
        The part of a snapshot that is fitted on: what proves the choice later is not among them.

    Raises
    ------
    NothingToDo
        If the rows are too few to be cut.
    """
    spec, own = pipeline.training.candidates[candidate], cross_validate(pipeline, candidate, rows)
    budget, space = spec.tune if isinstance(spec, Fitted) else None, SPACES.get(spec.kind, {})
    if budget is None:
        return Tuned(pipeline, own, {}, 0)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=pipeline.training.seed))

    def error(trial: optuna.Trial) -> float:
        return cross_validate(_with(pipeline, candidate, _suggested(trial, space)), candidate, rows)

    study.optimize(error, n_trials=budget.trials - 1, timeout=budget.seconds)
    best = {name: getattr(spec, name) for name in space}
    if study.trials and study.best_value < own:
        best, own = study.best_params, study.best_value
    return Tuned(_with(pipeline, candidate, best), own, best, len(study.trials) + 1)


def _suggested(trial: optuna.Trial, space: dict[str, tuple[float, float]]) -> dict[str, Any]:
    return {
        name: trial.suggest_int(name, low, int(high))
        if isinstance(low, int)
        else trial.suggest_float(name, low, high, log=name in BY_POWERS)
        for name, (low, high) in space.items()
    }


def _with(pipeline: Pipeline, candidate: str, parameters: dict[str, Any]) -> Pipeline:
    changed = pipeline.training.candidates[candidate].model_copy(update=parameters)
    candidates = {**pipeline.training.candidates, candidate: changed}
    training = pipeline.training.model_copy(update={"candidates": candidates})
    return pipeline.model_copy(update={"training": training})

"""Turn a candidate of the spec into an estimator. Only scikit-learn's own types: they can be stored without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.training.forecaster import Forecaster

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def make(pipeline: Pipeline, name: str) -> Forecaster:
    """Return the unfitted candidate a pipeline calls `name`; its randomness is the spec's seed.

    The naive candidate is persistence where the target has an anchor, the mean for each
    value of `by` where that is given, and the mean otherwise.
    """
    candidate = pipeline.training.candidates[name]
    build = {"naive": _naive, "linear": _linear, "random_forest": _random_forest}[candidate.kind]
    return Forecaster(build(pipeline, candidate), anchor=pipeline.target.anchor, coverage=pipeline.target.interval)


def make_cheaply(pipeline: Pipeline, name: str) -> Forecaster:
    """Return the unfitted candidate for a comparison that is not kept: a forest has half its trees.

    That takes half the time, and errs some 0.4 % more on the UCI file: what is found better with it is better.
    """
    model = make(pipeline, name)
    if pipeline.training.candidates[name].kind == "random_forest":
        forest = model.estimator[-1]
        forest.set_params(n_estimators=-(-forest.n_estimators // 2))
    return model


def _naive(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    if pipeline.target.anchor:
        return DummyRegressor(strategy="constant", constant=0.0)
    if candidate.by is None:
        return DummyRegressor(strategy="mean")
    # Least squares on one indicator a value, without anything else, is the mean for each value. Dense,
    # because scikit-learn solves sparse rows by iteration, which only comes near.
    indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(ColumnTransformer([("by", indicators, [candidate.by])]), LinearRegression())


def _linear(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(_median(SimpleImputer), StandardScaler(), Ridge(alpha=candidate.alpha))


def _random_forest(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestRegressor(
        n_estimators=candidate.trees,
        min_samples_leaf=candidate.min_samples_leaf,
        max_features=candidate.max_features,
        random_state=pipeline.training.seed,
    )
    return make_pipeline(_median(SimpleImputer), forest)


def _median(imputer: Any) -> Any:
    # A column that is empty in this snapshot keeps its place, so that features stay aligned.
    return imputer(strategy="median", keep_empty_features=True)

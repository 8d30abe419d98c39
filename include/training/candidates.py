"""Turn a candidate of the spec into an estimator. All that it learns, scaling and encoding too, it learns in its fit.

Only types that can be stored without pickle, see `include.registry.mlflow_access`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.spec.candidates import Forest
from include.training.classifiers import classifier
from include.training.estimators import Combination, OnlineRidge, Repeat
from include.training.forecaster import Forecaster
from include.training.probability import ProbabilityForecaster

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def make(pipeline: Pipeline, name: str) -> Forecaster:
    """Return the unfitted candidate a pipeline calls `name`; its randomness is the spec's seed.

    The naive candidate repeats a feature where `repeat` or `season` is given, and otherwise is the commoner outcome
    where `majority` is, persistence where the target has an anchor, the mean for each value of `by` where that is
    given, and the mean of all.
    """
    candidate = pipeline.training.candidates[name]
    if pipeline.target.is_probability:
        estimator = _estimator(pipeline, candidate) if candidate.kind == "naive" else _classifier(pipeline, candidate)
        return ProbabilityForecaster(estimator, getattr(candidate, "calibration", None))
    repeats = candidate.kind == "naive" and (candidate.repeat or candidate.season)
    anchor = None if repeats else pipeline.target.anchor
    return Forecaster(_estimator(pipeline, candidate), anchor=anchor, coverage=pipeline.target.interval)


def make_cheaply(pipeline: Pipeline, name: str) -> Forecaster:
    """Return the unfitted candidate for a comparison that is not kept: a forest has half its trees.

    That takes half the time, and errs some 0.4 % more on the UCI file: what is found better with it is better.
    """
    model = make(pipeline, name)
    if isinstance(pipeline.training.candidates[name], Forest):
        forest = model.estimator[-1]
        forest.set_params(n_estimators=-(-forest.n_estimators // 2))
    return model


def _estimator(pipeline: Pipeline, candidate: Any) -> Any:
    return BUILDERS[candidate.kind](pipeline, candidate)


def _classifier(pipeline: Pipeline, candidate: Any) -> Any:
    last, is_scaled = classifier(pipeline, candidate)
    return _pipeline(candidate, last, is_scaled=is_scaled)


def _naive(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    if feature := candidate.repeat or (candidate.season and pipeline.season_feature(candidate.season)):
        return Repeat(feature)
    if candidate.majority:
        return DummyClassifier(strategy="most_frequent")
    if pipeline.target.anchor:
        return DummyRegressor(strategy="constant", constant=0.0)
    if candidate.by is None:
        return DummyRegressor(strategy="mean")
    # Least squares on one indicator a value, without anything else, is the mean for each value. Dense,
    # because scikit-learn solves sparse rows by iteration, which only comes near.
    indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(ColumnTransformer([("by", indicators, [candidate.by])]), LinearRegression())


def _ridge(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.linear_model import Ridge

    return _pipeline(candidate, Ridge(alpha=candidate.alpha), is_scaled=True)


def _lasso(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.linear_model import Lasso

    return _pipeline(candidate, Lasso(alpha=candidate.alpha, max_iter=10_000), is_scaled=True)


def _pca_linear(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression

    components = PCA(n_components=candidate.variance, svd_solver="full")
    return _pipeline(candidate, components, LinearRegression(), is_scaled=True)


def _forest(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    forest = {"random_forest": RandomForestRegressor, "extra_trees": ExtraTreesRegressor}[candidate.kind]
    options = {"min_samples_leaf": candidate.min_samples_leaf, "max_features": candidate.max_features}
    return _pipeline(
        candidate, forest(n_estimators=candidate.trees, random_state=pipeline.training.seed, **options), is_scaled=False
    )


def _gradient_boosting(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor(
        max_iter=candidate.trees,
        learning_rate=candidate.learning_rate,
        max_features=candidate.max_features,
        max_leaf_nodes=candidate.leaves,
        early_stopping=False,  # it would hold rows out at random
        random_state=pipeline.training.seed,
    )
    return _pipeline(candidate, boosting, is_scaled=False)


def _ada_boost(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.ensemble import AdaBoostRegressor
    from sklearn.tree import DecisionTreeRegressor

    tree, seed = DecisionTreeRegressor(max_depth=candidate.depth), pipeline.training.seed
    return _pipeline(
        candidate, AdaBoostRegressor(tree, n_estimators=candidate.trees, random_state=seed), is_scaled=False
    )


def _mlp(pipeline: Pipeline, candidate: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    options = {"max_iter": candidate.epochs, "random_state": pipeline.training.seed}
    network = MLPRegressor(hidden_layer_sizes=candidate.units, alpha=candidate.alpha, **options)
    return TransformedTargetRegressor(_pipeline(candidate, network, is_scaled=True), transformer=StandardScaler())


def _online(pipeline: Pipeline, candidate: Any) -> Any:
    return OnlineRidge(candidate.alpha, candidate.half_life)


def _combination(pipeline: Pipeline, candidate: Any) -> Any:
    members = [(name, _estimator(pipeline, pipeline.training.candidates[name])) for name in candidate.of]
    return Combination(members, getattr(candidate, "folds", None), gap=pipeline.target.horizon)


BUILDERS = {
    "naive": _naive,
    "linear": _ridge,
    "ridge": _ridge,
    "lasso": _lasso,
    "pca_linear": _pca_linear,
    "random_forest": _forest,
    "extra_trees": _forest,
    "gradient_boosting": _gradient_boosting,
    "ada_boost": _ada_boost,
    "mlp": _mlp,
    "online": _online,
    "average": _combination,
    "stacking": _combination,
}


def _pipeline(candidate: Any, *last: Any, is_scaled: bool) -> Any:
    """Put encoding, filling, scaling and selection before the last steps, as far as the candidate asks for them."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_selection import SelectKBest, f_regression
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    steps: list[Any] = []
    if candidate.one_hot:
        indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        steps.append(ColumnTransformer([("one_hot", indicators, list(candidate.one_hot))], remainder="passthrough"))
    # A column that is empty in this snapshot keeps its place, so that features stay aligned.
    steps.append(SimpleImputer(strategy="median", keep_empty_features=True))
    if is_scaled:
        steps.append(StandardScaler())
    if candidate.best_features:
        steps.append(SelectKBest(f_regression, k=candidate.best_features))
    return make_pipeline(*steps, *last)

"""Turn a candidate of the spec into a classifier, where the probability of an event is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def classifier(pipeline: Pipeline, candidate: Any) -> tuple[Any, bool]:
    """Return the last step of a candidate's pipeline, and whether the features before it are standardised."""
    from sklearn import ensemble, linear_model, neural_network, tree

    seed, kind = pipeline.training.seed, candidate.kind
    if kind in ("linear", "ridge"):
        return linear_model.LogisticRegression(C=1 / candidate.alpha, max_iter=1000), True
    if kind == "lasso":
        sparse = {"l1_ratio": 1.0, "solver": "saga", "tol": 1e-3, "random_state": seed}
        return linear_model.LogisticRegression(C=1 / candidate.alpha, max_iter=1000, **sparse), True
    if kind in ("random_forest", "extra_trees"):
        forest = {"random_forest": ensemble.RandomForestClassifier, "extra_trees": ensemble.ExtraTreesClassifier}[kind]
        options = {"min_samples_leaf": candidate.min_samples_leaf, "max_features": candidate.max_features}
        return forest(n_estimators=candidate.trees, random_state=seed, **options), False
    if kind == "gradient_boosting":
        boosting = ensemble.HistGradientBoostingClassifier(
            max_iter=candidate.trees,
            learning_rate=candidate.learning_rate,
            max_features=candidate.max_features,
            max_leaf_nodes=candidate.leaves,
            early_stopping=False,  # it would hold rows out at random
            random_state=seed,
        )
        return boosting, False
    if kind == "ada_boost":
        stump = tree.DecisionTreeClassifier(max_depth=candidate.depth)
        return ensemble.AdaBoostClassifier(stump, n_estimators=candidate.trees, random_state=seed), False
    options = {"max_iter": candidate.epochs, "random_state": seed}
    return neural_network.MLPClassifier(hidden_layer_sizes=candidate.units, alpha=candidate.alpha, **options), True

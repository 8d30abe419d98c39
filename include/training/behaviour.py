"""Put a fitted model to its behaviour tests, and weigh what it looks at. Pure: all randomness is the spec's seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.behaviour import Direction, Invariance, MinimumFunction, Perturbation
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

TIMES = 20  # each row of a tiny sample is shown so often, so that leaves of several rows can hold a single one
SHUFFLES = 3
SAMPLE = 1_000  # rows that features are weighed on, at most
Predict = Callable[["pd.DataFrame"], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """How a model did in one behaviour test.

    Attributes
    ----------
    value : float or None
        Share of rows that behave, or the R² of a tiny sample; None where nothing could be tested.
    text : str
        What was seen, in words with figures.
    """

    test: str
    status: Literal["passed", "failed", "unknown"]
    value: float | None
    text: str


def behave(pipeline: Pipeline, candidate: str, model: Forecaster, rows: pd.DataFrame) -> list[Outcome]:
    """Put a model to every behaviour test of the spec on held-out rows, shape (n, f) with `target`."""
    recipe = pipeline.training.candidates[candidate]
    outcomes = []
    for test in pipeline.behaviour:
        if test.kind == "minimum_function":
            if recipe.kind != "naive":  # which learns nothing by heart
                outcomes.append(_learns_by_heart(pipeline, candidate, test, rows))
        else:
            outcomes.append(_behaves(test, model.predict, rows, pipeline.training.seed))
    return outcomes


def _behaves(test: Perturbation | Invariance | Direction, predict: Predict, rows: pd.DataFrame, seed: int) -> Outcome:
    """Change some features of each row and look at how its prediction moves."""
    random = np.random.default_rng(seed)
    changed = rows.copy()
    if test.kind == "perturbation":
        names = list(test.features) or [name for name in rows.columns if _is_measured(rows, name)]
        subject = f"noise of {test.noise_sd:g} sd in {', '.join(test.features) or 'all features'}"
        for name in names:
            changed[name] = rows[name] + random.normal(0, test.noise_sd, len(rows)) * rows[name].std(ddof=0)
    elif test.kind == "invariance":
        subject = f"another value of {test.feature}"
        changed[test.feature] = random.permutation(rows[test.feature].to_numpy())
    else:
        subject = f"{test.step_sd:g} sd more of {test.feature}"
        changed[test.feature] = rows[test.feature] + test.step_sd * rows[test.feature].std(ddof=0)
    is_changed = (changed.ne(rows) & changed.notna()).any(axis=1).to_numpy()
    label = f"{test.kind} {', '.join(test.features) if test.kind == 'perturbation' else test.feature}".rstrip()
    if not is_changed.any():
        return Outcome(label, "unknown", None, f"{label} cannot be tested: no held-out row has another value")
    moved = (predict(changed) - predict(rows))[is_changed]
    if test.kind == "direction":
        is_fine, promise = moved >= 0 if test.never == "lowers" else moved <= 0, f"never {test.never} a prediction"
    else:
        is_fine, promise = np.abs(moved) <= test.at_most, f"moves predictions by at most {test.at_most:g}"
    share = float(is_fine.mean())
    told = f"{subject} {promise} in {share:.0%} of {len(moved)} rows, {test.share:.0%} are asked for"
    return Outcome(label, "passed" if share >= test.share else "failed", share, told)


def _is_measured(rows: pd.DataFrame, name: str) -> bool:
    """Whether noise can be added to a feature: to an hour or a flag it cannot."""
    from include.spec.recipes import CALENDAR_PARTS

    return name not in (*CALENDAR_PARTS, "target") and rows[name].dtype.kind == "f" and rows[name].nunique() > 2


def _learns_by_heart(pipeline: Pipeline, candidate: str, test: MinimumFunction, rows: pd.DataFrame) -> Outcome:
    import pandas as pd

    from include.training.candidates import make
    from include.training.evaluate import measure

    tiny = rows.sample(min(test.rows, len(rows)), random_state=pipeline.training.seed)
    features, label = pipeline.feature_names(), "minimum_function"
    again = pd.concat([tiny] * TIMES, ignore_index=True)
    model = make(pipeline, candidate).fit(again[features], again["target"])
    base = tiny[model.anchor].to_numpy("float64") if model.anchor else 0.0
    r2 = measure(tiny["target"].to_numpy("float64") - base, model.predict(tiny) - base).r2
    if r2 is None:
        return Outcome(label, "unknown", None, f"{label} cannot be tested: the targets of the sample are equal")
    told = f"a sample of {len(tiny)} rows is fitted with R² {r2:.3f}, {test.r2_min:g} is asked for"
    return Outcome(label, "passed" if r2 >= test.r2_min else "failed", r2, told)


def importance(model: Forecaster, rows: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return how much a model's error grows when a feature is shuffled, as shares of the whole; the largest first.

    Permutation importance (Breiman, 2001, doi:10.1023/A:1010933404324) of the absolute error on held-out rows. A
    feature that does not help has 0; of a model that looks at nothing all have.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.dummy import DummyRegressor
    >>> from include.training.forecaster import Forecaster
    >>> frame = pd.DataFrame({"last": [1.0, 2.0, 3.0, 4.0], "target": [1.0, 2.0, 3.0, 4.0]})
    >>> model = Forecaster(DummyRegressor(strategy="constant", constant=0.0), anchor="last")
    >>> importance(model.fit(frame[["last"]], frame["target"]), frame, seed=0)
    {'last': 1.0}
    """
    import pandas as pd

    rows = rows.sample(min(SAMPLE, len(rows)), random_state=seed)
    random, names = np.random.default_rng(seed), model.features_
    shuffled = [
        rows.assign(**{name: random.permutation(rows[name].to_numpy())}) for name in names for _ in range(SHUFFLES)
    ]
    predicted = model.predict(pd.concat([rows, *shuffled], ignore_index=True))
    losses = np.abs(predicted.reshape(-1, len(rows)) - rows["target"].to_numpy("float64")).mean(axis=1)
    gains = np.maximum(losses[1:].reshape(len(names), SHUFFLES).mean(axis=1) - losses[0], 0.0)
    total = float(gains.sum())
    weights = {name: float(gain / total) if total else 0.0 for name, gain in zip(names, gains, strict=True)}
    return dict(sorted(weights.items(), key=lambda item: -item[1]))

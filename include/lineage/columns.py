"""Which columns each column is made from, as pipeline.yaml says it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from include.spec.model import Pipeline


class Made(NamedTuple):
    """A dataset that a step makes, and from which columns of which other ones.

    Attributes
    ----------
    dataset : str
        Such as ``core.usdmxn``.
    columns : dict
        By column, those it is made from: dataset and column each.
    """

    dataset: str
    columns: dict[str, list[tuple[str, str]]]


def payload(pipeline: Pipeline, source: str) -> str:
    """Return how what a source sent is called: the lake's payloads of it."""
    return f"payload.{pipeline.pipeline}.{source}"


def loaded(pipeline: Pipeline) -> list[Made]:
    """Return what a load makes: each table of ``core`` from its source's fields, the features from ``core``."""
    made = []
    for source, spec in pipeline.sources.items():
        columns = {name: [(payload(pipeline, source), column.from_)] for name, column in spec.columns.items()}
        made.append(Made(_core(pipeline, source), columns))
    return [*made, Made(f"feature.{pipeline.pipeline}", features(pipeline))]


def features(pipeline: Pipeline) -> dict[str, list[tuple[str, str]]]:
    """Return, for each feature and the target, the columns of ``core`` it is made from.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> features(load_all()["usdmxn"])["bank_rate_share_5d"]
    [('core.usdmxn_operations', 'is_bank_rate')]
    """
    main, columns = pipeline.main, dict[str, list[tuple[str, str]]]()
    for recipe in pipeline.features:
        parts = [column.rpartition(".") for column in recipe.reads()]
        made_from = [(_core(pipeline, source or main), column) for source, _, column in parts]
        columns |= dict.fromkeys(recipe.names(), made_from or [(_core(pipeline, main), "valid_at")])
    return columns | {"target": [(_core(pipeline, main), pipeline.target.column)]}


def predicted(pipeline: Pipeline, version: int) -> list[Made]:
    """Return what a scoring makes: predictions from the features and a version of the model."""
    made_from = [(f"feature.{pipeline.pipeline}", name) for name in pipeline.feature_names()]
    return [Made("ml.prediction", {"predicted": [*made_from, (model(pipeline, version), "model")]})]


def trained(pipeline: Pipeline, version: int) -> list[Made]:
    """Return what a training makes: a version of the model from the features and the target."""
    names = [*pipeline.feature_names(), "target"]
    return [Made(model(pipeline, version), {"model": [(f"feature.{pipeline.pipeline}", name) for name in names]})]


def model(pipeline: Pipeline, version: int) -> str:
    """Return how a version of a pipeline's model is called."""
    return f"model.{pipeline.pipeline}.{version}"


def _core(pipeline: Pipeline, source: str) -> str:
    return f"core.{pipeline.pipeline}" + ("" if source == pipeline.main else f"_{source}")

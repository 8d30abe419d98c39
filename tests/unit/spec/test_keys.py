"""A key of the spec that nobody reads would be a promise that nobody keeps."""

import ast
from collections.abc import Iterable
from pathlib import Path

from include.spec.fields import Strict
from include.spec.load import ROOT, load_all
from tests.source import parse

# What is read by being there: its presence makes the asset that outside events are told to.
MARKERS = {("Events", "webhook")}


def read_somewhere() -> set[str]:
    """Return every attribute that the code reads, pages and schema aside: they show keys and do nothing with them."""
    shown = {ROOT / "include" / "spec" / name for name in ("pages.py", "schema.py")}
    files: Iterable[Path] = [*(ROOT / "include").rglob("*.py"), *(ROOT / "dags").rglob("*.py")]
    trees = [parse(file.read_text("utf-8")) for file in files if file not in shown]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def idle_keys(models: Iterable[type[Strict]]) -> set[tuple[str, str]]:
    used = read_somewhere()
    return {(model.__name__, key) for model in models for key in model.model_fields if key not in used} - MARKERS


def every_model(base: type[Strict] = Strict) -> Iterable[type[Strict]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("include."):
            yield model
            yield from every_model(model)


def test_every_key_of_the_spec_is_read() -> None:
    assert load_all()
    assert idle_keys(every_model()) == set()


def test_a_key_that_nobody_reads_is_found() -> None:
    class Planted(Strict):
        colour_of_the_moon: str

    assert idle_keys([Planted]) == {("Planted", "colour_of_the_moon")}

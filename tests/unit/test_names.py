"""Names are nouns that say what they hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import parse

ROOT = Path(__file__).resolve().parents[2]
VAGUE = {"found", "said", "asked"}


def vague_names(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parse(source)):
        name = getattr(node, {ast.Name: "id", ast.arg: "arg"}.get(type(node), "name"), None)
        if isinstance(name, str) and name.strip("_").lower() in VAGUE:
            yield getattr(node, "lineno", 0), name


@pytest.mark.parametrize("folder", ["include", "dags", "plugins", "benchmarks"])
def test_no_variable_or_function_is_called_found_said_or_asked(folder: str) -> None:
    files = (ROOT / folder).rglob("*.py")
    assert [(file.name, *hit) for file in files for hit in vague_names(file.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "def said(): ...",
        "def f(found): ...",
        "try: ...\nexcept OSError as said: ...",
        "class Found: ...",
        "asked = 1",
    ],
)
def test_a_vague_name_is_complained_about(source: str) -> None:
    assert list(vague_names(source))

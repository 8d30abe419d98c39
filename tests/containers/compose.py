"""Reads docker-compose.yaml as Compose does, as far as this project's file goes: merges, ``${NAME}``, nothing else."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"

Services = dict[str, dict[str, Any]]

# ${NAME}, ${NAME:-default}, ${NAME:?message} and ${NAME:+instead}; $$ is a plain dollar sign.
NAMED = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<how>[-?+])(?P<word>[^{}$]*))?\}|(?P<bad>))")


class Missing(Exception):
    """The file cannot be used with these variables; the message is the sentence that Compose shows."""


def load(text: str | None = None) -> dict[str, Any]:
    """Return the file, or `text` in its place, with its merges done and its variables left as they stand."""
    return dict(yaml.safe_load(FILE.read_text() if text is None else text))


def resolve(node: Any, environ: Mapping[str, str]) -> Any:
    """Put the variables in; raises `Missing` for one that must be set and is not."""
    if isinstance(node, dict):
        return {key: resolve(value, environ) for key, value in node.items()}
    if isinstance(node, list):
        return [resolve(value, environ) for value in node]
    return NAMED.sub(lambda found: _value(found, environ), node) if isinstance(node, str) else node


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    if found["name"] is None:
        raise Missing(f"{found.string!r} has a $ that begins no variable")
    given, how, word = environ.get(found["name"], ""), found["how"], found["word"]
    if how == "+":
        return word if given else ""
    if given or how == "-":
        return given or word
    reason = f": {word}" if how == "?" else " has no default"
    raise Missing(f"required variable {found['name']}{reason}")


def variables(node: Any) -> dict[str, set[str]]:
    """Return each variable the node names, with how: ``-``, ``?``, ``+``, or empty."""
    found: dict[str, set[str]] = {}
    texts = [node] if isinstance(node, str) else []
    nodes = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    for match in (m for text in texts for m in NAMED.finditer(text) if m["name"]):
        found.setdefault(match["name"], set()).add(match["how"] or "")
    for inner in nodes:
        for name, hows in variables(inner).items():
            found.setdefault(name, set()).update(hows)
    return found


def environment(service: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a resolved service finds in its environment; a name without a value is passed on where it is set."""
    given = service.get("environment", {})
    passed = {name: environ[name] for name, value in given.items() if value is None and name in environ}
    return {name: str(value) for name, value in given.items() if value is not None} | passed

"""Which folders under ``var`` the code of a service uses, read from the source."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import grimp

from tests.containers.compose import ROOT
from tests.source import parse

IN_CONTAINERS = "/var/lib/ciclo"
# The one says where things lie by default, who uses them is what counts; of the other the DAG files reach no more than
# how a private file is written.
NO_USERS = {"include.settings", "include.local.secrets"}


def used_by(service: dict[str, Any]) -> set[str]:
    """Return the folders that what a service runs uses, as paths in the container; none where it is not our code.

    Jobs are left out: they share modules with the runtime of one machine, and tests run them for real.
    """
    program, *rest = service["command"]
    if service.get("restart") == "no":
        return set()
    if program == "airflow":
        reached = _reached(tuple(sorted(_of_plugins())))
        reached |= set() if rest[0] == "api-server" else _reached(tuple(sorted(_modules("dags"))))
    else:
        reached = _reached((f"{rest[1]}.__main__",)) if rest[:1] == ["-m"] else set()
    return {f"{IN_CONTAINERS}/{name}" for module in reached - NO_USERS for name in named_in(_source(module))}


def named_in(source: str) -> set[str]:
    """Return the folders of ``var`` that a source names: ``….var / "x"``, ``f"{….var}/x"``, ``settings().lake``.

    Examples
    --------
    >>> sorted(named_in('settings().var / "docs" / "quality"; f"{options.var}/files/a"; Lake(settings().lake)'))
    ['docs', 'files', 'lake']
    """
    return {name for node in ast.walk(parse(source)) for name in _named(node)}


def _named(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BinOp(left=ast.Attribute(attr="var"), op=ast.Div(), right=ast.Constant(value=str(name))):
            yield name.split("/")[0]
        case ast.BinOp(left=ast.Attribute(attr="var"), op=ast.Div()):
            yield f"<{ast.unparse(node.right)}>"  # which one it is cannot be read: no volume has that name
        case ast.JoinedStr(values=values):
            for value, rest in pairwise(values):
                match value, rest:
                    case ast.FormattedValue(value=ast.Attribute(attr="var")), ast.Constant(value=str(path)):
                        yield path.split("/")[1]
        case ast.Attribute(attr="lake", value=ast.Call(func=ast.Name(id="settings"))):
            yield "lake"


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("include", "dags", cache_dir=None)


@cache
def _reached(entries: tuple[str, ...]) -> frozenset[str]:
    """Return modules with all that they import, those imported inside functions included."""
    known = [entry for entry in entries if entry in _graph().modules]
    return frozenset(known).union(*(_graph().find_upstream_modules(entry) for entry in known))


def _modules(package: str) -> set[str]:
    return {module for module in _graph().modules if module.startswith(f"{package}.")}


def _of_plugins() -> set[str]:
    """Return the modules of ours that plugins and Airflow's local settings import."""
    files = [path for folder in ("plugins", "config") for path in (ROOT / folder).glob("*.py")]
    nodes = [node for path in files for node in ast.walk(parse(path.read_text()))]
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def _source(module: str) -> str:
    path = Path(ROOT, *module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()

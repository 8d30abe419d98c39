"""``docs/dags.md``: every DAG's own page, as the web UI shows it, in one place.

``python -m include.reporting.dag_pages`` writes it; with ``--check`` a stale page ends with
exit code 1 and the command that mends it.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from include.spec.dag_ids import VERBS
from include.spec.load import ROOT, load_all
from include.spec.pages import publish

PAGE = ROOT / "docs" / "dags.md"
OF_NO_PIPELINE = ("alert", "backup", "drill", "keep_house")
OPENING = """# The DAGs

Made from the DAG files and the pipelines by `make docs`; do not edit. Trigger any of them in the
web UI or with `airflow dags trigger <dag_id>`, after `eval "$(.venv/bin/ciclo env)"`.
"""


def page(dags: Path = ROOT / "dags") -> str:
    """Return the page: a part a verb, with the DAGs it makes and the text they show in the web UI."""
    pipelines = load_all()
    parts = [OPENING]
    for verb in VERBS:
        own = {name: spec for name, spec in pipelines.items() if verb != "label" or spec.monitoring.label}
        lines = [f"- `{verb}_{name}`: {spec.title} ({spec.impact})" for name, spec in own.items()]
        ids = "\n".join(lines or ["None of the shipped pipelines has it."])
        parts.append(f"## {verb}_<pipeline>\n\n{ids}\n\n{_docstring(dags / f'{verb}.py')}\n")
    parts += [f"## {name}\n\n{_docstring(dags / f'{name}.py')}\n" for name in OF_NO_PIPELINE]
    return "\n".join(parts)


def main(arguments: list[str] | None = None, path: Path = PAGE) -> int:
    """Write the page, or with ``--check`` tell whether it is current; return the exit code."""
    return publish({path: page()}, arguments, "{} is not what the DAGs say now: make docs")


def _docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


if __name__ == "__main__":
    sys.exit(main())

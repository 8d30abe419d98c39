"""``ciclo scorecard``: the ML Test Score of this installation, each point with its evidence."""

import json
from typing import Annotated, Any

import typer

from include.commands.system import warehouse


def scorecard(as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False) -> None:
    """Print each of the 28 tests with its points and its evidence, and the least of the four sections."""
    from include.scorecard.marking import mark_all, summary
    from include.spec.load import load_runnable

    with warehouse().connect() as connection:
        result = summary(mark_all(connection, load_runnable()))
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    for section, score in result["sections"].items():
        typer.echo(f"{section.upper()}: {score:g} of 7")
        for test in (test for test in result["tests"] if test["section"] == section):
            typer.echo(f"  {test['score']:<4g}{test['name']}")
            for name, text in test["evidence"].items():
                typer.echo(f"        {'-' if name in test['missing'] else '+'} {name}: {text}")
            for name in (name for name in test["missing"] if name not in test["evidence"]):
                typer.echo(f"        - {name}: no evidence")
            if test["score"] == 0.5 and test["by_hand"]:
                typer.echo(f"          by hand: {test['by_hand']}")
    typer.echo(f"The ML Test Score is the least of the four: {result['minimum']:g} of 7.")

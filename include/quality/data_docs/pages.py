"""The pages as HTML. Pure; whatever came from a source is escaped, for a source may send anything."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template

from include.quality.contract import Result, Rule
from include.quality.data_docs.report import Report
from include.quality.great_expectations_adapter import rendered

FACTS = re.compile(r'<meta name="ciclo" content="([^"]*)">')
WHOLE = "Whole rows and the batch"


def batch_page(report: Report) -> str:
    """Return the page of a batch: its verdict, what broke, and every rule with what was found, column by column."""
    rules = {(rule.rule, rule.column): rule for rule in report.rules}
    findings = [_finding(r, rules.get((r.rule, r.column)), report) for r in report.judged]
    sections = dict(rendered(findings, f"{report.pipeline}.{report.source}"))
    columns = dict.fromkeys([*(r.column for r in report.judged), *sections])
    order = sorted(columns, key=lambda column: column != "*")  # else as in the contract
    broken, judged = Counter(r.dimension for r in report.broken), Counter(r.dimension for r in report.judged)
    faulty = {r.column for r in report.broken}
    return _template("batch.html").render(
        report=report,
        facts=json.dumps(report.facts()),
        passed_count=len(report.judged) - len(report.broken),
        dimensions=[(name, count, broken[name]) for name, count in judged.items()],
        sections=[
            {"name": WHOLE if name == "*" else name, "is_broken": name in faulty, "html": _plain(sections[name])}
            for name in order
            if name in sections
        ],
    )


def index_page(title: str, up: str | None, groups: list[dict[str, Any]]) -> str:
    """Return a page that leads to others.

    Parameters
    ----------
    up : str or None
        Address of the page above.
    groups : list of dict
        `name`, `href` or None, `more` (entries left out) and `entries`: `href` and `facts` of a batch's page each.
    """
    return _template("index.html").render(title=title, up=up, groups=groups)


def facts_of(beginning: str) -> dict[str, Any]:
    """Return what `Report.facts` gave, from the beginning of a page; empty where it holds none."""
    match = FACTS.search(beginning)
    return json.loads(html.unescape(match[1])) if match else {}


def _finding(result: Result, rule: Rule | None, report: Report) -> dict[str, Any]:
    """Return a verdict in Great Expectations' shape; one on a derived column, which nobody knows, as one beyond it."""
    theirs = rule if rule and rule.expectation and not rule.derived else None
    share = result.unexpected_count / result.row_count * 100 if result.row_count else 0.0
    shown = report.examples.get((result.rule, result.column), [])
    return {
        "column": result.column,
        "expectation": theirs.expectation if theirs else "",
        "arguments": dict(theirs.arguments) if theirs else {},
        # On one line: Great Expectations turns the end of a line into a break.
        "description": " ".join(_template("rule.html").render(result=result).split()),
        "is_passed": result.is_passed,
        "result": {
            "element_count": result.row_count,
            "unexpected_count": result.unexpected_count,
            "unexpected_percent": share,
            "partial_unexpected_list": [html.escape(value) for value in shown],
            "observed_value": html.escape(result.observed),
        },
    }


def _plain(fragment: str) -> str:
    """Take out what only the scripts of Great Expectations' own site would use; its ids repeat in each section."""
    return re.sub(r'\s(?:id|data-[\w-]+)="[^"<>]*"', "", fragment)


@cache
def _template(name: str) -> Template:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(name)

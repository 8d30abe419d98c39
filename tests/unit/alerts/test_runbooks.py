"""Each alert leads to a page that says what is seen, what to look at, what to do and how to know that it is over."""

import re
from pathlib import Path
from typing import get_args

import pytest

from include.alerts.runbooks import OF_WORD, runbook
from include.health.findings import WORDS
from include.spec.parts import Event

PAGES = Path(__file__).resolve().parents[3] / "docs" / "runbooks"
HEADINGS = ["Symptom", "Check", "Fix", "Proof"]


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted({runbook(kind) for kind in get_args(Event)} | {*OF_WORD.values(), "drill"}))
def test_a_runbook_has_symptom_check_fix_and_proof(name: str) -> None:
    assert headings((PAGES / f"{name}.md").read_text(encoding="utf-8")) == HEADINGS


def test_a_runbook_without_a_proof_is_caught() -> None:
    assert headings("# Alert\n\n## Symptom\n\n## Check\n\n## Fix\n") != HEADINGS


@pytest.mark.parametrize("word", [word for word in WORDS if word not in OF_WORD and word != "fine"])
def test_a_word_without_a_page_of_its_own_is_told_on_the_page_of_health(word: str) -> None:
    assert f"| {word} |" in (PAGES / "health.md").read_text(encoding="utf-8")

"""Which page of ``docs/runbooks`` says what to do: by the kind of an alert, or by the word of a pipeline's health."""

from __future__ import annotations

OF_WORD = {
    "broken": "broken",
    "failing": "failure",
    "blocked": "quality",
    "poor": "quality",
    "overdue": "overdue",
    "waiting": "approval",
    "doubtful": "investigate",
    "drifting": "retrain",
    "unserved": "serving",
    "impaired": "serving",
    "unheard": "unheard",
}


def runbook(kind: str, word: str | None = None) -> str:
    """Return the name of the page.

    Examples
    --------
    >>> runbook("failure"), runbook("health", "doubtful"), runbook("health", "gaps")
    ('failure', 'investigate', 'health')
    """
    return OF_WORD.get(word or "", "health") if kind == "health" else kind


def runbook_url(kind: str, word: str | None = None) -> str:
    """Return where Airflow's web UI shows the page."""
    from airflow.configuration import conf

    base: str = conf.get("api", "base_url", fallback="")
    return f"{base.rstrip('/')}/ciclo/runbooks/{runbook(kind, word)}"

"""A batch's profile: kept in the lake for the load, and compared with those of the batches before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.quality.contract import Result

if TYPE_CHECKING:
    from include.quality.profile import Profile
    from include.steps.run import Run
    from include.windows import Window

HISTORY = 12  # batches compared with


def keep_profile(run: Run, folder: str, profile: Profile) -> str:
    """Keep a profile in the lake, until the load writes it to ``ops.column_profile``; return where."""
    import json

    import pandas as pd

    facts = profile.facts()
    rows = [
        {"column_name": name, "facts": json.dumps(facts[name]), "state": column.to_bytes()}
        for name, column in profile.columns.items()
    ]
    return run.lake.put_frame(f"{folder}/profile", pd.DataFrame(rows))


def sudden_changes(run: Run, source: str, window: Window, profile: Profile) -> list[Result]:
    """Compare a profile with those of the newest loaded batches before it: a warning, before any contract breaks."""
    from include.quality.change import changes
    from include.warehouse.profiles import facts_before

    if not profile.rows:
        return []
    with run.engine.connect() as connection:
        history = facts_before(connection, run.pipeline.pipeline, source, window.end, HISTORY)
    sudden = changes(profile.facts(), history)
    sentences: dict[str, list[str]] = {}
    for change in sudden:
        if abs(change.z) >= run.pipeline.quality.change:
            sentences.setdefault(change.column, []).append(change.sentence)
    return [
        Result("change", column, "warn", False, profile.rows, 0, "; ".join(told),
               f"much as in the {len(history)} batches before", "core", "reasonability")
        for column, told in sentences.items()
    ]  # fmt: skip

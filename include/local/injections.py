"""The injections of this runtime: which stand, in the sandbox's folder, and the simulated database that shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from include.local import environment
from include.sandbox import injected_desk, standing
from include.sandbox.injection import CORE_BANKING, Injection
from include.settings import settings


def folder() -> Path:
    """Return where the sandbox reads what stands."""
    return settings().var / "sandbox"


def standing_now() -> tuple[Injection, ...]:
    """Return the injections that stand, in the order in which they were made; `ConfigError` where nobody can tell."""
    return standing.read(folder())


def prove(made: Injection, check: Callable[[], None]) -> None:
    """Let one more injection stand if a check holds while it does; where it raises, nothing has changed."""
    with standing.changing(folder()):
        others = standing_now()
        try:
            _let_stand([*others, made], others)
            check()
        except BaseException:
            _let_stand(others, [made])
            raise


def take_back(pipeline: str, column: str | None = None) -> list[Injection]:
    """Take back the injections of a pipeline, or of one of its columns; return them. Its file need not exist."""
    with standing.changing(folder()):
        every = standing_now()
        gone = [each for each in every if each.pipeline == pipeline and column in (None, each.column)]
        if gone:
            _let_stand([each for each in every if each not in gone], gone)
    return gone


def show_at_desk() -> None:
    """Let the simulated database show what stands: it may be younger than the injections. Idempotent."""
    injected_desk.apply(environment.database_url("core_banking"), standing_now())


def _let_stand(injections: Sequence[Injection], others: Sequence[Injection]) -> None:
    """Let these stand and no others; the database is asked only where one of them, or of the others, is its own.

    The file comes first: whoever is killed in between leaves an injection that is listed and can be taken back.
    """
    standing.replace(folder(), injections)
    if any(each.service == CORE_BANKING for each in [*injections, *others]):
        injected_desk.apply(environment.database_url("core_banking"), injections)

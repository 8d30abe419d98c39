"""Look how all pipelines are: the warehouse, MLflow and the prediction service asked, and judged together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from include.errors import SourceUnavailable
from include.health.asking import ask_service
from include.health.findings import Health, health_of_all
from include.health.state import pipelines, with_champions
from include.spec.load import load_runnable

SECONDS = 20.0  # for the warehouse, and for MLflow; one whose machine hangs answers never
T = TypeVar("T")


class Looked(NamedTuple):
    """What was seen at one moment.

    Attributes
    ----------
    pipelines : dict
        By pipeline, see `include.health.state`; what could not be read is left out.
    predictions : dict
        The prediction service, see `include.health.service`.
    health : dict
        By pipeline, the worst first.
    problems : list of str
        What could not be read, and the way out.
    """

    pipelines: dict[str, dict[str, Any]]
    predictions: dict[str, Any]
    health: dict[str, Health]
    problems: list[str]


def look(warehouse_url: str, mlflow_url: str, faults: Mapping[str, list[str]]) -> Looked:
    """Return how all pipelines are now; a server that is away makes what it would tell unknown.

    Parameters
    ----------
    faults : mapping
        By pipeline, the lines that say what is wrong with its file.
    """
    from sqlalchemy.exc import SQLAlchemyError

    states: dict[str, dict[str, Any]] = {}
    problems = []
    specs = load_runnable()
    try:
        states = _in_time("The warehouse", lambda: pipelines(warehouse_url, specs))
        states = _in_time("MLflow or the warehouse", lambda: with_champions(states, warehouse_url, mlflow_url))
    except SQLAlchemyError as error:
        reason = str(error).strip().splitlines()[0]
        problems.append(f"The warehouse cannot be read ({reason}); start the runtime with make run or ciclo up.")
    except SourceUnavailable as error:
        problems.append(str(error))
    names = list(specs)
    predictions = ask_service(names)
    return Looked(states, predictions, health_of_all(states, faults, names, predictions), problems)


def _in_time(who: str, work: Callable[[], T]) -> T:
    """Return what some work gives, unless that takes too long: it is left alone then, and ends with this process.

    Raises
    ------
    SourceUnavailable
        It has not ended in `SECONDS`. No limit of the server's own helps where that hangs.
    """
    ends: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

    def run() -> None:
        try:
            ends.put((work(), None))
        except BaseException as error:
            ends.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        given, error = ends.get(timeout=SECONDS)
    except Empty:
        raise SourceUnavailable(
            f"{who} has not answered for {SECONDS:g} s; if it hangs: ciclo down, ciclo up."
        ) from None
    if error is not None:
        raise error
    return given  # type: ignore[return-value]

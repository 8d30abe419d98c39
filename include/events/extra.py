"""The window that an event's `extra` names, if it does: it comes from outside and is not trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.errors import ConfigError
from include.windows import Window


def named_window(dag_id: str, extras: Sequence[Mapping[str, Any]]) -> Window | None:
    """Return the one window that spans what the events name, or None where none of them names any.

    Parameters
    ----------
    dag_id : str
        The DAG they started, for the message.
    extras : sequence of mapping
        The `extra` of each event; `start` and `end` are read, ISO 8601, UTC.

    Raises
    ------
    ConfigError
        If an event gives only one of the two, or they are no dates in order. Not retried.

    Examples
    --------
    >>> days = [{"start": "2025-01-01", "end": "2025-01-02"}, {"start": "2025-01-03", "end": "2025-01-04"}, {}]
    >>> str(named_window("ingest_usdmxn", days))
    '2025-01-01..2025-01-04'
    """
    windows = [_window(dag_id, extra) for extra in extras if extra.get("start") or extra.get("end")]
    if not windows:
        return None
    return Window(min(w.start for w in windows), max(w.end for w in windows))


def _window(dag_id: str, extra: Mapping[str, Any]) -> Window:
    start, end = extra.get("start"), extra.get("end")
    try:
        if not (isinstance(start, str) and isinstance(end, str)):
            raise ConfigError("give both as text, or neither")
        return Window.parse(start, end)
    except ConfigError as error:
        given = f"start={start!r:.40} end={end!r:.40}"
        example = '{"start":"2025-01-01","end":"2025-02-01"}'
        raise ConfigError(
            f"{dag_id}: the event that started this run has in its extra {given}: {error}; send it again with"
            f" {example} or without both, or airflow dags trigger {dag_id} --conf '{example}'"
        ) from None

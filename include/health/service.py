"""How the prediction service is, by what its instances tell: versions, speed, errors, and what is degraded. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SPOOL, REQUESTS, SECONDS = "ciclo_spool_bytes", "ciclo_requests_total", "ciclo_request_seconds_bucket"


def service(instances: Mapping[str, tuple[bytes | None, bytes | None]], names: Iterable[str]) -> dict[str, Any]:
    """Return how the service is, all instances together, since they were started.

    Parameters
    ----------
    instances : mapping
        By address, what it answers to ``GET /readyz`` and ``GET /metrics``; None where it does not.
    names : iterable of str
        The pipelines.

    Returns
    -------
    dict
        ``pipelines``, by name: `versions` that answer (one, but for moments), `rollouts` (challengers that answer
        beside it, in words), `requests`, `refused` (4xx), `error_share` (5xx) and `p99_ms`; ``spool_bytes``, answers
        that wait for the warehouse; ``degraded``, a sentence each. None where it is unknown.
    """
    told = {url: _readiness(ready) for url, (ready, _) in instances.items()}
    readies = {url: ready for url, ready in told.items() if ready is not None}
    texts = [text.decode() for _, text in instances.values() if text]
    samples = [sample for text in texts for sample in _samples(text)] if texts else None
    degraded = [f"{url} does not answer" for url in instances if url not in readies]
    for url, ready in readies.items():
        parts = ready["troubles"].items()
        degraded += [f"{url} {name}: {part['why']} (since {part['since']})" for name, part in parts]
    return {
        "pipelines": {
            name: {
                "versions": _versions(readies.values(), name),
                "rollouts": _rollouts(readies.values(), name),
                **_figures(samples, name),
            }
            for name in names
        },
        "spool_bytes": None if samples is None else int(sum(value for kind, _, value in samples if kind == SPOOL)),
        "degraded": degraded,
    }


def _readiness(content: bytes | None) -> dict[str, Any] | None:
    """Return what an instance says of itself; None where it does not answer, or something before it does instead."""
    try:
        return dict(json.loads(content or b""))
    except (ValueError, TypeError):
        return None


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram, as Prometheus's ``histogram_quantile`` does; None where it is empty.

    Parameters
    ----------
    buckets : mapping
        How many were at most so large, by the upper end of each bucket; the last one is infinite.

    Examples
    --------
    >>> quantile(0.5, {1.0: 2, 2.0: 4, math.inf: 4}), quantile(0.9, {1.0: 2, math.inf: 4}), quantile(0.5, {math.inf: 0})
    (1.0, 1.0, None)
    """
    ends = sorted(buckets)
    total = buckets[ends[-1]] if ends else 0
    if not total:
        return None
    low, before = 0.0, 0.0
    for end in ends:
        if buckets[end] >= share * total:
            return low if math.isinf(end) else low + (end - low) * (share * total - before) / (buckets[end] - before)
        low, before = end, buckets[end]
    return low


def _samples(text: str) -> Sequence[tuple[str, dict[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(text)
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def _versions(readies: Iterable[Mapping[str, Any]], name: str) -> list[int] | None:
    versions = [ready["models"][name] for ready in readies if name in ready.get("models", {})]
    return sorted(set(versions)) or None


def _rollouts(readies: Iterable[Mapping[str, Any]], name: str) -> list[str] | None:
    rollouts = [ready["rollouts"][name] for ready in readies if name in ready.get("rollouts", {})]
    return sorted({_in_words(**rollout) for rollout in rollouts}) or None


def _in_words(version: int, mode: str, share: float | None) -> str:
    return f"{mode} {version}" + (f" ({100 * share:g}%)" if share else "")


def _figures(samples: Sequence[tuple[str, dict[str, str], float]] | None, name: str) -> dict[str, Any]:
    if samples is None:
        return dict.fromkeys(("requests", "refused", "error_share", "p99_ms"))
    by_status: Counter[int] = Counter()
    buckets: Counter[float] = Counter()
    for kind, labels, value in samples:
        if kind == REQUESTS and labels["pipeline"] == name:
            by_status[int(labels["status"]) // 100] += int(value)
        if kind == SECONDS and labels["pipeline"] == name:
            buckets[float(labels["le"])] += int(value)
    total, seconds = by_status.total(), quantile(0.99, buckets)
    return {
        "requests": total,
        "refused": by_status[4],
        "error_share": by_status[5] / total if total else None,
        "p99_ms": None if seconds is None else 1000 * seconds,
    }

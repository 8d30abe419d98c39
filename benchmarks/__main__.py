"""``python -m benchmarks [NAME]``: print one JSON line a figure; a ratio above 1 means ours is better."""

import json
import os
import sys
import tempfile

from benchmarks import (
    alarms,
    backup,
    coverage,
    dag_parse,
    drift,
    drifting,
    durability,
    features,
    loading,
    mart,
    model_quality,
    page,
    promotion,
    quality,
    replay,
    serve_follows,
    serve_start,
    serving,
    task_overhead,
)

BENCHMARKS = {
    "task_overhead": task_overhead.measure,
    "dag_parse": dag_parse.measure,
    "load_first": loading.measure_first,
    "load_again": loading.measure_again,
    "load_memory": loading.measure_memory,
    "quality": quality.measure,
    "features_build": features.measure_build,
    "window_cost": features.measure_window,
    "drift": drift.measure,
    "drift_memory": drift.measure_memory,
    "drift_false_alarms": drifting.measure_false_alarms,
    "detection": drifting.measure_detection,
    "slide": drifting.measure_slide,
    "false_alarms": alarms.measure_false_alarms,
    "harm_delay": alarms.measure_harm_delay,
    "replay": replay.measure_replay,
    "regret": replay.measure_regret,
    "false_promotions": promotion.measure_false_promotions,
    "power": promotion.measure_power,
    "coverage": coverage.measure,
    "mart": mart.measure,
    "model_quality": model_quality.measure,
    "serve": serving.measure,
    "log_durability": durability.measure,
    "log_memory": durability.measure_memory,
    "serve_start": serve_start.measure,
    "serve_follows": serve_follows.measure,
    "backup": backup.measure,
    "backup_rpo": backup.measure_rpo,
    "page": page.measure,
}


def ratio(ours: float, peer: float | None) -> float | None:
    """Return how much better ours is, 2 for twice; None where it is undefined.

    Examples
    --------
    >>> ratio(2.0, 3.0), ratio(0, 3.0)
    (1.5, None)
    """
    return round(peer / ours, 2) if ours and peer is not None else None


def main(names: list[str]) -> int:
    """Measure the named figures, or all of them."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-var-") as var:
        os.environ["CICLO_VAR"] = var  # nothing that is measured lands in the user's pages
        for name in names or BENCHMARKS:
            for figure in BENCHMARKS[name]():
                print(json.dumps({"ratio": ratio(figure["ours"], figure["peer"]), **figure}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Read by every Airflow process at its start; warms the scheduler and the DAG processor, which fork their workers.

``CICLO_WARM_WORKERS=0`` switches it off, to measure what it is worth. Where workers are not
forked from the scheduler (macOS), a fork server imports the same list instead.
"""

import multiprocessing
import sys

if {"scheduler", "dag-processor"} & {*sys.argv} and multiprocessing.get_start_method() == "fork":
    from include.local.warm import DAG_FILES, preload, warm_modules
    from include.registry.candidate_runs import know_packages
    from include.settings import settings

    if settings().warm_workers and "scheduler" in sys.argv:
        know_packages()
        preload(warm_modules())
    elif settings().warm_workers:
        preload(DAG_FILES)

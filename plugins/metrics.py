"""The loop's metrics at ``/metrics`` of Airflow's API server."""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class Metrics(AirflowPlugin):
    """What Airflow registers."""

    name = "ciclo_metrics"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The endpoint; built for the API server alone, since every task loads the plugins too."""
        from include.telemetry.scrape import PREFIX, site

        return [{"name": "ciclo metrics", "app": site(), "url_prefix": PREFIX}]

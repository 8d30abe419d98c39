"""The Ciclo page in Airflow's web UI: the entry "Ciclo", and at each task buttons that lead to what it did."""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from include.page.links import PREFIX, Links, run_url
from include.reporting.docs_site import airflow_base, monitor_url, report_url, training_url


class QualityReport(BaseOperatorLink):
    """Leads from the page of a check, however it ended, to what it found.

    A global link is worked out by the API server when somebody looks, not by the task: a task that
    was killed has one as well, and nothing goes through XCom.
    """

    name = "Quality report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty, and no button, for other tasks."""
        return report_url(airflow_base(), ti_key.dag_id, ti_key.task_id, ti_key.run_id)


class MonitoringReport(BaseOperatorLink):
    """Leads from the page of a decision to what the monitor saw of the window."""

    name = "Monitoring report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty, and no button, for other tasks."""
        return monitor_url(airflow_base(), ti_key.dag_id, ti_key.task_id, ti_key.run_id)


class EvaluationReport(BaseOperatorLink):
    """Leads from the page of a training's decision to how its challenger was evaluated."""

    name = "Evaluation report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty, and no button, for other tasks."""
        return training_url(airflow_base(), ti_key.dag_id, ti_key.task_id, ti_key.run_id)


class RunPage(BaseOperatorLink):
    """Leads from every task of a pipeline's DAGs to what its run loaded, predicted and decided."""

    name = "What the run did"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty, and no button, for tasks of other DAGs."""
        return run_url(airflow_base(), ti_key.dag_id, ti_key.run_id)


class CicloPage(AirflowPlugin):
    """What Airflow registers."""

    name = "ciclo_page"
    global_operator_extra_links = [  # noqa: RUF012 - so does AirflowPlugin declare it
        QualityReport(),
        MonitoringReport(),
        EvaluationReport(),
        RunPage(),
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The page; built for the API server alone, since every task loads the plugins too."""
        from include.page.app import airflow_app

        return [{"name": "ciclo page", "app": airflow_app(), "url_prefix": PREFIX}]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:
        """The entry in the navigation; no frame, whose sandbox would lose the session at the first link."""
        href = Links(airflow_base(), "").overview
        return [{"name": "Ciclo", "href": href, "destination": "nav", "nav_top_level": True}]

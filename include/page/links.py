"""Where everything is: addresses of the page itself, of Airflow's and of MLflow's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from include.reporting.docs_site import monitor_url, report_url, training_url
from include.spec.dag_ids import pipeline_of

PREFIX = "/ciclo"


def run_url(base: str, dag_id: str, run_id: str) -> str:
    """Return the page of what a run of a pipeline did; empty for other DAGs. `base` as in `Links`."""
    return Links(base, "").run(dag_id, run_id) if pipeline_of(dag_id) else ""


@dataclass(frozen=True)
class Links:
    """Addresses as a browser asks for them.

    Attributes
    ----------
    base : str
        Path under which Airflow is served, without a slash at its end.
    mlflow : str
        Where people reach MLflow, without a slash at its end.
    """

    base: str
    mlflow: str

    @property
    def overview(self) -> str:
        """The page of all pipelines."""
        return f"{self.base}{PREFIX}/"

    @property
    def scorecard(self) -> str:
        """The ML Test Score."""
        return f"{self.base}{PREFIX}/scorecard"

    @property
    def runbooks(self) -> str:
        """The list of runbooks."""
        return f"{self.base}{PREFIX}/runbooks"

    @property
    def reports(self) -> str:
        """The list of reports."""
        return f"{self.base}{PREFIX}/reports"

    @property
    def search(self) -> str:
        """Where the form that looks for a prediction leads."""
        return f"{self.base}{PREFIX}/prediction"

    @property
    def theme(self) -> str:
        """The script that takes over light or dark from Airflow."""
        return f"{self.base}{PREFIX}/theme.js"

    @property
    def airflow(self) -> str:
        """Airflow itself."""
        return f"{self.base}/"

    def pipeline(self, name: str) -> str:
        """Return the page of a pipeline."""
        return f"{self.base}{PREFIX}/pipeline/{quote(name, '')}"

    def decision(self, number: int) -> str:
        """Return the page of an entry of the ledger."""
        return f"{self.base}{PREFIX}/decision/{number}"

    def model(self, pipeline: str, version: int) -> str:
        """Return the page of a version: its card, its decisions."""
        return f"{self.base}{PREFIX}/model/{quote(pipeline, '')}/{version}"

    def run(self, dag_id: str, run_id: str) -> str:
        """Return the page of what a run did.

        Examples
        --------
        >>> Links("/af", "").run("score_usdmxn", "manual__2025-01-01T00:00:00+00:00")
        '/af/ciclo/run?dag_id=score_usdmxn&run_id=manual__2025-01-01T00%3A00%3A00%2B00%3A00'
        """
        return f"{self.base}{PREFIX}/run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"

    def prediction(self, number: int) -> str:
        """Return the page of a prediction."""
        return f"{self.base}{PREFIX}/prediction/{number}"

    def payload(self, number: int) -> str:
        """Return the page of a payload."""
        return f"{self.base}{PREFIX}/payload/{number}"

    def payload_bytes(self, number: int) -> str:
        """Return where a payload's bytes are, as a file."""
        return f"{self.payload(number)}/bytes"

    def runbook(self, name: str) -> str:
        """Return the page of a runbook."""
        return f"{self.runbooks}/{quote(name, '')}"

    def guide(self, name: str) -> str:
        """Return a page of the documentation."""
        return f"{self.base}{PREFIX}/guide/{quote(name, '')}"

    def docs(self, path: str) -> str:
        """Return a report's page, by its path below ``var/docs``."""
        return f"{self.base}{PREFIX}/docs/{quote(path)}"

    def quality_report(self, dag_id: str, run_id: str, source: str) -> str:
        """Return what a run's check of a source saw."""
        return report_url(self.base, dag_id, f"{source}.check", run_id)

    def report_of(self, dag_id: str, run_id: str) -> str:
        """Return the report of a monitor's or a training's run; empty for another DAG's."""
        return monitor_url(self.base, dag_id, "decide", run_id) or training_url(
            self.base, dag_id, "compare_and_decide", run_id
        )

    def airflow_dag(self, dag_id: str) -> str:
        """Return Airflow's page of a DAG, where it is triggered."""
        return f"{self.base}/dags/{quote(dag_id, '')}"

    def airflow_run(self, dag_id: str, run_id: str) -> str:
        """Return Airflow's page of a run."""
        return f"{self.airflow_dag(dag_id)}/runs/{quote(run_id, '')}"

    def required_actions(self, dag_id: str, run_id: str) -> str:
        """Return where a person answers what a run asks."""
        return f"{self.airflow_run(dag_id, run_id)}/required_actions"

    def mlflow_version(self, pipeline: str, version: int) -> str:
        """Return MLflow's page of a version."""
        return f"{self.mlflow}/#/models/{quote(pipeline, '')}/versions/{version}"

    def mlflow_run(self, run_id: str) -> str:
        """Return MLflow's page of a run."""
        return f"{self.mlflow}/#/runs/{quote(run_id, '')}"

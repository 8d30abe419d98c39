"""The few calls of Airflow's API v2 that the replay needs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from include.errors import SourceUnavailable
from include.local.environment import airflow_url
from include.local.secrets import secret

DONE = {"success", "failed"}
# The server closes a connection that was idle for five seconds, perhaps just when a call is on its way. Every call
# here may be made twice: a run has the caller's own id.
AGAIN = Retry(total=4, connect=4, read=4, status=0, backoff_factor=0.3, allowed_methods=None)


class AirflowApi:
    """A signed-in client of the Airflow web server, whose address has no slash at its end.

    Raises
    ------
    SourceUnavailable
        If Airflow does not answer or refuses the password; every call may raise it.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.mount(url, HTTPAdapter(max_retries=AGAIN))
        self._credentials = {"username": user, "password": password}
        self._sign_in()

    @classmethod
    def of_runtime(cls) -> AirflowApi:
        """Return a client of this runtime's Airflow, signed in as its administrator."""
        return cls(airflow_url(), "admin", secret("airflow_admin"))

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run; one that exists already stays as it is."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self.call("POST", f"dags/{dag_id}/dagRuns", accept=(409,), json=body)

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """Return a run's state, or None where there is no such run."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}", accept=(404,))
        return answer.json()["state"] if answer.status_code == 200 else None

    def retry_failed(self, dag_id: str, run_id: str) -> None:
        """Clear a run's failed tasks and all that follows them, so that they run again."""
        failed = sorted({task["task_id"] for task in self.tasks(dag_id, run_id) if task["state"] == "failed"})
        body = {"dag_run_id": run_id, "task_ids": failed, "include_downstream": True, "only_failed": False}
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", json=body | {"dry_run": False, "reset_dag_runs": True})

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 200})
        return list(answer.json()["task_instances"])

    def why_failed(self, dag_id: str, run_id: str) -> str:
        """Say which task of a failed run failed and why, and where its log is."""
        failed = [task for task in self.tasks(dag_id, run_id) if task["state"] == "failed"]
        shown = os.environ.get("AIRFLOW__API__BASE_URL", self.url)  # in containers people see another address
        where = f"Its log: {shown}/dags/{dag_id}/runs/{run_id}"
        if not failed:
            return f"{dag_id} failed: no task says why\n{where}"
        reason = self.last_log_line(dag_id, run_id, failed[0])
        return f"{dag_id} failed: {reason}\nThe task: {name_of(failed[0])}. {where}"

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> str:
        """Return a value a task left for others."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return str(self.call("GET", path).json()["value"])

    def last_log_line(self, dag_id: str, run_id: str, task: dict[str, Any]) -> str:
        """Return the last error a task instance logged, in one line; empty where it logged none."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        answer = self.call("GET", path, params={"map_index": task["map_index"], "full_content": True})
        errors = [line for line in answer.json().get("content", []) if line.get("level") in ("error", "critical")]
        if details := [detail for line in errors for detail in line.get("error_detail") or []]:
            return f"{details[-1]['exc_type']}: {details[-1]['exc_value']}"
        return str(errors[-1].get("event", "")) if errors else ""

    def woken_runs(self, dag_id: str, run_id: str) -> list[tuple[str, str]] | None:
        """Return the runs that a run's asset events started, or None where it sent no event.

        While one of those runs waits to begin, Airflow 3.3.2 answers 500, for it wants a start_date
        of each: that is taken for runs that are not made yet.
        """
        params: dict[str, str] = {"source_dag_id": dag_id, "source_run_id": run_id}
        answer = self.call("GET", "assets/events", accept=(500,), params=params)
        if answer.status_code == 500:
            return []
        events = answer.json()["asset_events"]
        runs = [(run["dag_id"], run["run_id"]) for event in events for run in event["created_dagruns"]]
        return runs if events else None

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that Airflow knows and can run."""
        return {dag["dag_id"] for dag in self._dags()}

    def read_again(self) -> None:
        """Ask Airflow to read every DAG file it knows now, and not when its turn comes."""
        for file in {dag["file_token"] for dag in self._dags()}:
            self.call("PUT", f"parseDagFile/{file}", accept=(409,))  # it was asked already

    def _dags(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "dags", params={"limit": 500}).json()["dags"])

    def import_errors(self, since: datetime) -> list[str]:
        """Return the DAG files that could not be loaded since a time (UTC), with the last line of each error.

        What Airflow says of the time before is perhaps mended.
        """
        errors = self.call("GET", "importErrors").json()["import_errors"]
        newer = [e for e in errors if datetime.fromisoformat(e["timestamp"]).astimezone(UTC) > since]
        return [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in newer]

    def _sign_in(self) -> None:
        answer = self._send("POST", f"{self.url}/auth/token", json=self._credentials)
        if answer.status_code != 201:
            user = self._credentials["username"]
            raise SourceUnavailable(f"Airflow at {self.url} refuses the user {user!r}: make run")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, accept: tuple[int, ...] = (), **options: Any) -> requests.Response:
        """Call ``/api/v2/<path>``; a status that is neither success nor in `accept` is an error."""
        answer = self._send(method, f"{self.url}/api/v2/{path}", **options)
        if answer.status_code == 401:  # the token has expired
            self._sign_in()
            answer = self._send(method, f"{self.url}/api/v2/{path}", **options)
        if not answer.ok and answer.status_code not in accept:
            raise SourceUnavailable(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return answer

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=30, **options)
        except requests.RequestException as error:
            reason = type(error).__name__
            raise SourceUnavailable(f"Airflow at {self.url} does not answer ({reason}): see ciclo status") from error


def name_of(task: dict[str, Any]) -> str:
    """Return a task instance's name as the web UI shows it."""
    return str(task.get("rendered_map_index") or task["task_id"])

"""The one-machine runtime: up, down and how it is doing."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.errors import ConfigError
from include.local import archive, environment, health, injections, postgres, preflight, preparation, processes
from include.local.components import Component, Step, airflow_components, all_components
from include.local.launch import Report, bring_up
from include.local.supervision import ALIVE, Supervisor
from include.settings import settings

HEALTHY_WITHIN_SECONDS = 180


def up(
    report: Report = lambda name, state: None,
    components: tuple[Component, ...] | None = None,
    steps: tuple[Step, ...] | None = None,
    seconds: float = HEALTHY_WITHIN_SECONDS,
) -> None:
    """Bring the runtime up, by default all of it; what is up already stays, unless its configuration changed.

    Parameters
    ----------
    report
        Called with the name of each part as it starts and as it is ready.
    seconds
        Time limit of each component.

    Raises
    ------
    ConfigError
        The machine is not ready (ports, external servers), or a component does not get
        healthy. The same command works once the cause is gone.
    """
    if settings().airflow_url:
        raise ConfigError(
            "The services are started by whatever runs them, which named CICLO_AIRFLOW_URL; in containers:"
            " docker compose up --wait, then docker compose run --rm replay."
        )
    with _alone(settings().var):
        preflight.check_external_servers()
        env = environment.component_env()
        preflight.check_declarations(env)
        steps = preparation.all_steps() if steps is None else steps
        components = all_components() if components is None else components
        bring_up(_supervisor(components, env), (*components, *steps), report, seconds)


def down() -> list[str]:
    """End every process of this runtime, also those of a supervisor that died; return what was ended."""
    var = settings().var
    supervisor = Supervisor(var)
    ended, grace = [], 0.0
    if supervisor.is_running():
        grace = 3.0
        ended = [name for name, info in supervisor.processes().items() if info["statename"] in ALIVE]
        supervisor.stop([name for name in ended if name != "postgres"])
        supervisor.shut_down()
    return ended + processes.end(processes.belonging_to(var), grace)


def services(components: tuple[Component, ...] | None = None) -> dict[str, dict[str, Any]]:
    """Return for each component its state, URL, health and unplanned ends since the runtime came up.

    Returns
    -------
    dict
        By component: ``state`` (supervisord's word, or ``STOPPED``), ``healthy``, ``url``,
        ``pid``, ``log``, ``restarts``, ``incidents`` (list of ``at`` UTC and ``how``).
    """
    components = all_components() if components is None else components
    supervisor = Supervisor(settings().var)
    known = supervisor.processes()
    incidents = supervisor.incidents() if known else []
    return {
        component.name: {
            "state": (info := known.get(component.name, {})).get("statename", "STOPPED"),
            "healthy": info.get("statename") in ALIVE and component.is_healthy(info["start"]),
            "url": component.url,
            "pid": info.get("pid") or None,
            "log": str(supervisor.log_of(component.name)),
            "restarts": len(own := [incident for incident in incidents if incident.name == component.name]),
            "incidents": [{"at": incident.at.isoformat(), "how": incident.how} for incident in own],
        }
        for component in components
    }


def external_services() -> dict[str, dict[str, Any]]:
    """Return the servers that the settings name instead of ours, in the form of `services`."""
    options = settings()
    unknown: dict[str, Any] = {"state": "EXTERNAL", "pid": None, "log": None, "restarts": 0, "incidents": []}
    states = {}
    if url := options.postgres_url:
        shown = f"postgresql://{preflight.address(url)}"
        states["postgres"] = unknown | {"healthy": postgres.answers(url), "url": shown}
    for name, url in (("mlflow", options.mlflow_url), ("sandbox", options.sandbox_url)):
        if url:
            states[name] = unknown | {"healthy": health.answers(f"{url}/health"), "url": preflight.address(url)}
    for number, url in enumerate(options.predictions_url.split(",") if options.predictions_url else (), 1):
        states[f"predictions-{number}"] = unknown | {"healthy": health.answers(f"{url}/healthz"), "url": url}
    for part in airflow_components() if options.airflow_url else ():
        states[part.name] = unknown | {"healthy": part.is_healthy(0), "url": part.url}
    return states


def status() -> dict[str, Any]:
    """Return ``services`` (see `services`) and ``pipelines`` (rows, last window, champion, last decision).

    ``predictions`` tells how the prediction service is; ``health`` has each pipeline's word, grade and what to do, the
    worst first, and the same of each aspect; ``faults`` what is wrong in the files people write, by pipeline;
    ``injections`` what stands of `ciclo inject`; ``backup`` what `include.local.archive.status` tells. What cannot be
    read, the warehouse or MLflow, is left out; ``problem`` says all of it in words.
    """
    from include.health.looking import look

    state: dict[str, Any] = {"services": services() | external_services(), "pipelines": {}, "injections": []}
    faults = state["faults"] = faults_here()
    problems = [line for lines in faults.values() for line in lines]
    if not Supervisor(settings().var).is_running() and processes.belonging_to(settings().var):
        problems.append("The supervisor is gone and its processes run on without it: make stop, then make run.")
    try:
        state["injections"] = [each.to_dict() | {"text": str(each)} for each in injections.standing_now()]
    except ConfigError as error:
        problems.append(str(error))
    seen = look(environment.database_url("warehouse"), environment.mlflow_url(), faults)
    problems += seen.problems
    state |= {"pipelines": seen.pipelines, "predictions": seen.predictions}
    state["backup"] = archive.status(environment.database_url("warehouse"))
    state["health"] = {name: one._asdict() for name, one in seen.health.items()}
    return state | ({"problem": "\n".join(problems)} if problems else {})


def faults_here() -> dict[str, list[str]]:
    """Return `faults_of_all` with this machine's variables; in front of an Airflow elsewhere those are its own."""
    from include.local.validation import faults_of_all

    return faults_of_all(None if settings().airflow_url else os.environ | environment.component_env())


def _supervisor(components: tuple[Component, ...], env: dict[str, str]) -> Supervisor:
    """Return a supervisor that runs with this configuration: the one that does, or a new one."""
    supervisor = Supervisor(settings().var)
    configuration = supervisor.configuration(components, _digest(settings().root, env))
    if not supervisor.is_running_as(configuration):
        down()
    known = supervisor.processes()
    preflight.check_ports(c for c in components if known.get(c.name, {}).get("statename") not in ALIVE)
    if not known:
        preparation.prepare_files()
        supervisor.launch(configuration, environment.clean_environ(os.environ) | env)
    return supervisor


def _digest(root: Path, env: Mapping[str, str]) -> str:
    """Return a digest of what running processes hold in memory: their environment and this project's code."""
    digest = hashlib.sha256(repr(sorted(env.items())).encode())
    code = (path for folder in ("include", "config", "plugins") for path in sorted((root / folder).rglob("*.py")))
    for path in (root / "requirements.txt", *code):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """Let one caller at a time change the runtime; a second one waits for the first."""
    for folder in (var, var / "run", var / "log"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (var / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

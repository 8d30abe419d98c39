"""What the runtime consists of: each process with its command, its port and its sign of health."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from include.local import archive, environment, health, postgres
from include.local.processes import MARKER
from include.settings import settings

Health = Callable[[float], bool]


@dataclass(frozen=True)
class Component:
    """A supervised process.

    Attributes
    ----------
    name, command
        What ``ciclo status`` and the log file call it, and how it is started; no secrets in it.
    is_healthy
        Given the time (epoch seconds) the process was started: does it do its work now?
    needs
        Components and preparation steps that come first.
    url
        Where a person or a client finds it.
    port, port_variable
        The TCP port it listens on and the ``.env`` variable that moves it.
    user
        The system user to run as, when not the caller.
    """

    name: str
    command: tuple[str, ...]
    is_healthy: Health
    directory: Path
    needs: tuple[str, ...] = ()
    url: str | None = None
    port: int | None = None
    port_variable: str = ""
    user: str | None = None
    stop_signal: str = "TERM"


@dataclass(frozen=True)
class Step:
    """A piece of preparation between the starts of components; idempotent."""

    name: str
    action: Callable[[], None]
    needs: tuple[str, ...] = ()


def postgres_component(data: Path, port: int, superuser_url: str, marker: str) -> Component:
    """Return the embedded server as a component.

    ``env -i`` gives it an empty environment: it runs as another user when we are root, and
    that user has no business with our secrets.
    """
    return Component(
        name="postgres",
        command=("/usr/bin/env", "-i", f"{MARKER}={marker}", *postgres.server_command(data, port)),
        is_healthy=lambda _: postgres.answers(superuser_url),
        directory=data,
        url=f"postgresql://{environment.HOST}:{port}",
        port=port,
        port_variable="CICLO_POSTGRES_PORT",
        user=postgres.SYSTEM_USER if postgres.system_account() else None,
        stop_signal="INT",  # fast shutdown: do not wait for clients to leave
    )


def archive_component() -> Component:
    """Return what brings WAL and files to the folder of backups, and waits until there is one.

    It is at work also where that folder cannot be reached: that is for ``ciclo status`` to tell, and nothing else has
    to wait for it.
    """
    command = (sys.executable, "-m", archive.COMMAND_MODULE)
    return Component("archive", command, archive.is_at_work, settings().root, needs=("postgres",))


def all_components() -> tuple[Component, ...]:
    """Return every component of this installation, without those that ``.env`` names elsewhere."""
    options = settings()
    components = []
    if not options.postgres_url:
        data, url = options.var / "postgres", environment.superuser_url()
        components.append(postgres_component(data, options.postgres_port, url, str(options.var)))
    if not options.sandbox_url:
        components.append(_web_server("sandbox", "include.sandbox", directory=options.root))
    if not options.mlflow_url:
        how = ("server", "--serve-artifacts", "--host", environment.HOST, "--workers", "1")
        components.append(_web_server("mlflow", "mlflow", *how, directory=options.var, needs=("databases",)))
    if not options.predictions_url:
        components.append(_predictions())
    return (*components, *(() if options.airflow_url else (archive_component(), *airflow_components())))


def _web_server(name: str, module: str, *arguments: str, **more: Any) -> Component:
    """Return a Python module that listens on the port which the settings have under its name."""
    port = getattr(settings(), f"{name}_port")
    url = f"http://{environment.HOST}:{port}"
    return Component(
        name=name,
        command=(sys.executable, "-m", module, *arguments, "--port", str(port)),
        is_healthy=lambda _: health.answers(f"{url}/health"),
        url=url,
        port=port,
        port_variable=f"CICLO_{name.upper()}_PORT",
        **more,
    )


def _predictions() -> Component:
    """Return the prediction service, which looks for champions by itself and waits for the first."""
    options, [url] = settings(), settings().predictions_urls
    tls = ("--certificate", str(options.predictions_certificate), "--key", str(options.predictions_key))
    return Component(
        name="predictions",
        command=(
            *(sys.executable, "-m", "include.serving", "--port", str(options.predictions_port)),
            *(tls if options.predictions_certificate else ()),
        ),
        is_healthy=lambda _: health.answers(f"{url}/healthz", certificate=options.predictions_certificate),
        directory=options.root,
        needs=("warehouse", "mlflow"),
        url=url,
        port=options.predictions_port,
        port_variable="CICLO_PREDICTIONS_PORT",
    )


def airflow_components() -> list[Component]:
    """Return Airflow's parts, wherever they run."""
    options, url = settings(), environment.airflow_url()

    def part(name: str, is_healthy: Health, *arguments: str, **more: Any) -> Component:
        command = (sys.executable, "-m", "airflow", name, *arguments)
        return Component(name, command, is_healthy, options.var, needs=("airflow-metadata",), **more)

    def is_up(_: float) -> bool:
        # The part that tasks talk to is built at its first request, which takes seconds: ask for it now.
        return health.answers(f"{url}/api/v2/version") and health.answers(f"{url}/execution/health", 20)

    def beats(name: str) -> Health:
        return partial(health.airflow_part_beats, url, name)

    return [
        part("api-server", is_up, url=url, port=options.airflow_port, port_variable="CICLO_AIRFLOW_PORT"),
        # Every process shares this disk: no second server for logs is needed.
        part("scheduler", beats("scheduler"), "--skip-serve-logs"),
        part("dag-processor", beats("dag_processor")),
        part("triggerer", beats("triggerer"), "--skip-serve-logs"),
    ]

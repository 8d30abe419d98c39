"""A small runtime with a real Postgres and a real web server, in a folder of its own."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.local import environment, health, processes, runtime
from include.local.components import Component, postgres_component
from include.local.supervision import Supervisor
from include.settings import Settings, settings

PORTS = ("airflow", "mlflow", "predictions", "postgres", "sandbox")


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[], int]) -> Iterator[Settings]:
    """Give settings with a runtime folder and ports of the test's own."""
    monkeypatch.setenv("CICLO_VAR", str(tmp_path / "var"))
    for name in PORTS:
        monkeypatch.setenv(f"CICLO_{name.upper()}_PORT", str(free_ports()))
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@dataclass
class SmallRuntime:
    """The runtime with two components; the web server stands for everything that is not Postgres."""

    options: Settings
    components: tuple[Component, ...]

    def up(self, *more: Component, **arguments: Any) -> None:
        runtime.up(components=(*self.components, *more), steps=(), **arguments)

    def services(self) -> dict[str, dict[str, Any]]:
        return runtime.services(self.components)

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.services()[name]["pid"])

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.options.var)

    def kill_supervisor(self) -> None:
        psutil.Process(int((self.options.var / "run" / "supervisord.pid").read_text())).kill()

    def leftovers(self) -> list[psutil.Process]:
        return processes.belonging_to(self.options.var)


@pytest.fixture
def small(options: Settings, web: Component) -> Iterator[SmallRuntime]:
    """Give a runtime that is not up yet; whatever the test leaves is ended."""
    data = options.var / "postgres"
    postgres = postgres_component(data, options.postgres_port, environment.superuser_url(), str(options.var))
    yield SmallRuntime(options, (postgres, web))
    runtime.down()


@pytest.fixture
def web(options: Settings, tmp_path: Path) -> Component:
    """Give a web server as a component."""
    port = options.sandbox_port
    return Component(
        name="web",
        command=(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)),
        is_healthy=lambda _: health.answers(f"http://127.0.0.1:{port}/"),
        directory=tmp_path,
        url=f"http://127.0.0.1:{port}",
        port=port,
        port_variable="CICLO_SANDBOX_PORT",
    )


@pytest.fixture
def short_lived(web: Component) -> Component:
    """Give a component that says why and ends, again and again."""
    code = "import sys; sys.exit('RuntimeError: the model is missing')"
    return replace(web, name="short-lived", command=(sys.executable, "-c", code), port=None, is_healthy=lambda _: False)

"""The runtime on a small scale: a real Postgres and a web server, supervised by the real supervisord."""

import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from include.errors import ConfigError
from include.local import environment, launch, runtime
from include.local.components import Component
from include.local.preflight import is_free
from include.local.processes import MARKER
from include.settings import Settings, settings


def _until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _pids(small) -> dict[str, int]:
    return {name: service["pid"] for name, service in small.services().items()}


def test_everything_is_healthy_after_up_and_nothing_is_left_after_down(small):
    small.up()
    assert all(service["healthy"] for service in small.services().values())
    assert set(runtime.down()) == {"postgres", "web"}
    assert small.leftovers() == []
    assert is_free(small.options.postgres_port)


def test_a_second_up_leaves_everything_as_it_is(small):
    small.up()
    before = _pids(small)
    small.up()
    assert _pids(small) == before


def test_a_changed_setting_starts_everything_anew(small, monkeypatch: pytest.MonkeyPatch):
    small.up()
    before = _pids(small)
    monkeypatch.setenv("CICLO_SCHEDULER_WORKERS", "3")
    settings.cache_clear()
    small.up()
    assert not set(before.values()) & set(_pids(small).values())


def test_no_command_line_and_no_configuration_file_carries_a_secret(small):
    small.up()
    secrets = [file.read_text().strip() for file in (small.options.var / "secrets").rglob("*") if file.is_file()]
    told = [word for process in small.leftovers() for word in process.cmdline()]
    told.append(small.supervisor.conf.read_text())
    assert len(secrets) > 5
    assert not [secret for secret in secrets for text in told if secret in text]


def test_the_database_process_knows_no_secret(small):
    small.up()
    assert set(small.process("postgres").environ()) <= {MARKER, "PGDATA", "PG_GRANDPARENT_PID"}


def test_what_only_the_owner_may_read_is_closed_to_others(small):
    small.up()
    for path in (small.supervisor.conf, small.supervisor.socket):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_killed_component_comes_back_and_the_status_tells_of_it(small):
    small.up()
    web = small.process("web")
    web.kill()
    _until(lambda: small.services()["web"]["healthy"] and small.services()["web"]["pid"] != web.pid)
    service = small.services()["web"]
    assert service["restarts"] == 1
    assert "SIGKILL" in service["incidents"][0]["how"]


def test_what_a_killed_component_leaves_behind_does_not_stand_in_the_way(small, web: Component):
    server = " ".join(web.command)
    parent = replace(web, command=("sh", "-c", f"{server} & wait"))
    small.components = (small.components[0], parent)
    small.up()
    child = small.process("web").children()[0]
    small.process("web").kill()
    _until(lambda: small.services()["web"]["restarts"] == 1 and small.services()["web"]["healthy"])
    assert not child.is_running()
    assert len([process for process in small.leftovers() if "http.server" in process.cmdline()]) == 1


def test_a_component_that_ends_again_and_again_is_told_with_its_log(small, short_lived: Component):
    with pytest.raises(ConfigError) as refusal:
        small.up(short_lived)
    log = small.supervisor.log_of("short-lived")
    assert str(refusal.value) == (
        f"short-lived ended 3 times (exit status 1); its log {log} says: RuntimeError: the model is missing"
    )


def test_a_component_that_never_gets_healthy_runs_into_the_time_limit(small, web: Component):
    deaf = replace(web, name="deaf", port=None, command=("sleep", "60"), is_healthy=lambda _: False)
    with pytest.raises(
        ConfigError, match=r"deaf did not get healthy within 4 s; its log .*deaf.log says: it wrote nothing"
    ):
        small.up(deaf, seconds=4)


def test_the_same_command_works_once_the_cause_is_gone(small, short_lived: Component):
    with pytest.raises(ConfigError):
        small.up(short_lived)
    small.up()
    assert all(service["healthy"] for service in small.services().values())


def test_down_leaves_nothing_after_the_supervisor_was_killed(small):
    small.up()
    before = _pids(small)
    small.kill_supervisor()
    ended = runtime.down()
    assert {int(text.rpartition("(")[2].rstrip(")")) for text in ended} == set(before.values())
    assert small.leftovers() == []


def test_status_tells_that_processes_run_on_without_their_supervisor(small):
    small.up()
    assert "supervisor" not in runtime.status().get("problem", "")
    small.kill_supervisor()
    assert "The supervisor is gone" in runtime.status()["problem"]


def test_a_broken_pipeline_does_not_hide_the_services(small, tmp_path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "pipelines" / "peso" / "pipeline.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("pipeline: peso\nownr: credit-desk\n")
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path / "pipelines"))
    settings.cache_clear()
    status = runtime.status()
    assert "peso/pipeline.yaml:2: ownr: unknown key" in status["problem"]
    assert set(status["services"]) >= {"postgres", "scheduler"}


def test_up_works_after_the_supervisor_was_killed(small):
    small.up()
    before = _pids(small)
    small.kill_supervisor()
    small.up()
    assert all(service["healthy"] for service in small.services().values())
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]


def test_up_ends_what_hangs_and_it_starts_anew(small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launch, "HANGS_SECONDS", 1)
    small.up()
    hanging = small.process("web")
    hanging.suspend()
    small.up()
    assert small.services()["web"]["healthy"]
    assert not hanging.is_running()


def test_down_spares_other_runtimes(small):
    small.up()
    other = psutil.Popen(["sleep", "60"], env={MARKER: str(small.options.var) + "-other"})
    try:
        runtime.down()
        assert other.is_running()
    finally:
        other.kill()
        other.wait()


def test_a_shell_that_talks_to_the_runtime_does_not_belong_to_it(small):
    assert MARKER not in environment.shell_env()


def test_down_without_anything_running_is_fine(small):
    assert runtime.down() == []


def test_a_long_path_does_not_exceed_what_a_socket_may_have(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: Component
):
    monkeypatch.setenv("CICLO_VAR", str(tmp_path / ("long" * 20)))
    settings.cache_clear()
    runtime.up(components=(web,), steps=())
    assert runtime.services((web,))["web"]["healthy"]
    assert runtime.down() == ["web"]


def test_log_files_are_the_components_own(small):
    small.up()
    assert "database system is ready" in small.supervisor.log_of("postgres").read_text()


def test_an_airflow_and_a_sandbox_that_run_elsewhere_are_asked_there_and_not_started(
    options: Settings, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AIRFLOW", "SANDBOX", "MLFLOW"):
        monkeypatch.setenv(f"CICLO_{name}_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    assert set(runtime.services()) == {"postgres", "predictions"}
    states = runtime.external_services()
    assert set(states) == {"sandbox", "mlflow", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert {(state["state"], state["healthy"]) for state in states.values()} == {("EXTERNAL", False)}
    with pytest.raises(ConfigError, match="docker compose up --wait"):
        runtime.up()
    assert not (options.var / "run").exists()

"""The containers for real, with whatever ``docker`` is on the PATH: ``make containers-test``.

Some ten minutes, 6 GB of disk and 4 GB of memory. It is a project of its own, ``ciclo-test``, with secrets, ports and
volumes of its own, built from a checkout that only its owner can read; all of it is removed in the end. Each proof is a
line, and the first that fails ends the test with exit code 1.

Only the standard library, ``docker`` and ``curl``. Where the published ports are not this machine's, whatever
``CICLO_CONTAINERS_REACH`` holds is put before ``curl``: ``CICLO_CONTAINERS_REACH="ssh host" make containers-test``.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.containers.project import Failed, Project, ask, interrupt

LOADED = "select count(*), sum(inserted_count) from ops.lineage where run_id like 'replay__%'"
IDENTITY = "cat /proc/[0-9]*/status 2> /dev/null | grep -E '^(Uid|CapEff|NoNewPrivs):'"


def is_built(project: Project) -> None:
    """Build the image once, for all services."""
    project.run("build")


def is_healthy(project: Project) -> None:
    """Bring everything up; each service that stays says that it is well."""
    project.run("up", "--wait")
    ill = {name: told["Health"] for name, told in project.services().items() if told["Health"] != "healthy"}
    if ill or len(project.services()) < 10:
        raise Failed(f"not healthy: {ill}; running: {', '.join(project.services())}")


def has_no_rights(project: Project) -> None:
    """No process is root, holds a capability or can gain a privilege."""
    for name in project.services():
        for line in project.run("exec", "-T", name, "sh", "-c", IDENTITY).splitlines():
            key, *values = line.split()
            wrong = "0" in values if key == "Uid:" else int(values[0], 16) != (key == "NoNewPrivs:")
            if wrong:
                raise Failed(f"a process of {name} has {line}")


def is_read_only(project: Project) -> None:
    """No container can write to its image."""
    for name in project.services():
        for folder in ("/", "/opt", "/usr/bin", "/var/lib"):
            done = project.try_out("exec", "-T", name, "touch", f"{folder}/probe")
            if "Read-only file system" not in done.stderr:
                raise Failed(f"{name} may write to {folder}: {done.stderr}")


def lets_in(project: Project) -> None:
    """The published port answers to the password of .env, to no other one, and shows the DAGs."""
    password = dict(line.split("=", 1) for line in (project.folder / ".env").read_text().splitlines())
    body = {"username": "admin", "password": password["CICLO_SECRET_AIRFLOW_ADMIN"]}
    token = json.loads(ask(project, "auth/token", body))["access_token"]
    dags = json.loads(ask(project, "api/v2/dags?limit=200", None, f"Authorization: Bearer {token}"))["dags"]
    if not {"ingest_usdmxn", "ingest_air_quality"} <= {dag["dag_id"] for dag in dags}:
        raise Failed(f"these are all DAGs: {', '.join(dag['dag_id'] for dag in dags)}")
    try:
        ask(project, "auth/token", body | {"password": "wrong"})
    except Failed:
        return
    raise Failed("a wrong password is let in")


def is_interrupted(project: Project) -> None:
    """Ctrl-C ends a replay with 130 and a sentence, and its container with it."""
    for has_terminal in (True, False):
        code, text, seconds = interrupt(project, has_terminal)
        if code != 130 or "Interrupted." not in text or "Traceback" in text or seconds > 30:
            raise Failed(f"terminal: {has_terminal}, exit code {code} after {seconds:.0f} s\n{text[-2000:]}")
        if left := project.run("ps", "--all", "--quiet", "replay"):
            raise Failed(f"terminal: {has_terminal}, a container is left: {left}")


def plays_the_loops(project: Project) -> None:
    """A replay goes on after the interruption, and prints its table."""
    table = project.run("run", "--rm", "-T", "replay")
    if "What the loops did" not in table or "champion" not in table:
        raise Failed(table[-2000:])
    print(table[table.index("What the loops did") :].rstrip())


def predicts(project: Project) -> None:
    """The prediction service answers whoever has a token, nobody else, and goes on while one instance is dead."""
    bearer = f"Authorization: Bearer {project.ciclo('token').strip()}"
    path, body = "v1/predict/usdmxn", {"rows": []}  # which is refused for its content, by who lets us in
    project.run("kill", "predictions-1")
    for header, status in ((bearer, "422"), ("Authorization: Bearer wrong", "401")):
        try:
            ask(project, path, body, header, port="PREDICTIONS")
        except Failed as refused:
            if status in str(refused):
                continue
            raise
        raise Failed(f"{header.split()[0]} is answered without a row")
    project.run("up", "--wait")


def tells_how_it_is(project: Project) -> None:
    """``ciclo status``, ``psql`` and ``quarantine`` work in a container of their own."""
    state = json.loads(project.ciclo("status", "--json"))
    ill = [name for name, service in state["services"].items() if not service["healthy"]]
    if ill or "problem" in state or len(state["services"]) != 9:
        raise Failed(f"ill: {ill}, problem: {state.get('problem')}, services: {', '.join(state['services'])}")
    if "warehouse" not in project.ciclo("psql", "-c", "select current_database()"):
        raise Failed("psql is in another database")
    project.ciclo("quarantine", "list")


def starts_again(project: Project) -> None:
    """A scheduler whose main process is killed is there again, without anybody."""
    before = project.services()["scheduler"]["ID"]
    project.try_out("exec", "-T", "scheduler", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    project.run("up", "--wait", "--no-recreate")
    count = ["docker", "inspect", "--format", "{{.RestartCount}}", before]
    restarts = subprocess.check_output(count, env=project.env, text=True).strip()
    if project.services()["scheduler"]["ID"] != before or restarts == "0":
        raise Failed(f"the scheduler was restarted {restarts} times")


def survives_a_kill(project: Project) -> None:
    """After every container was killed at once, everything is there again."""
    is_kept(project, "kill")


def survives_being_taken_down(project: Project) -> None:
    """After down and up, everything is there again."""
    is_kept(project, "down")


def is_kept(project: Project, how: str) -> None:
    """End everything in a way, start it again, and compare what the replay has loaded."""
    before = project.ciclo("psql", "-c", LOADED)
    project.run(how)
    is_healthy(project)
    after = project.ciclo("psql", "-c", LOADED)
    if before != after or " 0 |" in after:
        raise Failed(f"before: {before}, after: {after}")
    lets_in(project)


def refuses_a_mistyped_file(project: Project) -> None:
    """A UCI_AIR_QUALITY_FILE that is not there is an error, and no folder of its name is made."""
    missing = str(project.folder / "AirQualityUCI.csv")
    done = project.try_out("run", "--rm", "-T", "--no-deps", "sandbox", "true", UCI_AIR_QUALITY_FILE=missing)
    if done.returncode == 0 or missing not in done.stderr or os.path.exists(missing):
        raise Failed(f"exit code {done.returncode}: {done.stderr}")


def asks_for_secrets(project: Project) -> None:
    """Without .env every command that needs it ends with a sentence that says what to do."""
    file, aside = project.folder / ".env", project.folder / "aside"
    file.rename(aside)
    answers = {command: project.try_out(*command.split()) for command in ("up", "run replay", "build", "config")}
    aside.rename(file)
    for command, done in answers.items():
        is_a_sentence = len(done.stderr.splitlines()) == 1 and "make containers adds it to .env" in done.stderr
        if done.returncode == 0 or not is_a_sentence:
            raise Failed(f"{command}: exit code {done.returncode}, {done.stderr}")


def leaves_nothing(project: Project) -> None:
    """Down with its volumes leaves no container and no volume."""
    project.run("down", "--volumes")
    mine = ["--quiet", "--filter", "label=com.docker.compose.project=ciclo-test"]
    for command in (["docker", "ps", "--all", *mine], ["docker", "volume", "ls", *mine]):
        if left := subprocess.check_output(command, env=project.env, text=True):
            raise Failed(f"{shlex.join(command[:2])}: {left}")


PROOFS: "tuple[tuple[str, Callable[[Project], None]], ...]" = (
    ("without .env a command is answered with a sentence", asks_for_secrets),
    ("the image is built", is_built),
    ("a mistyped UCI_AIR_QUALITY_FILE is refused", refuses_a_mistyped_file),
    ("every service is healthy", is_healthy),
    ("no process is root or has a capability", has_no_rights),
    ("no container can write to its image", is_read_only),
    ("the published port lets in who has the password", lets_in),
    ("Ctrl-C ends a replay and its container", is_interrupted),
    ("a replay plays every loop", plays_the_loops),
    ("the prediction service lets in who has a token", predicts),
    ("ciclo status, psql and quarantine work", tells_how_it_is),
    ("a killed scheduler starts again by itself", starts_again),
    ("killed all at once and up again, nothing is lost", survives_a_kill),
    ("down and up again, nothing is lost", survives_being_taken_down),
    ("down --volumes leaves nothing", leaves_nothing),
)


def main() -> int:
    """Prove one after the other; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        try:
            for sentence, proof in PROOFS:
                began = time.monotonic()
                print(f"...            {sentence}", flush=True)
                proof(project)
                print(f"ok     {time.monotonic() - began:6.1f} s {sentence}", flush=True)
        except (Failed, OSError) as error:
            print(f"FAILED {time.monotonic() - began:6.1f} s {sentence}\n{error}", flush=True)
            return 1
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            return 130
        finally:
            project.try_out("down", "--volumes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

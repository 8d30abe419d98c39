"""A system in containers of its own, and the ways to talk to it; only the standard library, ``docker`` and ``curl``."""

import json
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from include.local.containers import COMPOSE, REQUIRED, ROOT, add_secrets

PORTS = ("AIRFLOW", "MLFLOW", "POSTGRES", "PREDICTIONS", "SANDBOX")
FOREIGN = ("CICLO_", "BANXICO_", "INEGI_", "UCI_", "INTERNAL_DB_", "COMPOSE_PROJECT", "COMPOSE_FILE")


class Failed(Exception):
    """What was not as it should be."""


class Project:
    """The system under test: a checkout in a folder of its own, and Compose there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if k == "CICLO_BASE_IMAGE" or not k.startswith(FOREIGN)}
        self.env["COMPOSE_PROJECT_NAME"] = "ciclo-test"
        rules = (ROOT / ".dockerignore").read_text().splitlines()
        sent = [line[1:] for line in rules if line.startswith("!")]
        for name in (".dockerignore", "Dockerfile", "docker-compose.yaml", *sent):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        subprocess.run(["chmod", "-R", "go-rwx", str(folder)], check=True)  # as under umask 077
        self.ports = {name: free_port() for name in PORTS}
        lines = [f"CICLO_{name}_PORT={port}\n" for name, port in self.ports.items()]
        (folder / ".env").write_text("".join(lines))
        add_secrets(folder / ".env", REQUIRED.findall((ROOT / "docker-compose.yaml").read_text()), {})
        self.run("down", "--volumes")  # what a test that was killed has left

    def try_out(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of Compose; its output is text."""
        command, env = [*COMPOSE, *arguments], self.env | more
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def run(self, *arguments: str) -> str:
        """Run a command of Compose that has to go well; return what it printed."""
        done = self.try_out(*arguments)
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise Failed(f"docker compose {shlex.join(arguments)} ended with {done.returncode}:\n{last}")
        return done.stdout

    def ciclo(self, *arguments: str) -> str:
        """Call ``ciclo`` as the documentation says; return what it printed."""
        return self.run("run", "--rm", "-T", "ciclo", *arguments)

    def services(self) -> "dict[str, dict]":
        """Return what Compose says of each container that runs, by service."""
        lines = self.run("ps", "--format", "json").splitlines()
        return {told["Service"]: told for told in map(json.loads, lines)}


def free_port() -> int:
    """Return a TCP port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ask(project: Project, path: str, body: "dict[str, Any] | None", *headers: str, port: str = "AIRFLOW") -> str:
    """Ask Airflow on its published port, or another service; what is secret goes through standard input."""
    told = [f'header = "{line}"' for line in (*headers, "Content-Type: application/json")]
    told += [f"data = {json.dumps(json.dumps(body))}"] if body else []
    url = f"http://127.0.0.1:{project.ports[port]}/{path}"
    reach = shlex.split(os.environ.get("CICLO_CONTAINERS_REACH", ""))
    command = [*reach, "curl", "--noproxy", "*", "--max-time", "60", "-fsS", "--config", "-", url]
    done = subprocess.run(command, input="\n".join(told), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{url}: {done.stderr.strip()}")
    return done.stdout


def interrupt(project: Project, has_terminal: bool) -> "tuple[int, str, float]":
    """Press Ctrl-C in a replay that has begun; return its exit code, what it printed, and how long it took."""
    command = [*COMPOSE, "run", "--rm", *([] if has_terminal else ["-T"]), "replay"]
    ours, theirs = pty.openpty() if has_terminal else os.pipe()
    stdin = theirs if has_terminal else subprocess.DEVNULL
    options = {"cwd": project.folder, "env": project.env, "start_new_session": True}
    with subprocess.Popen(command, stdin=stdin, stdout=theirs, stderr=theirs, **options) as process:
        os.close(theirs)
        text = b""
        while b"usdmxn" not in text and (part := read(ours)):
            text += part
        pressed = time.monotonic()
        if has_terminal:
            os.write(ours, b"\x03")
        else:
            os.killpg(process.pid, signal.SIGINT)
        while part := read(ours):
            text += part
    return process.returncode, text.decode(errors="replace"), time.monotonic() - pressed


def read(stream: int) -> bytes:
    """Return what has come, or nothing at the end: a terminal says that by an error."""
    try:
        return os.read(stream, 65536)
    except OSError:
        return b""

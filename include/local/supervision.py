"""Keeping processes alive: a thin edge around supervisord, which runs them as one group.

supervisord starts each component, writes its output to ``var/log/<component>.log`` with rotation, and starts it again
with growing pauses when it ends by itself. It is spoken to over a unix socket that only this user can open.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from include.errors import ConfigError
from include.local.components import Component
from include.local.processes import record_session, wait_for
from include.local.secrets import write_private

LONGEST_SOCKET = 88  # the system's limit is 104 (macOS), and supervisord binds <path>.<pid> first
_INCIDENT = re.compile(r"^(?P<at>\S+ \S+),\d+ \w+ (?P<what>exited|gave up): (?P<name>\S+) (?:\((?P<how>.*)\))?")
ALIVE = ("STARTING", "RUNNING", "BACKOFF")

_HEAD = """\
; started with {digest}
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
logfile={var}/log/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={var}/run/supervisord.pid
childlogdir={var}/log
directory={var}
umask=077
strip_ansi=true
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
directory={directory}
autostart=false
autorestart=true
startsecs=3
startretries=20
stopsignal={stop_signal}
stopwaitsecs=10
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
{user}"""


@dataclass(frozen=True)
class Incident:
    """One unplanned end of a component: when (UTC), and how in supervisord's words."""

    name: str
    at: datetime
    how: str


class Supervisor:
    """The supervisord of one runtime folder."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.conf = var / "run" / "supervisord.conf"
        self.socket = _socket_path(var)

    def log_of(self, name: str) -> Path:
        """Return the file that holds the output of the component `name`."""
        return self.var / "log" / f"{name}.log"

    def is_running(self) -> bool:
        """Tell whether this folder's supervisord answers."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, HTTPException, Fault):
            return False

    def configuration(self, components: tuple[Component, ...], digest: str) -> str:
        """Return the configuration file's text; `digest` stands for what the processes were started with."""
        own_user = "user=root\n" if os.geteuid() == 0 else ""
        head = _HEAD.format(digest=digest, socket=_escape(self.socket), var=_escape(self.var), user=own_user)
        return head + "".join(self._program(component) for component in components)

    def is_running_as(self, configuration: str) -> bool:
        """Tell whether the supervisord that answers was started with this configuration."""
        return self.is_running() and self.conf.is_file() and self.conf.read_text() == configuration

    def launch(self, configuration: str, env: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord with `env`; no component starts yet.

        Raises
        ------
        ConfigError
            supervisord does not come up; the message carries its own reason.
        """
        write_private(self.conf, configuration)
        _make_private(self.socket.parent)
        self.socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)]
        done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
        if done.returncode == 0 and wait_for(self.is_running, 15):
            record_session(self.var, self._call("getPID"))
            return
        reason = (done.stderr.strip().splitlines() or ["it does not answer on its socket"])[-1]
        raise ConfigError(f"supervisord did not start ({reason}); see {self.var}/log/supervisord.log.")

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what supervisord knows of each component: ``statename``, ``pid``, ``start`` (epoch s)."""
        try:
            return {info["name"]: info for info in self._call("getAllProcessInfo")}
        except (OSError, HTTPException):
            return {}

    def start(self, name: str) -> None:
        """Start a component unless it runs; return at once."""
        if self.processes()[name]["statename"] not in ALIVE:
            self._call("startProcess", name, False)

    def stop(self, names: list[str], seconds: float = 15) -> None:
        """Stop components side by side and wait until they are gone (supervisord kills the slow ones)."""
        alive = [name for name, info in self.processes().items() if name in names and info["statename"] in ALIVE]
        for name in alive:
            self._call("stopProcess", name, False)

        def are_gone() -> bool:
            states = self.processes()
            return all(states[name]["statename"] not in (*ALIVE, "STOPPING") for name in alive if name in states)

        wait_for(are_gone, seconds)

    def shut_down(self, seconds: float = 20) -> None:
        """End supervisord with whatever it still runs, and wait until it no longer answers."""
        self._call("shutdown")
        wait_for(lambda: not self.socket.exists(), seconds)
        if self.socket.parent != self.conf.parent:
            shutil.rmtree(self.socket.parent, ignore_errors=True)

    def incidents(self) -> list[Incident]:
        """Return the unplanned ends since supervisord was started, oldest first."""
        log = self.var / "log" / "supervisord.log"
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        starts = [number for number, line in enumerate(lines) if "supervisord started with pid" in line]
        return parse_incidents(lines[starts[-1] if starts else 0 :])

    def _call(self, method: str, *arguments: object) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _program(self, component: Component) -> str:
        # Another system user can neither read our interpreter nor end our processes.
        prefix = () if component.user else (sys.executable, "-m", "include.local.processes", component.name)
        return _PROGRAM.format(
            name=component.name,
            command=_escape(shlex.join([*prefix, *component.command])),
            directory=_escape(component.directory),
            stop_signal=component.stop_signal,
            log=_escape(self.log_of(component.name)),
            user=f"user={component.user}\n" if component.user else "",
        )


def parse_incidents(lines: list[str]) -> list[Incident]:
    """Return the unplanned ends that supervisord's log lines (local time) tell of.

    Examples
    --------
    >>> line = "2026-11-23 02:20:00,123 WARN exited: mlflow (exit status 1; not expected)"
    >>> [(i.name, i.how) for i in parse_incidents([line])]
    [('mlflow', 'exit status 1')]
    """
    incidents = []
    for match in filter(None, map(_INCIDENT.match, lines)):
        at = datetime.strptime(match["at"], "%Y-%m-%d %H:%M:%S").astimezone(UTC)
        incidents.append(Incident(match["name"], at, (match["how"] or match["what"]).partition(";")[0]))
    return incidents


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")


def _socket_path(var: Path) -> Path:
    """Return a socket path short enough for the system, in the temporary folder if need be."""
    path = var / "run" / "supervisor.sock"
    if len(str(path).encode()) <= LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(str(var).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ciclo-{os.getuid()}-{digest}" / "supervisor.sock"


def _make_private(folder: Path) -> None:
    """Make the folder of the socket, for this user only; refuse one that somebody else made first."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ConfigError(f"{folder} belongs to another user; set CICLO_VAR in .env to a shorter path.")
    folder.chmod(0o700)

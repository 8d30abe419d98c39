"""Passwords and keys of this installation: made once, kept in ``var/secrets``, mode 600; or given from outside."""

import os
import secrets as random
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from include.settings import settings


def secret(name: str) -> str:
    """Return the secret called `name`; the first call makes it, every later one returns the same.

    Where ``CICLO_SECRET_<NAME>`` is set in the environment, as in containers, its value is the secret.
    Safe when several processes ask at once: the first file to arrive wins and all read it.

    Parameters
    ----------
    name
        ``postgres``, ``postgres_<role>``, ``airflow_admin``, ``airflow_jwt``,
        ``airflow_fernet``, ``airflow_api``, ``sandbox_banxico_token`` (64 characters, as
        Banxico's are), ``sandbox_inegi_token`` (a UUID, as INEGI's are) or ``hash_key``.
    """
    if given := os.environ.get(f"CICLO_SECRET_{name.upper()}"):
        return given
    path = secret_path(name)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, _make(name), replace=False)
    return path.read_text()


def secret_path(name: str) -> Path:
    """Return the file that holds the secret called `name`."""
    return settings().var / "secrets" / name


def write_private(path: Path, text: str, replace: bool = True) -> None:
    """Write `text` to `path` in one step; nobody but the owner could read it at any moment.

    With ``replace=False`` a file that is already there stays as it is.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        if replace:
            os.replace(temporary, path)
        elif not path.exists():
            os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first: its secret is the one that counts
    finally:
        Path(temporary).unlink(missing_ok=True)


def _make(name: str) -> str:
    if name == "airflow_fernet":
        return urlsafe_b64encode(random.token_bytes(32)).decode()
    if name == "sandbox_inegi_token":
        return str(uuid.UUID(bytes=random.token_bytes(16), version=4))
    return random.token_hex(32)

"""Passwords and keys of this installation: made once, kept in ``var/secrets``, mode 600; or given from outside."""

import os
import secrets as random
import tempfile
import uuid
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from include.errors import ConfigError
from include.security.keys import Key, KeyRing
from include.settings import settings


def secret(name: str) -> str:
    """Return the secret called `name`; the first call makes it, every later one returns the same.

    Where ``CICLO_SECRET_<NAME>`` is set in the environment, as in containers, its value is the secret.
    Safe when several processes ask at once: the first file to arrive wins and all read it.

    Parameters
    ----------
    name
        ``postgres``, ``postgres_<role>``, ``airflow_admin``, ``airflow_jwt``,
        ``airflow_fernet``, ``airflow_api``, ``metrics_token``, ``sandbox_banxico_token`` (64 characters, as
        Banxico's are), ``sandbox_inegi_token`` (a UUID, as INEGI's are) or ``hash_key``.
    """
    if given := os.environ.get(f"CICLO_SECRET_{name.upper()}"):
        return given
    path = secret_path(name)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, _make(name), replace=False)
    return path.read_text()


def serving_keys() -> KeyRing:
    """Return the keys of the prediction service's tokens; where they are files, the first call makes the first."""
    ring = KeyRing(settings().serving_keys, settings().var / "secrets" / "serving_keys")
    if not ring.all():
        add_serving_key(ring)
    return ring


def add_serving_key(ring: KeyRing) -> str:
    """Make a key that signs from now on, and return its id.

    Raises
    ------
    ConfigError
        The keys come from the environment and not from files.
    """
    key_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    _write_key(ring, key_id, Key(random.token_hex(32)))
    return key_id


def retire_serving_keys(ring: KeyRing, until: datetime) -> list[str]:
    """Let every key but the newest check tokens until an instant and no longer; return their ids; raises as above."""
    *old, _ = ring.all().items()
    for key_id, key in old:
        if key.until is None or key.until > until:
            _write_key(ring, key_id, replace(key, until=until))
    return [key_id for key_id, _ in old]


def _write_key(ring: KeyRing, key_id: str, key: Key) -> None:
    if ring.given:
        raise ConfigError(
            "The keys of tokens come from CICLO_SERVING_KEYS: add <id>:<new secret> there, with an id greater than the"
            " others', and :<time> behind the old secret, until when it checks tokens; then start the service again."
        )
    ring.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(ring.folder / key_id, str(key))


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

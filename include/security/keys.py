"""The keys that sign and check tokens: files of mode 600, a key each, or one text from a secrets backend.

A file is named by the key's id and holds ``<secret>``, or ``<secret>:<time>`` once it is known until when tokens it has
signed are good. A text holds the same of each key, after its id: ``2026a:<secret>:2026-12-31 2026b:<secret>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from include.errors import ConfigError

LEAST_LENGTH = 32


@dataclass(frozen=True)
class Key:
    """A key, and until when it checks tokens, UTC; None for as long as it is there."""

    secret: str = field(repr=False)
    until: datetime | None = None

    def __str__(self) -> str:
        return self.secret if self.until is None else f"{self.secret}:{self.until.isoformat()}"


class KeyRing:
    """The keys of this installation, those of a text where there is one, else those of a folder, read as they change.

    Parameters
    ----------
    given : str
        The text; empty where the folder counts.
    folder : Path
        A file a key; it need not exist.
    """

    def __init__(self, given: str, folder: Path) -> None:
        self.given, self.folder = given, folder

    def all(self) -> dict[str, Key]:
        """Return every key by its id, the oldest first, those that are retired as well.

        Raises
        ------
        ConfigError
            A key cannot be read, is too short, or others than its owner may read it.
        """
        if self.given:
            pairs = dict(pair.partition(":")[::2] for pair in self.given.split())
            return {key_id: _key(pairs[key_id], f"CICLO_SERVING_KEYS: {key_id}") for key_id in sorted(pairs)}
        files = sorted(path for path in self.folder.glob("*") if not path.name.startswith("."))
        return {path.name: _of_file(path) for path in files}

    def in_use(self, now: datetime | None = None) -> dict[str, str]:
        """Return the secrets of the keys that check tokens now, by their ids; raises as `all`."""
        return in_use(self.all(), datetime.now(UTC) if now is None else now)


def in_use(keys: Mapping[str, Key], now: datetime) -> dict[str, str]:
    """Return the secrets of the keys that are not retired at an instant.

    Examples
    --------
    >>> past = datetime(2026, 1, 1, tzinfo=UTC)
    >>> in_use({"a": Key("old", past), "b": Key("new")}, datetime(2026, 6, 1, tzinfo=UTC))
    {'b': 'new'}
    """
    return {key_id: key.secret for key_id, key in keys.items() if key.until is None or key.until > now}


def _of_file(path: Path) -> Key:
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} holds a key and others may read it: chmod 600 {path}, and ciclo token rotate --now")
    return _key(path.read_text("utf-8").strip(), str(path))


def _key(text: str, where: str) -> Key:
    secret, _, until = text.partition(":")
    if len(secret) < LEAST_LENGTH:
        raise ConfigError(f"{where}: a key has at least {LEAST_LENGTH} characters, such as openssl rand -hex 32 gives")
    try:
        at = datetime.fromisoformat(until) if until else None
    except ValueError:
        raise ConfigError(f"{where}: {until!r} behind the key is no time such as 2026-12-31T18:00:00Z") from None
    return Key(secret, at.replace(tzinfo=UTC) if at and at.tzinfo is None else at)

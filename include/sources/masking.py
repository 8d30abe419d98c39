"""What hides personal data, the same on the way out of a source and in a request for predictions. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError

if TYPE_CHECKING:
    from include.spec.source import Column


def keyed_hash(hash_key: str, value: str | None) -> str | None:
    """Return HMAC-SHA256 of a value, cut to 16 bytes, as 32 hexadecimal digits; None stays None.

    The same value and key always give the same hash, so rows of one client can be counted
    and joined; without the key nobody can try out names against it.

    Examples
    --------
    >>> keyed_hash("key", "client 1") == keyed_hash("key", "client 1") != keyed_hash("another key", "client 1")
    True
    """
    if value is None:
        return None
    return hmac.digest(hash_key.encode(), value.encode(), hashlib.sha256)[:16].hex()


def masked_row(columns: Mapping[str, Column], row: Mapping[str, Any], hash_key: str) -> dict[str, Any]:
    """Return a row of a source's values as it may be kept: hashed as the warehouse has it, nothing that is dropped.

    Parameters
    ----------
    columns : mapping
        The source's columns by name, as in ``pipeline.yaml``; what the row has beside them is left out as well.
    hash_key : str
        The key with which the source's own rows are hashed.

    Raises
    ------
    ConfigError
        A value has to be hashed and there is no key.
    """
    kept = {name: value for name, value in row.items() if name in columns and columns[name].personal != "drop"}
    hashed = [name for name, value in kept.items() if columns[name].personal == "hash" and value is not None]
    if hashed and not hash_key:
        raise ConfigError(f"{', '.join(hashed)} must be hashed and there is no hash_key: set it")
    return kept | {name: keyed_hash(hash_key, str(kept[name])) for name in hashed}

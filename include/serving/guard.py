"""Who may ask: the bearer token of a request, checked once and remembered until it expires or something is revoked."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from include.security.tokens import Claims, Refused, verify

MOST_REMEMBERED = 10_000
REVOKED = "revoked.json"


class NotAllowed(Exception):
    """A request without a token that is good for it: 401 without a valid one, 403 with one for something else."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status, self.title = status, title


class Guard:
    """Checks tokens with the keys in use, against those that were revoked."""

    def __init__(self, keys: Mapping[str, str], folder: Path) -> None:
        self._keys, self._revoked_file = keys, folder / REVOKED
        self._known: dict[bytes, Claims] = {}
        self._revoked: frozenset[str] = frozenset()
        self._seen = 0
        self.refresh()

    def refresh(self) -> None:
        """Read which tokens were revoked, where that changed."""
        changed = self._revoked_file.stat().st_mtime_ns if self._revoked_file.exists() else 0
        if changed != self._seen:
            self._seen, self._revoked = changed, frozenset(json.loads(self._revoked_file.read_text()))
            self._known.clear()

    def check(self, headers: Iterable[tuple[bytes, bytes]], act: str, pipeline: str) -> Claims:
        """Return who asks.

        Raises
        ------
        NotAllowed
            401 without a valid token, 403 where it is valid for something else.
        """
        given = next((value for name, value in headers if name == b"authorization"), b"")
        # Looked up by its hash, so that no comparison of secrets takes the longer the nearer a guess is.
        place = hashlib.blake2b(given, digest_size=16).digest()
        claims = self._known.get(place)
        if claims is None:
            claims = self._verified(given)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[place] = claims
        if claims.expires_at <= time.time():
            raise NotAllowed(401, "the token has expired")
        if not claims.may(act, pipeline):
            raise NotAllowed(403, f"the token is not good for {act}:{pipeline}")
        return claims

    def _verified(self, given: bytes) -> Claims:
        scheme, _, token = given.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAllowed(401, "send a token: Authorization: Bearer …")
        try:
            claims = verify(self._keys, token.strip())
        except Refused as error:
            raise NotAllowed(401, str(error)) from error
        if claims.token_id in self._revoked:
            raise NotAllowed(401, "the token is not valid")
        return claims

"""Who may ask: the bearer token of a request, checked once and remembered until it expires or something is revoked."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from include.errors import ConfigError
from include.security.keys import KeyRing
from include.security.tokens import Claims, Refused, read, verify
from include.serving.limits import RateLimit
from include.serving.troubles import STALE_SECONDS, Troubles, utc

MOST_REMEMBERED = 10_000
MOST_BYTES = 4096  # of a token
REVOKED = "revoked.json"
INVALID = "send a valid token: Authorization: Bearer …"
Headers = Iterable[tuple[bytes, bytes]]
log = logging.getLogger(__name__)


class NotAllowed(Exception):
    """A request that may not be: 401 without a valid token, 403 with one for something else, 429 for one too many."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status, self.title = status, title


class Guard:
    """Checks tokens with the keys in use, against those that were revoked, and how often each subject asks.

    Attributes
    ----------
    troubles : Troubles
        Why keys or revoked tokens cannot be read any more, or nobody looks for those; what was known before holds.
    """

    def __init__(self, ring: KeyRing, folder: Path, per_second: float) -> None:
        self._ring, self._revoked_file, self._limit = ring, folder / REVOKED, RateLimit(per_second)
        self._known: dict[bytes, Claims] = {}
        self._keys: dict[str, str] = {}
        self._revoked: frozenset[str] = frozenset()
        self._began_at = time.time()
        self.troubles = Troubles()
        self.refresh()

    def refresh(self) -> None:
        """Read keys and revoked tokens; what changes counts from the next request on."""
        try:
            keys = self._ring.in_use()
            revoked = json.loads(self._revoked_file.read_text()) if self._revoked_file.exists() else []
        except (ConfigError, OSError, ValueError) as error:
            if "tokens" not in self.troubles.standing():
                log.error("keys or revoked tokens: %s", error)  # with its place, which is nobody else's business
            why = f"keys or revoked tokens cannot be read ({type(error).__name__}); those known before hold"
            self.troubles.note("tokens", why)
            return
        self.troubles.clear("tokens")
        self._note_silence()
        if keys != self._keys or self._revoked != frozenset(revoked):
            self._keys, self._revoked = keys, frozenset(revoked)
            self._known.clear()

    def _note_silence(self) -> None:
        """Note whether somebody still looks for revoked tokens; after a start there is time to begin with it."""
        looked_at = self._revoked_file.stat().st_mtime if self._revoked_file.exists() else 0.0
        since = max(looked_at, self._began_at)
        if time.time() - since > STALE_SECONDS:
            why = f"revoked tokens were not looked for since {utc(since)}: those known before are refused, and no other"
            self.troubles.note("doorkeeper", why)
        else:
            self.troubles.clear("doorkeeper")

    def count(self, headers: Headers) -> None:
        """Count a request, whatever it asks for; to be called once for each.

        Raises
        ------
        NotAllowed
            429 where its subject asks too often.
        """
        claims = self._known.get(_place(_given(headers)))
        if claims is not None:
            self.count_of(claims.subject)

    def count_of(self, subject: str) -> None:
        """Count a request of somebody whose token was checked; raises as `count` does."""
        if not self._limit.takes(subject, time.monotonic()):
            raise NotAllowed(429, "too many requests in a second")

    def check(self, headers: Headers, act: str, pipeline: str) -> Claims:
        """Return who asks.

        Raises
        ------
        NotAllowed
            401 without a valid token, 403 where it is valid for something else.
        """
        given = _given(headers)
        place = _place(given)
        claims = self._known.get(place)
        if claims is None:
            claims = self._verified(given)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[place] = claims
        if claims.expires_at <= time.time():
            raise NotAllowed(401, INVALID)
        if not claims.may(act, pipeline):
            raise NotAllowed(403, f"the token is not good for {act}:{pipeline}")
        return claims

    def subject(self, headers: Headers) -> str:
        """Return who sent a request, also with a token that has expired or was revoked; empty where nobody can tell."""
        try:
            return read(self._keys, _token(_given(headers))).subject
        except (NotAllowed, Refused):
            return ""

    def _verified(self, given: bytes) -> Claims:
        try:
            claims = verify(self._keys, _token(given))
        except Refused as error:
            raise NotAllowed(401, INVALID) from error
        if claims.token_id in self._revoked:
            raise NotAllowed(401, INVALID)
        return claims


def _place(given: bytes) -> bytes:
    """Return where a token is remembered: by its hash, so that no look-up takes the longer the nearer a guess is."""
    return hashlib.blake2b(given, digest_size=16).digest()


def _token(given: bytes) -> str:
    scheme, _, token = given.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or len(token) > MOST_BYTES:
        raise NotAllowed(401, INVALID)
    return token.strip()


def _given(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"authorization"), b"")

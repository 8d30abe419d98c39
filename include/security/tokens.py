"""Bearer tokens of the prediction service: signed, with an expiry, and good for named acts on named pipelines."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import jwt

ALGORITHM = "HS256"
AUDIENCE = "ciclo-serving"
SKEW_SECONDS = 10  # by which the clock of the machine that issues may be ahead
ACTS = ("predict", "feedback", "read")


class Refused(Exception):
    """A token that opens nothing; the message does not tell a stranger more than that."""


@dataclass(frozen=True)
class Claims:
    """What a token says: who asks, until when, and its scopes such as ``predict:air_quality`` or ``predict:*``."""

    token_id: str
    subject: str
    expires_at: float
    scopes: frozenset[str]

    def may(self, act: str, pipeline: str) -> bool:
        """Tell whether the token is good for an act on a pipeline."""
        return f"{act}:{pipeline}" in self.scopes or f"{act}:*" in self.scopes


def issue(
    keys: Mapping[str, str], subject: str, scopes: Iterable[str], lifetime: timedelta, now: float | None = None
) -> tuple[str, Claims]:
    """Return a token signed with the newest of the keys, the one with the greatest id, and what it says.

    Examples
    --------
    >>> token, claims = issue({"k1": "0" * 64}, "desk", ["predict:usdmxn"], timedelta(hours=1))
    >>> verify({"k1": "0" * 64}, token) == claims
    True
    """
    now = time.time() if now is None else now
    key_id = max(keys)
    claims = Claims(secrets.token_hex(16), subject, float(int(now + lifetime.total_seconds())), frozenset(scopes))
    payload = {
        "jti": claims.token_id, "sub": subject, "iat": int(now), "exp": int(claims.expires_at),
        "aud": AUDIENCE, "scope": " ".join(sorted(claims.scopes)),
    }  # fmt: skip
    return jwt.encode(payload, keys[key_id], ALGORITHM, headers={"kid": key_id}), claims


def verify(keys: Mapping[str, str], token: str) -> Claims:
    """Return what a token says.

    Raises
    ------
    Refused
        If it is forged, expired, not ours, or signed with a key that is not in use any more.
    """
    claims = read(keys, token)
    if claims.expires_at <= time.time():
        raise Refused("the token is not valid")
    return claims


def read(keys: Mapping[str, str], token: str) -> Claims:
    """Return what a token that we have signed says, though it may have expired: it tells who asks, and opens nothing.

    Raises
    ------
    Refused
        If it is forged, not ours, or signed with a key that is not in use any more.
    """
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        required = ["exp", "iat", "sub", "jti", "aud"]
        told = jwt.decode(
            token,
            key,
            [ALGORITHM],
            audience=AUDIENCE,
            leeway=SKEW_SECONDS,
            options={"require": required, "verify_exp": False},
        )
        expires_at = float(told["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        raise Refused("the token is not valid") from error
    return Claims(told["jti"], told["sub"], expires_at, frozenset(str(told.get("scope", "")).split()))

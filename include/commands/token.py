"""``ciclo token``: issue, list and revoke the tokens of the prediction service, and change the key that signs them."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from include.errors import ConfigError

if TYPE_CHECKING:
    from include.security.keys import KeyRing

app = typer.Typer(help=__doc__)
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=366)
EVERYTHING = ["predict:*", "feedback:*", "read:*"]
RECORD = """
insert into ops.token (token_id, subject, scopes, key_id, issued_at, expires_at, issued_by)
values (%s, %s, %s, %s, %s, to_timestamp(%s), %s)
"""
REVOKE = """
update ops.token set revoked_at = now(), reason = %s, revoked_by = %s
where revoked_at is null and token_id = %s returning subject
"""
LIST = """
select token_id, subject, scopes, key_id, issued_at, expires_at, issued_by, revoked_at, reason, revoked_by
from ops.token where %s or revoked_at is null and expires_at > now() order by issued_at
"""


@app.callback(invoke_without_command=True)
def token(context: typer.Context) -> None:
    """Issue a token for yourself, good for a day and every pipeline, or do what a command says."""
    if context.invoked_subcommand is None:
        issue(getpass.getuser(), EVERYTHING, "1d")


@app.command()
def issue(
    subject: Annotated[str, typer.Argument(help="Who will ask with it, such as credit-desk.")],
    scope: Annotated[list[str], typer.Option("--scope", help="ACT:PIPELINE; ACT is predict, feedback or read.")],
    lifetime: Annotated[str, typer.Option("--for", help="How long it is good: 12h, 30d.")] = "30d",
) -> None:
    """Print a new token on standard output, and put on record that it was issued; it is shown this once."""
    from include.commands.system import warehouse
    from include.local.secrets import serving_keys
    from include.security import tokens

    if not re.fullmatch(r"[\w.@+-]{1,100}", subject):
        raise ConfigError(f"a subject is a name of letters, digits and . @ + - _, not {subject!r}")
    scopes, keys, now = _scopes(scope), serving_keys().in_use(), datetime.now(UTC)
    text, claims = tokens.issue(keys, subject, scopes, _lifetime(lifetime), now.timestamp())
    values = (claims.token_id, subject, scopes, max(keys), now, claims.expires_at, getpass.getuser())
    with warehouse().begin() as connection:
        connection.exec_driver_sql(RECORD, values)
    until = datetime.fromtimestamp(claims.expires_at, UTC)
    typer.echo(f"{claims.token_id} for {subject}: {', '.join(scopes)}; until {until:%Y-%m-%d %H:%M} UTC", err=True)
    typer.echo(text)


@app.command("list")
def list_tokens(
    everything: Annotated[bool, typer.Option("--all", help="Also those that expired or were revoked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the tokens that are good, or all that were ever issued; never the tokens themselves."""
    import json

    from include.commands.system import warehouse

    with warehouse().connect() as connection:
        rows = [dict(row) for row in connection.exec_driver_sql(LIST, (everything,)).mappings()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=str))
        return
    for row in rows:
        end = f"until {row['expires_at']:%Y-%m-%d %H:%M}"
        if row["revoked_at"]:
            end = f"revoked {row['revoked_at']:%Y-%m-%d %H:%M} by {row['revoked_by']}: {row['reason']}"
        typer.echo(f"{row['token_id']}  {row['subject']}  {' '.join(row['scopes'])}  {end}")
    if not rows:
        typer.echo("There is no token; ciclo token issue makes one.")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As ciclo token list shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept on record.")] = "",
) -> None:
    """Revoke a token: within two seconds it opens nothing any more."""
    from include.commands.system import warehouse
    from include.commands.undo import reason_given

    reason = reason_given(reason)
    with warehouse().begin() as connection:
        row = connection.exec_driver_sql(REVOKE, (reason, getpass.getuser(), token_id)).first()
    if row is None:
        raise ConfigError(
            f"there is no token {token_id} that is not revoked yet: ciclo token list shows those there are"
        )
    typer.echo(f"{token_id} of {row.subject} is revoked.")


@app.command()
def rotate(
    until: Annotated[str | None, typer.Option("--until", help="Date or time, UTC, to retire the old keys.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Retire the old keys at once.")] = False,
) -> None:
    """Make a key that signs from now on; tokens signed with the old ones stay good until these are retired."""
    from include.local.secrets import add_serving_key, serving_keys

    end = _end(until, now)
    ring = serving_keys()
    typer.echo(f"The key {add_serving_key(ring)} signs from now on.")
    _retire(ring, end)


@app.command()
def retire(
    until: Annotated[str | None, typer.Option("--until", help="Date or time, UTC.")] = None,
    now: Annotated[bool, typer.Option("--now", help="At once.")] = False,
) -> None:
    """Retire every key but the newest: the tokens that it has signed open nothing from then on."""
    from include.local.secrets import serving_keys

    end = _end(until, now)
    if end is None:
        raise ConfigError("say when: --now, or --until 2026-12-31")
    _retire(serving_keys(), end)


def _retire(ring: KeyRing, end: datetime | None) -> None:
    from include.local.secrets import retire_serving_keys

    if end is not None:
        retire_serving_keys(ring, end)
    for key_id, key in list(ring.all().items())[:-1]:
        how = "until ciclo token retire" if key.until is None else f"until {key.until:%Y-%m-%d %H:%M:%S} UTC"
        typer.echo(f"{key_id} checks tokens {how}.")


def _end(until: str | None, now: bool) -> datetime | None:
    if now and until:
        raise ConfigError("--now and --until are two answers to one question: give one of them")
    if now:
        return datetime.now(UTC)
    if until is None:
        return None
    from include.commands.undo import instant

    return instant(until)


def _scopes(texts: list[str]) -> list[str]:
    from include.commands.system import known_pipelines
    from include.security.tokens import ACTS

    for text in texts:
        act, _, pipeline = text.partition(":")
        if act not in ACTS or not pipeline:
            raise ConfigError(
                f"--scope {text!r} is none: write ACT:PIPELINE, such as predict:usdmxn, or {EVERYTHING[0]}"
            )
        if pipeline != "*":
            known_pipelines(pipeline)
    return sorted(set(texts))


def _lifetime(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    lifetime = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
    if lifetime is None or lifetime > LONGEST:
        raise ConfigError(f"--for {text!r} is no time up to {LONGEST.days} days: write 12h or 30d")
    return lifetime

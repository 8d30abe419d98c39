"""``ciclo token``: what it prints, what it puts on record, and what it refuses."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from typer.testing import CliRunner, Result

from include.commands.cli import app
from include.errors import ConfigError
from include.local import environment, preparation
from include.local.secrets import serving_keys
from include.security.tokens import Refused, verify
from include.settings import Settings, settings


@pytest.fixture
def warehouse(options: Settings, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Give settings that name a Postgres with our warehouse in it, and no token on record."""
    monkeypatch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
    settings.cache_clear()
    preparation.create_databases()
    preparation.migrate_warehouse()
    yield settings()
    with closing(psycopg2.connect(environment.database_url("warehouse"))) as link, link, link.cursor() as cursor:
        cursor.execute("delete from ops.token")


def ciclo(*arguments: str) -> Result:
    """Call ``ciclo token``."""
    done = CliRunner().invoke(app, ["token", *arguments])
    if isinstance(done.exception, ConfigError):
        raise done.exception
    return done


@pytest.mark.usefixtures("warehouse")
def test_without_arguments_it_prints_a_token_for_everything_and_nothing_else():
    done = ciclo()
    assert done.exit_code == 0, done.output
    [token] = done.stdout.splitlines()
    claims = verify(serving_keys().in_use(), token)
    assert claims.may("predict", "usdmxn")
    assert claims.may("feedback", "air_quality")
    assert claims.expires_at - datetime.now(UTC).timestamp() == pytest.approx(86_400, abs=60)


@pytest.mark.usefixtures("warehouse")
def test_a_token_is_issued_listed_without_itself_and_revoked_once():
    token = ciclo("issue", "credit-desk", "--scope", "predict:usdmxn", "--for", "30d").stdout.strip()
    claims = verify(serving_keys().in_use(), token)
    assert (claims.subject, claims.scopes) == ("credit-desk", {"predict:usdmxn"})
    [row] = json.loads(ciclo("list", "--json").stdout)
    assert (row["token_id"], row["subject"], row["scopes"]) == (claims.token_id, "credit-desk", ["predict:usdmxn"])
    assert row["key_id"] == max(serving_keys().all())
    assert token not in ciclo("list", "--json").stdout
    assert ciclo("revoke", claims.token_id, "--reason", "laptop lost").stdout == (
        f"{claims.token_id} of credit-desk is revoked.\n"
    )
    assert ciclo("list").stdout == "There is no token; ciclo token issue makes one.\n"
    assert "laptop lost" in ciclo("list", "--all").stdout
    with pytest.raises(ConfigError, match="there is no token"):
        ciclo("revoke", claims.token_id, "--reason", "again")


@pytest.mark.usefixtures("warehouse")
def test_a_new_key_signs_and_the_old_one_checks_until_it_is_retired():
    old = ciclo().stdout.strip()
    [first] = serving_keys().all()
    assert f"{first} checks tokens until ciclo token retire." in ciclo("rotate").stdout
    new = ciclo().stdout.strip()
    assert {verify(serving_keys().in_use(), token).scopes for token in (old, new)}
    until = datetime.now(UTC) + timedelta(days=7)
    assert (
        f"{first} checks tokens until {until:%Y-%m-%d}" in ciclo("retire", "--until", f"{until:%Y-%m-%dT%H:%M}").stdout
    )
    verify(serving_keys().in_use(), old)
    assert ciclo("rotate", "--now").exit_code == 0
    for token in (old, new):
        with pytest.raises(Refused):
            verify(serving_keys().in_use(), token)
    verify(serving_keys().in_use(), ciclo().stdout.strip())


def test_keys_are_files_that_only_their_owner_can_read(options: Settings):
    [key_id] = serving_keys().all()
    folder = options.var / "secrets" / "serving_keys"
    assert stat.S_IMODE((folder / key_id).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_of_the_environment_are_not_changed_here(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CICLO_SERVING_KEYS", "1:" + "5" * 64)
    settings.cache_clear()
    assert list(serving_keys().all()) == ["1"]
    with pytest.raises(ConfigError, match="The keys of tokens come from CICLO_SERVING_KEYS"):
        ciclo("rotate")
    assert not (options.var / "secrets" / "serving_keys").exists()
    assert environment.component_env()["CICLO_SERVING_KEYS"] == "1:" + "5" * 64


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("issue", "desk", "--scope", "write:usdmxn"), "write ACT:PIPELINE, such as predict:usdmxn"),
        (("issue", "desk", "--scope", "predict"), "write ACT:PIPELINE, such as predict:usdmxn"),
        (("issue", "desk", "--scope", "predict:nothing"), "there is no pipeline nothing"),
        (("issue", "desk", "--scope", "predict:*", "--for", "10y"), "is no time up to 366 days"),
        (("issue", "desk", "--scope", "predict:*", "--for", "400d"), "is no time up to 366 days"),
        (("issue", "a b", "--scope", "predict:*"), "a subject is a name"),
        (("revoke", "1"), "give a reason, which is kept on record"),
        (("retire",), "say when: --now, or --until"),
        (("rotate", "--now", "--until", "2099-01-01"), "give one of them"),
        (("retire", "--until", "2020-01-01"), "has passed already"),
    ],
)
@pytest.mark.usefixtures("options")
def test_what_cannot_be_is_one_sentence(arguments: tuple[str, ...], told: str):
    with pytest.raises(ConfigError, match=told.replace("*", r"\*")):
        ciclo(*arguments)

"""The keys that sign tokens: changed, retired and read by the service that runs, and what they are refused for."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from include.errors import ConfigError
from include.security.keys import Key, KeyRing
from include.security.tokens import issue
from include.spec.model import Pipeline
from tests.serving.running import Service
from tests.serving.test_access import statuses

OLD, NEW = "1" * 64, "2" * 64


def write(folder: Path, key_id: str, text: str, mode: int = 0o600) -> None:
    """Put a key into a folder in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{key_id}"
    half.write_text(text)
    half.chmod(mode)
    half.rename(folder / key_id)


def test_another_key_signs_and_the_old_one_checks_until_it_is_retired_without_a_restart(
    unstarted_service: Service, plant: Pipeline
) -> None:
    service = unstarted_service
    folder = service.folder.parent / "secrets" / "serving_keys"
    del service.environment["CICLO_SERVING_KEYS"]
    write(folder, "1", OLD)
    service.start()
    old = issue({"1": OLD}, "test", ["predict:*"], timedelta(hours=1))[0]
    new = issue({"2": NEW}, "test", ["predict:*"], timedelta(hours=1))[0]
    assert (statuses(service, plant, old), statuses(service, plant, new)) == ({200}, {401})
    write(folder, "2", NEW)
    service.wait_for(lambda: statuses(service, plant, new) == {200}, 5)
    assert statuses(service, plant, old) == {200}
    write(folder, "1", str(Key(OLD, datetime.now(UTC) + timedelta(seconds=2))))
    service.wait_for(lambda: statuses(service, plant, old) == {401}, 8)
    assert statuses(service, plant, new) == {200}
    write(folder, "3", "short")
    service.wait_for(lambda: "tokens" in requests.get(f"{service.url}/readyz", timeout=5).json()["troubles"], 5)
    assert statuses(service, plant, new) == {200}


def test_without_a_key_the_service_does_not_start(unstarted_service: Service) -> None:
    del unstarted_service.environment["CICLO_SERVING_KEYS"]
    assert unstarted_service.run() == (
        2,
        "There is no key to check tokens with: ciclo token rotate makes one, or set CICLO_SERVING_KEYS.\n",
    )


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        (OLD, 0o640, "others may read it: chmod 600"),
        ("short", 0o600, "a key has at least 32 characters"),
        ("", 0o600, "a key has at least 32 characters"),
        (f"{OLD}:soon", 0o600, "'soon' behind the key is no time"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_refused_by_its_file(tmp_path: Path, text: str, mode: int, told: str) -> None:
    write(tmp_path, "1", text, mode)
    with pytest.raises(ConfigError, match=told) as error:
        KeyRing("", tmp_path).all()
    assert str(tmp_path / "1") in str(error.value)
    assert OLD not in str(error.value)


def test_keys_of_a_text_count_and_the_files_do_not(tmp_path: Path) -> None:
    write(tmp_path, "9", OLD)
    ring = KeyRing(f"b:{NEW} a:{OLD}:2026-12-31", tmp_path)
    assert list(ring.all()) == ["a", "b"]
    assert ring.in_use(datetime(2026, 12, 30, tzinfo=UTC)) == {"a": OLD, "b": NEW}
    assert ring.in_use(datetime(2026, 12, 31, tzinfo=UTC)) == {"b": NEW}


def test_a_key_is_nowhere_shown(tmp_path: Path) -> None:
    write(tmp_path, "1", OLD)
    assert OLD not in repr(KeyRing("", tmp_path).all())
    assert stat.S_IMODE((tmp_path / "1").stat().st_mode) == 0o600

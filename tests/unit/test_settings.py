"""Options that must not pass."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import pytest

from include.errors import ConfigError
from include.settings import settings


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    """Let each test read its own environment, and leave nothing of it behind."""
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("uri", ["s3://key-id:sec/ret@bucket/lake", "s3://key-id:@bucket"])
def test_keys_in_the_lakes_uri_are_refused_and_not_shown(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICLO_LAKE", uri)
    with pytest.raises(
        ConfigError, match=r"CICLO_LAKE=s3://\*\*\*@bucket.* is refused .*Airflow Connection"
    ) as refusal:
        settings()
    shown = "".join(traceback.format_exception(refusal.value))
    assert "key-id" not in shown
    assert "sec/ret" not in shown
    monkeypatch.setenv("CICLO_LAKE", "s3://lake@bucket/prefix")
    assert settings().lake == "s3://lake@bucket/prefix"

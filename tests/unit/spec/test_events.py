"""What ``events`` in pipeline.yaml may say."""

from pathlib import Path

import pytest

from include.errors import ConfigError
from include.spec.load import parse

TEXT = Path(__file__).with_name("every_kind.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("notify: {connection: internal_db", "notify: {connection: banxico_api", "did you mean|use one of internal_db"),
        ("webhook: true", "webhook: false", "webhook"),
        ("channel: desk_operation", "channel: Desk-Operation", "channel"),
        ("quiet_seconds: 2", "quiet_seconds: 0", "quiet_seconds"),
        ("scheme: kafka", "scheme: rabbit", "scheme"),
        ("topics: [desk.operation]", "topics: []", "topics"),
        ("connection: kafka_default", "connection: kafka://user:word@host", "plain name of a connection"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(old: str, new: str, told: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ConfigError, match=told) as refusal:
        parse(TEXT.replace(old, new), "p.yaml")
    assert str(refusal.value).startswith("p.yaml:")
    assert "word@" not in str(refusal.value)


def test_a_pipeline_without_a_database_is_told_to_remove_notify() -> None:
    minimal = Path(__file__).with_name("minimal.yaml").read_text("utf-8")
    text = minimal.replace("\nsources:", "\nevents: {notify: {connection: internal_db, channel: news}}\n\nsources:", 1)
    with pytest.raises(ConfigError, match="has no source of kind sql; remove `notify`"):
        parse(text, "p.yaml")

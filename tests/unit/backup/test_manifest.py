"""A base backup is compared with the manifest that the server wrote with it."""

import hashlib
import json
from pathlib import Path

import pytest

from include.backup.manifest import faults


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("PG_VERSION", "base/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    listed = [
        {"Path": name, "Size": len(name), "Checksum": hashlib.sha256(name.encode()).hexdigest()}
        for name in ("PG_VERSION", "base/1")
    ]
    text = json.dumps({"Files": listed})[:-1] + ",\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "backup_manifest").write_text(f'{text}"Manifest-Checksum": "{digest}"}}')
    return tmp_path


def test_what_is_whole_has_no_faults(base):
    assert faults(base) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda base: (base / "base/1").write_text("base/2"), "base/1 is damaged"),
        (lambda base: (base / "base/1").unlink(), "base/1 is missing"),
        (lambda base: (base / "base/2").touch(), "base/2 does not belong there"),
        (lambda base: (base / "backup_manifest").write_text("{}"), "backup_manifest is damaged"),
        (lambda base: (base / "backup_manifest").unlink(), "backup_manifest is missing"),
        (
            lambda base: (base / "backup_manifest").write_text(
                (base / "backup_manifest").read_text().replace("base/1", "base/3")
            ),
            "backup_manifest is damaged",
        ),
    ],
)
def test_what_is_damaged_is_told(base, damage, told):
    damage(base)
    [fault] = faults(base)
    assert fault.endswith(told)

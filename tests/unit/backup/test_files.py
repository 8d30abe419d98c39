"""Files kept by hash, and the journal of which were there when."""

import json
import os
import time
from pathlib import Path

import pytest

from include.backup import files, journal
from include.errors import ConfigError


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "lake" / "partial").mkdir(parents=True)
    (tmp_path / "lake" / "partial" / "half").touch()
    (tmp_path / "backups").mkdir()
    return {"lake": tmp_path / "lake"}


def kept(folder: Path) -> dict[str, journal.Kept]:
    return journal.state(journal.read(folder))


def test_only_what_is_new_or_changed_is_copied_and_equal_bytes_once(lake, tmp_path):
    folder = tmp_path / "backups"
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (lake["lake"] / name).write_text(text)
    assert [files.copy_new(folder, lake, time.time_ns()) for _ in range(2)] == [6, 0]
    (lake["lake"] / "a").write_text("three")
    assert files.copy_new(folder, lake, time.time_ns()) == 5
    assert set(kept(folder)) == {"lake/a", "lake/b", "lake/c"}
    assert len(list((folder / "files").glob("*/*"))) == 3
    assert files.faults(folder, kept(folder)) == []


def test_a_folder_that_is_away_has_lost_nothing(lake, tmp_path):
    (lake["lake"] / "a").write_text("one")
    files.copy_new(tmp_path / "backups", lake, 1)
    lake["lake"].rename(tmp_path / "away")
    for is_mount_point in (False, True):
        if is_mount_point:
            lake["lake"].mkdir()
        with pytest.raises(ConfigError, match=r"lake held files when .*backups was written last, and is empty or gone"):
            files.copy_new(tmp_path / "backups", lake, 2)
        assert set(kept(tmp_path / "backups")) == {"lake/a"}


def test_lines_that_the_journal_lost_are_told_also_after_it_was_pruned(lake, tmp_path):
    folder = tmp_path / "backups"
    for now, name in enumerate("abc"):
        (lake["lake"] / name).write_text(name)
        os.utime(lake["lake"] / name, ns=(now, now))
        files.copy_new(folder, lake, now)
    (lake["lake"] / "a").unlink()
    files.copy_new(folder, lake, 3)
    notes = [journal.note(folder)]
    (lake["lake"] / "d").write_text("d")
    files.copy_new(folder, lake, 4)
    assert [line["name"][-1] for line in journal.until_note(folder, notes, "b")] == ["a", "b", "c", "a"]
    files.prune(folder, 3, lambda note: notes.append(note(notes[0][0])))
    assert [line["name"][-1] for line in journal.until_note(folder, notes, "b")] == ["b", "c"]
    path = folder / journal.JOURNAL
    path.write_text(path.read_text().partition("\n")[2])
    with pytest.raises(ConfigError, match="is not what it was when backup b was made"):
        journal.until_note(folder, notes, "b")


@pytest.mark.parametrize("lost", ["name", "sha256", "size", "mode", "modified"])
def test_a_line_that_lacks_something_is_told(lake, tmp_path, lost):
    folder = tmp_path / "backups"
    (lake["lake"] / "a").write_text("one")
    files.copy_new(folder, lake, 1)
    [line] = journal.read(folder)
    del line[lost]
    (folder / journal.JOURNAL).write_text(json.dumps(line) + "\n")
    with pytest.raises(ConfigError, match=rf"files.jsonl is damaged \(.*{lost}.*\): use a copy"):
        journal.read(folder)


def test_half_a_line_does_not_count_and_is_mended(lake, tmp_path):
    folder = tmp_path / "backups"
    (lake["lake"] / "a").write_text("one")
    files.copy_new(folder, lake, 1)
    whole = (folder / journal.JOURNAL).read_text()
    (folder / journal.JOURNAL).write_text(whole + whole[:20])
    assert set(kept(folder)) == {"lake/a"}
    (lake["lake"] / "b").write_text("two")
    files.copy_new(folder, lake, 2)
    assert set(kept(folder)) == {"lake/a", "lake/b"}


def test_a_damaged_line_is_told(lake, tmp_path):
    folder = tmp_path / "backups"
    (lake["lake"] / "a").write_text("one")
    files.copy_new(folder, lake, 1)
    (folder / journal.JOURNAL).write_text("{]\n" + (folder / journal.JOURNAL).read_text())
    with pytest.raises(ConfigError, match=r"files.jsonl is damaged"):
        journal.read(folder)


def test_a_file_whose_bytes_are_missing_is_told(lake, tmp_path):
    folder = tmp_path / "backups"
    (lake["lake"] / "a").write_text("one")
    files.copy_new(folder, lake, 1)
    next((folder / "files").glob("*/*")).unlink()
    assert "lake/a is missing in the backup" in files.faults(folder, kept(folder))[0]

"""A row of values is kept without what identifies a person, hashed as the warehouse has it."""

import pytest

from include.errors import ConfigError
from include.sources.masking import keyed_hash, masked_row
from include.spec.load import load_all

COLUMNS = {name: column for source in load_all()["usdmxn"].sources.values() for name, column in source.columns.items()}
PERSONAL = {how: [name for name, column in COLUMNS.items() if column.personal == how] for how in ("hash", "drop")}


def test_a_raw_row_is_kept_without_what_identifies_a_person():
    assert PERSONAL["hash"]
    assert PERSONAL["drop"]
    row = dict.fromkeys([*PERSONAL["hash"], *PERSONAL["drop"], "made_up"], "Ana Pérez") | {"fix_mxn": 18.5}
    kept = masked_row(COLUMNS, row, "key")
    assert kept == {"fix_mxn": 18.5} | dict.fromkeys(PERSONAL["hash"], keyed_hash("key", "Ana Pérez"))
    assert "Ana" not in str(kept)


def test_what_is_missing_stays_missing():
    assert masked_row(COLUMNS, dict.fromkeys(PERSONAL["hash"]), "") == dict.fromkeys(PERSONAL["hash"])


def test_without_a_key_nothing_is_kept():
    with pytest.raises(ConfigError, match="must be hashed and there is no hash_key"):
        masked_row(COLUMNS, dict.fromkeys(PERSONAL["hash"], "Ana Pérez"), "")

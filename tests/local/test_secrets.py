"""Secrets are made once, stay the same, and nobody else can read them."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor

from cryptography.fernet import Fernet

from include.local.secrets import secret, secret_path, write_private
from include.settings import Settings


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_stays_the_same(options: Settings):
    assert secret("postgres") == secret("postgres")


def test_secrets_differ_from_each_other(options: Settings):
    assert secret("airflow_jwt") != secret("airflow_admin")


def test_only_the_owner_can_read_a_secret(options: Settings):
    secret("airflow_admin")
    assert _mode(secret_path("airflow_admin")) == 0o600
    assert _mode(secret_path("airflow_admin").parent) == 0o700


def test_everybody_who_asks_at_once_gets_the_same_secret(options: Settings):
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: secret("hash_key"), range(64)))) == 1


def test_the_fernet_key_encrypts(options: Settings):
    key = Fernet(secret("airflow_fernet"))
    assert key.decrypt(key.encrypt(b"x")) == b"x"


def test_the_sandbox_tokens_look_like_the_real_ones(options: Settings):
    assert re.fullmatch(r"\w{64}", secret("sandbox_banxico_token"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", secret("sandbox_inegi_token"))


def test_a_private_file_is_replaced_in_one_step(options: Settings, tmp_path):
    file = tmp_path / "conf"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert _mode(file) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]

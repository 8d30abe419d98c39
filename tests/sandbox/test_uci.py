"""The UCI archive's stand-in: where its file comes from, and that the zip never varies."""

import errno
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from include.errors import ConfigError
from include.sandbox import uci
from include.sandbox.config import SandboxConfig

REAL = b"Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);PT08.S2(NMHC);NOx(GT);PT08.S3(NOx);NO2(GT);"
REAL += b"PT08.S4(NO2);PT08.S5(O3);T;RH;AH;;\r\n"
REAL += b"10/03/2004;18.00.00;2,6;1360;150;11,9;1046;166;1056;113;1692;1268;13,6;48,9;0,7578;;\r\n"
REAL += b";;;;;;;;;;;;;;;;\r\n"


@pytest.fixture
def real_csv(tmp_path: Path) -> Path:
    path = tmp_path / "AirQualityUCI.csv"
    path.write_bytes(REAL)
    return path


@pytest.fixture
def archive() -> Callable[[Callable[[], bytes]], str]:
    """Start a server that answers every request with what the given function returns."""
    servers = []

    def start(body: Callable[[], bytes]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = body()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_without_the_real_file_a_simulated_station_answers_and_says_so(sandbox) -> None:
    answer = sandbox.air_quality()
    assert answer.headers["X-Data-Origin"] == "SIMULATED"
    assert sandbox.get("/health").json() == {"status": "ok", "is_air_quality_simulated": True}
    assert _csv(answer.content).count(b"\r\n") == 1 + 9357 + 114


def test_two_sandboxes_send_the_same_bytes(sandbox, serve) -> None:
    assert sandbox.air_quality().content == sandbox.air_quality().content == serve().air_quality().content


def test_the_named_file_is_served_as_real(serve, real_csv: Path) -> None:
    client = serve(uci_file=real_csv)
    answer = client.air_quality()
    assert _csv(answer.content) == REAL
    assert "X-Data-Origin" not in answer.headers
    assert client.get("/health").json()["is_air_quality_simulated"] is False


def test_the_named_file_may_be_the_zip(serve, tmp_path: Path) -> None:
    path = tmp_path / "air+quality.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AirQualityUCI.xlsx", b"not read")
        archive.writestr("AirQualityUCI.csv", REAL)
    assert _csv(serve(uci_file=path).air_quality().content) == REAL


def test_a_missing_named_file_stops_the_start(config: SandboxConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"UCI_AIR_QUALITY_FILE names .*absent\.csv, which cannot be read"):
        uci.load(replace(config, uci_file=tmp_path / "absent.csv"))


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"", b"PK\x03\x04 half a zip"])
def test_a_named_file_that_is_not_the_station_stops_the_start(
    config: SandboxConfig, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not the UCI file"):
        uci.load(replace(config, uci_file=path))


def test_a_zip_without_the_csv_stops_the_start(config: SandboxConfig, tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something.txt", b"")
    with pytest.raises(ConfigError, match=r"the zip holds no readable AirQualityUCI\.csv"):
        uci.load(replace(config, uci_file=path))


def test_a_download_is_kept_and_served_as_real(config: SandboxConfig, tmp_path: Path, archive) -> None:
    online = replace(config, var=tmp_path, uci_url=archive(lambda: uci.pack(REAL)))
    loaded = uci.load(online)
    assert (_csv(loaded.zipped), loaded.is_simulated) == (REAL, False)
    assert (tmp_path / "uci" / "AirQualityUCI.csv").read_bytes() == REAL
    assert uci.load(replace(online, uci_url=None)) == loaded


@pytest.mark.parametrize("body", [b"", b"<html>maintenance</html>"])
def test_a_download_that_is_not_the_station_is_thrown_away(
    config: SandboxConfig, tmp_path: Path, archive, body: bytes
) -> None:
    assert uci.load(replace(config, var=tmp_path, uci_url=archive(lambda: body))).is_simulated
    assert [path.name for path in (tmp_path / "uci").iterdir()] == ["SIMULATED"]


def test_an_unreachable_archive_leaves_the_simulated_station(config: SandboxConfig, tmp_path: Path) -> None:
    assert uci.load(replace(config, var=tmp_path, uci_url="http://127.0.0.1:9/")).is_simulated


def test_a_folder_that_is_mounted_read_only_is_a_sentence(
    config: SandboxConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(ConfigError, match=r"uci/SIMULATED cannot be written.*mount a volume there"):
        uci.load(replace(config, var=tmp_path, uci_url=None))


def test_a_station_that_was_simulated_once_stays_simulated(config: SandboxConfig, tmp_path: Path, archive) -> None:
    assert uci.load(replace(config, var=tmp_path, uci_url=None)).is_simulated
    assert uci.load(replace(config, var=tmp_path, uci_url=archive(lambda: uci.pack(REAL)))).is_simulated


def test_a_download_that_does_not_end_is_given_up(config: SandboxConfig, tmp_path: Path, archive) -> None:
    release = Event()
    slow = archive(lambda: uci.pack(REAL) if release.wait() else b"")
    assert uci.load(replace(config, var=tmp_path, uci_url=slow, download_s=0.1)).is_simulated
    release.set()
    assert [path.name for path in (tmp_path / "uci").iterdir()] == ["SIMULATED"]


def test_a_broken_kept_file_is_named(config: SandboxConfig, tmp_path: Path) -> None:
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "AirQualityUCI.csv").write_bytes(b"half")
    with pytest.raises(ConfigError, match=r"The sandbox keeps .* which is not the UCI file"):
        uci.load(replace(config, var=tmp_path))


def _csv(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("AirQualityUCI.csv")

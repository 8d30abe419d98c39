"""The UCI archive's one file that matters here: `/static/public/360/air+quality.zip`.

The real file is served when it is at hand: the one that is named, else the one kept under
`var/uci`, else a download that is tried once at start. Otherwise a simulated station answers
in the same format, and says so in the header `X-Data-Origin: SIMULATED`. The zip is packed
here with a fixed time, so that the same data are the same bytes on every request and start;
while an injection stands they are others, in the same format, and so another payload.
"""

import io
import queue
import threading
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import requests
from fastapi import APIRouter, Request, Response

from include.errors import ConfigError, writable
from include.sandbox.config import SandboxConfig
from include.sandbox.injection import Injection, decimals, is_touched, of_field, sent
from include.sandbox.standing import SIMULATED

MEMBER = "AirQualityUCI.csv"
HEADER = b"Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);"
TIME = "%d/%m/%Y %H.%M.%S"
MISSING = "-200"  # or -200,0
SETTLED = b"""The real file could not be had when the sandbox first started, so the station is simulated from
then on: real and simulated hours must not mix in one warehouse. To try again, delete var/ and start anew.
"""


@dataclass(frozen=True)
class AirQuality:
    """The station's file: the zip's bytes, and whether a simulation wrote it."""

    zipped: bytes
    is_simulated: bool


def read_csv(content: bytes) -> bytes:
    """Return the station's CSV from the bytes of the CSV itself or of a zip that holds it.

    Raises
    ------
    ValueError
        It is neither; the message says what is wrong.
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        try:
            content = zipfile.ZipFile(io.BytesIO(content)).read(MEMBER)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"the zip holds no readable {MEMBER}") from error
    if not content.startswith(HEADER):
        raise ValueError(f"its first line does not start with {HEADER.decode()}")
    return content


def pack(csv: bytes) -> bytes:
    """Zip the CSV so that the same CSV always gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo(MEMBER, date_time=(2005, 4, 4, 14, 0, 0))
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, csv)
    return buffer.getvalue()


def load(config: SandboxConfig) -> AirQuality:
    """Find the station's file, real if possible: by the config's `uci_file`, `var` and `uci_url`, in this order.

    Raises
    ------
    ConfigError
        The named file is missing or not the station's, or nothing can be kept. A retry brings the same.
    """
    kept = config.var / "uci" / MEMBER
    settled = kept.with_name("SIMULATED")
    if config.uci_file:
        csv = _read_file(config.uci_file, "UCI_AIR_QUALITY_FILE names")
    elif kept.exists():
        csv = _read_file(kept, "The sandbox keeps")
    elif config.uci_url and not settled.exists() and (arrived := download(config.uci_url, config.download_s)):
        _keep(kept, csv := arrived)
    else:
        from include.sandbox.station import simulate  # numpy is only loaded where it is needed

        _keep(settled, SETTLED)
        return AirQuality(pack(simulate()), is_simulated=True)
    return AirQuality(pack(csv), is_simulated=False)


def download(url: str, seconds: float) -> bytes | None:
    """Return the station's CSV from the archive's zip, or None if it did not come whole in time.

    The limit holds for everything, name resolution and a slow server included; what comes later is thrown away.
    """
    arrived: queue.Queue[bytes | None] = queue.Queue()

    def fetch() -> None:
        try:
            response = requests.get(url, timeout=seconds)
            response.raise_for_status()
            arrived.put(read_csv(response.content))
        except (requests.RequestException, ValueError):
            arrived.put(None)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        return arrived.get(timeout=seconds)
    except queue.Empty:
        return None


@lru_cache(maxsize=4)
def injected(data: AirQuality, injections: tuple[Injection, ...]) -> bytes:
    """Return the zip as injections change its columns; every other cell keeps its bytes."""
    if not injections:
        return data.zipped
    head, *lines = read_csv(data.zipped).decode("ascii").split("\r\n")
    rows = [line.split(";") for line in lines]
    times = [datetime.strptime(f"{row[0]} {row[1]}", TIME).replace(tzinfo=UTC) if row[0] else None for row in rows]
    for place, name in enumerate(head.split(";")):
        if own := of_field(injections, name):
            written = max(len(_decimals(row[place])) for row in rows if len(row) > place)
            for row, at in zip(rows, times, strict=True):
                if at is not None:
                    row[place] = _changed(row[place], at, own, written)
    return pack("\r\n".join([head, *(";".join(row) for row in rows)]).encode("ascii"))


def _changed(text: str, at: datetime, own: tuple[Injection, ...], written: int) -> str:
    """Return what stands in a cell of a column that writes up to so many decimals."""
    if not text or text.startswith(MISSING) or not is_touched(at, own):
        return text
    value = sent(float(text.replace(",", ".")), at, own, written)
    return MISSING if value is None else f"{value:.{decimals(written, at, own)}f}".replace(".", ",")


def _decimals(text: str) -> str:
    return "" if text.startswith(MISSING) else text.partition(",")[2]


def router(data: AirQuality) -> APIRouter:
    """Return the archive's route, serving `data`."""
    api = APIRouter()

    @api.get("/static/public/360/air+quality.zip")
    def air_quality(request: Request) -> Response:
        zipped = injected(data, request.state.injections)
        return Response(zipped, headers=SIMULATED if data.is_simulated else None, media_type="application/zip")

    return api


def _read_file(path: Path, who: str) -> bytes:
    try:
        return read_csv(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{who} {path}, which cannot be read ({error.strerror}): mend or remove it.") from error
    except ValueError as error:
        raise ConfigError(f"{who} {path}, which is not the UCI file ({error}): mend or remove it.") from error


def _keep(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    part = path.with_suffix(".part")
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)

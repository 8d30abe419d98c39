"""The injections that stand, in ``var/sandbox/injections.json``: the sandbox reads it at every request.

So they survive restarts. While one stands, whatever its service sends is marked as SIMULATED, whether or not the answer
holds a changed row: a mark too many is harmless, and one too few would let invented values pass as measured.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigError, writable
from include.sandbox.injection import Injection, service_of

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

SIMULATED = {"X-Data-Origin": "SIMULATED"}
FILE = "injections.json"


def read(folder: Path) -> tuple[Injection, ...]:
    """Return the injections that stand, in the order in which they were made.

    Raises
    ------
    ConfigError
        The file is not what `replace` writes. A retry brings the same.
    """
    file = folder / FILE
    try:
        return tuple(Injection.from_dict(fields) for fields in json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): mend it, or delete it to end every injection") from error


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Let one process at a time read, change and write what stands; a second one waits."""
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("w")
    with opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def replace(folder: Path, injections: Sequence[Injection]) -> None:
    """Let these injections stand and no others; nobody ever sees half a file."""
    file, text = folder / FILE, json.dumps([each.to_dict() for each in injections], indent=2, ensure_ascii=False)
    part = file.with_suffix(".part")
    with writable(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(file)


def install(app: FastAPI, folder: Path) -> None:
    """Give every request the injections of its service, as ``request.state.injections``, and mark its answer.

    Both are of one reading: an injection that is taken back meanwhile has still changed this answer. A file that cannot
    be read is an answer 503, for nobody knows what should be sent.
    """
    from fastapi.responses import JSONResponse

    @app.middleware("http")
    async def inject(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        service = service_of(request.url.path)
        try:
            standing = read(folder) if service else ()
        except ConfigError as error:
            return JSONResponse({"message": str(error)}, 503)
        request.state.injections = tuple(each for each in standing if each.service == service)
        answer = await go_on(request)
        if request.state.injections:
            answer.headers.update(SIMULATED)
        return answer

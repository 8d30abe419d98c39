"""Ask servers over HTTP how they are; no function raises for a server that is away."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, build_opener

from include.health.service import service
from include.settings import settings

SECONDS = 2
_DIRECT = build_opener(ProxyHandler({}))  # our own ports are never behind the company's proxy


def content(url: str, seconds: float = 3, certificate: Path | None = None, also: int | None = None) -> bytes | None:
    """Return what a GET of `url` is answered with, or None without a success, or the status `also`, within `seconds`.

    Where our own service speaks HTTPS, it has to have the `certificate` that it was given; for whom that was made does
    not matter on this machine.
    """
    try:
        opener = _DIRECT if certificate is None else _trusting(certificate)
        with opener.open(url, timeout=seconds) as response:
            return bytes(response.read())
    except HTTPError as error:
        return bytes(error.read()) if error.code == also else None
    except (OSError, HTTPException, ValueError):
        return None


def ask_service(names: list[str]) -> dict[str, Any]:
    """Return how the prediction service is, see `include.health.service`; each instance may take SECONDS."""
    urls = settings().predictions_urls
    with ThreadPoolExecutor(len(urls)) as pool:
        return service(dict(zip(urls, pool.map(_ask, urls), strict=True)), names)


def _ask(url: str) -> tuple[bytes | None, bytes | None]:
    certificate = settings().predictions_certificate
    ready = content(f"{url}/readyz", SECONDS, certificate, also=503)  # with which it says that its log is full
    return ready, content(f"{url}/metrics", SECONDS, certificate) if ready else None


def _trusting(certificate: Path) -> OpenerDirector:
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return build_opener(ProxyHandler({}), HTTPSHandler(context=context))

"""A real Chromium, headless, and what it tells: console, requests, accessibility."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from selenium import webdriver

AXE = Path(__file__).with_name("axe.min.js")  # axe-core 4.14.1, Mozilla Public License 2.0, unchanged
SERIOUS = ("serious", "critical")


def programs() -> tuple[str, str] | None:
    """Return Chromium and its driver; None where either is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def chromium(*arguments: str) -> Iterator[webdriver.Chrome]:
    """Start a browser that asks nobody else, and end it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    found = programs()
    assert found, "no Chromium with its driver is found: apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location, driver = found
    for argument in (
        *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000"),
        *("--disable-background-networking", "--no-first-run", "--disable-component-update"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        *arguments,
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def served(app: Any, port: int) -> Iterator[str]:
    """Serve an app on a port of this machine; give its address."""
    import uvicorn

    options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Return what the console holds since the last call: errors, warnings, what a policy refused."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def hosts(browser: webdriver.Chrome) -> set[str]:
    """Return whom the browser has asked since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return {urlsplit(url).netloc for url in urls if urlsplit(url).scheme.startswith("http")}


def violations(browser: webdriver.Chrome, *rules: str) -> list[str]:
    """Return what axe-core finds serious or critical on the page that is open, by all its rules or those named."""
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    run = "const done = arguments[1]; axe.run(document, arguments[0]).then(told => done(told.violations))"
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in browser.execute_async_script(run, options)
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]

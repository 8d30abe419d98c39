"""The page in a real Chromium: signed in, by clicks, in the light and in the dark, with the keyboard alone."""

from collections.abc import Iterator

import pytest
import requests
from fastapi import FastAPI
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from starlette.responses import HTMLResponse

from tests.page.browser import chromium, complaints, hosts, served, violations
from tests.page.conftest import AWAY
from tests.page.story import CONTENT, HOURS, RUN

FAULTY = f"""<!doctype html><html><title>x</title><script>alert(1)</script>
<p style="color:#999;background:#aaa">hardly to be read</p><img src="{AWAY}/x.png"></html>"""
DARK = "return matchMedia('(prefers-color-scheme: dark)').matches"
PAPER = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def address(app: FastAPI, free_ports) -> Iterator[str]:
    policy = {"Content-Security-Policy": "script-src 'none'"}
    app.add_api_route("/faulty", lambda: HTMLResponse(FAULTY, headers=policy), response_model=None)
    with served(app, free_ports()) as address:
        yield address


@pytest.fixture(scope="module")
def everywhere(story) -> list[str]:
    """Every kind of page."""
    run = f"run?dag_id={RUN.dag_id}&run_id={RUN.run_id.replace('+', '%2B')}"
    numbers = [f"decision/{story.promoted}", f"prediction/{story.prediction}", f"prediction/{story.served}"]
    payloads = [f"payload/{story.payload}", f"payload/{story.gone}"]
    lists = [
        "",
        "pipeline/readings",
        "reports",
        "scorecard",
        "runbooks",
        "runbooks/failure",
        "guide/quarantine",
        "nothing",
    ]
    return [*lists, "nothing", *numbers, *payloads, run, "model/readings/2", "docs/quality/readings/index.html"]


@pytest.fixture(scope="module")
def chrome(address: str) -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(chrome: Chrome, address: str) -> Chrome:
    """A browser that is signed in, in the light, and has told everything it had to tell."""
    chrome.get(f"{address}/ciclo/theme.js")
    chrome.execute_script("localStorage.clear()")
    chrome.delete_all_cookies()
    chrome.add_cookie({"name": "session", "value": "ana"})
    prefer(chrome, "light")
    complaints(chrome)
    hosts(chrome)
    return chrome


def prefer(browser: Chrome, scheme: str) -> None:
    """Let the system prefer light or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def is_dark(browser: Chrome) -> bool:
    red, green, blue = (int(one) for one in browser.execute_script(PAPER)[4:-1].split(",")[:3])
    return red + green + blue < 200


def test_without_a_session_nothing_is_shown(browser: Chrome, address: str) -> None:
    browser.delete_all_cookies()
    browser.get(f"{address}/ciclo/pipeline/readings")
    assert "/api/v2/auth/login?next=%2Fciclo%2Fpipeline%2Freadings" in browser.current_url
    assert "readings" not in browser.page_source.lower()


def test_from_a_card_to_the_bytes_of_a_payload_in_clicks(browser: Chrome, address: str, story) -> None:
    browser.get(f"{address}/ciclo/")
    assert f"rows\n{HOURS}" in browser.find_element(By.CSS_SELECTOR, "article").text
    browser.find_element(By.LINK_TEXT, "readings").click()
    browser.find_element(By.LINK_TEXT, str(story.prediction)).click()
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith(f"Prediction {story.prediction}")
    browser.find_element(By.LINK_TEXT, f"Payload {story.payload}").click()
    assert browser.find_element(By.TAG_NAME, "pre").text == CONTENT.decode().rstrip("\n")
    file = browser.find_element(By.LINK_TEXT, "Download the bytes").get_attribute("href")
    assert requests.get(file, cookies={"session": "ana"}, timeout=10).content == CONTENT


def test_no_page_complains_and_none_asks_another_host(browser: Chrome, address: str, everywhere: list[str]) -> None:
    for path in everywhere:
        browser.get(f"{address}/ciclo/{path}")
        told = [line for line in complaints(browser) if "404" not in line]
        assert told == [], path
        assert hosts(browser) == {address.removeprefix("http://")}, path


def test_a_page_with_faults_is_complained_about(browser: Chrome, address: str) -> None:
    browser.get(f"{address}/faulty")
    assert len(complaints(browser)) >= 2
    assert AWAY.removeprefix("http://") in hosts(browser)
    assert {line.partition(":")[0] for line in violations(browser)} >= {"color-contrast", "image-alt", "html-has-lang"}


def test_no_page_shuts_anybody_out(browser: Chrome, address: str, everywhere: list[str]) -> None:
    for path in everywhere:
        prefer(browser, "light")
        browser.get(f"{address}/ciclo/{path}")
        browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert violations(browser) == [], path
        if path.partition("/")[0] in ("", "pipeline", "decision", "payload"):  # between them they have every colour
            prefer(browser, "dark")
            assert violations(browser, "color-contrast") == [], f"{path}, dark"


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_its_window(browser: Chrome, address: str, everywhere: list[str], width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        widths = {}
        for path in everywhere:
            browser.get(f"{address}/ciclo/{path}")
            widths[path] = browser.execute_script("return document.documentElement.scrollWidth")
        assert {path: wide for path, wide in widths.items() if wide > width} == {}
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_follows_the_system_and_before_it_what_airflow_is_set_to(browser: Chrome, address: str) -> None:
    seen = {}
    for system in ("light", "dark"):
        prefer(browser, system)
        for chosen in (None, "light", "dark"):
            browser.execute_script("chosen = arguments[0]; localStorage.clear()", chosen)
            if chosen:
                browser.execute_script("localStorage.setItem('theme', arguments[0])", chosen)
            browser.get(f"{address}/ciclo/")
            seen[system, chosen] = is_dark(browser)
    assert seen == {
        **{("light", None): False, ("light", "light"): False, ("light", "dark"): True},
        **{("dark", None): True, ("dark", "light"): False, ("dark", "dark"): True},
    }
    assert complaints(browser) == []


def test_the_keyboard_alone_goes_everywhere_in_order(browser: Chrome, address: str) -> None:
    browser.get(f"{address}/ciclo/")
    stops = []
    for _ in range(10):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        stop = browser.switch_to.active_element
        stops.append(stop.text or stop.get_attribute("id"))
    assert stops == [
        *("Skip to the content", "Ciclo", "Pipelines", "Reports", "Scorecard", "Runbooks", "Airflow", "MLflow"),
        *("search", "Find"),
    ]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    browser.find_element(By.CLASS_NAME, "skip").send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "readings"


def test_it_works_without_scripts(browser: Chrome, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"{address}/ciclo/pipeline/readings")
        assert "Why is version 1 live?" in browser.find_element(By.TAG_NAME, "main").text
        assert browser.find_element(By.CSS_SELECTOR, "svg.timeline").size["width"] > 300
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

"""The explorer and Neo4j Browser, opened in Chromium, a query run in each."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.settings import Settings
from app.stack.secrets import secret
from tests.conftest import installed
from tests.journeys.conftest import Client

pytestmark = pytest.mark.skipif(not installed("chromium"), reason="chromium is not installed")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


def test_explorer_answers(chromium: Any, stack: Client, small: Settings, tmp_path_factory: Any) -> None:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    failures: list[str] = []
    page.on("requestfailed", lambda request: failures.append(request.url))
    page.goto(f"{stack.url}/explorer#token={stack.token}")
    page.wait_for_selector(".graphiql-execute-button")
    page.click(".graphiql-execute-button")
    page.wait_for_selector(".result-window :text('healthScore')", timeout=15_000)
    page.screenshot(path=str(small.home / "explorer.png"))
    assert "errors" not in page.inner_text(".result-window")
    assert "token" not in page.url
    assert failures == []


def test_explorer_asks_for_a_token_and_keeps_none(chromium: Any, stack: Client) -> None:
    page = chromium.new_page()
    page.goto(f"{stack.url}/explorer")
    page.fill("input[type=password]", stack.token)
    page.click("button:text('Open')")
    page.wait_for_selector(".graphiql-execute-button")
    kept = "JSON.stringify([Object.entries(sessionStorage), Object.entries(localStorage), document.cookie, location.href])"
    assert stack.token not in page.evaluate(kept)


def test_a_script_of_anybody_else_does_not_run(chromium: Any, stack: Client) -> None:
    """The pages' policy lets no inline script run."""
    page = chromium.new_page()
    page.goto(f"{stack.url}/explorer")
    ran = """() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);
      return window.ran === 1 }"""
    assert page.evaluate(ran) is False
    page.goto(f"{stack.url}/docs")
    page.wait_for_selector(".swagger-ui .opblock", timeout=15_000)


def test_neo4j_browser_answers(chromium: Any, stack: Client, small: Settings) -> None:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"http://{small.host}:{small.browser_port}/browser/")
    page.wait_for_selector("input[data-testid=password]", timeout=30_000)
    page.fill("input[data-testid=boltaddress]", f"{small.host}:{small.bolt_port}")
    page.fill("input[data-testid=username]", "neo4j")
    page.fill("input[data-testid=password]", secret(small.home, "neo4j"))
    page.click("[data-testid=connect]")
    page.wait_for_selector(":text('You are connected as user')", timeout=30_000)
    page.wait_for_timeout(2000)  # Browser reads the server's metadata before it takes a query
    page.click(".monaco-editor")
    page.keyboard.type("MATCH (f:WindFarm)-[:contains]->(t:Turbine) RETURN f, t")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("svg .node", timeout=20_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=str(small.home / "browser.png"))
    frame = page.inner_text("article >> nth=0")
    assert "ERROR" not in frame
    assert "Turbine (6)" in frame

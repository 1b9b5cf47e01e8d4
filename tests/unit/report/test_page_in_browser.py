"""The report's page in a real browser without a network: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from .pages import HOSTILE, explained, hostile_explanation, rendered, run

ROOT = Path(__file__).resolve().parents[3]
INSTALL = "pip install --no-deps --target .browser -r requirements-browser.txt, and a chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
# At the end, so that nothing in it stands for what is measured.
sys.path.append(str(ROOT / ".browser"))
sync_api = pytest.importorskip("playwright.sync_api", reason=INSTALL)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=INSTALL)

VISIBLE_ROWS = "[...document.querySelectorAll('.heat tbody tr')].filter(r => !r.hidden)"
FIRST = f"{VISIBLE_ROWS}.map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    sides = [[run(f"{side}{each}", hostile=True) for each in range(3)] for side in "ab"]
    explanations = explained("net00", 200, 90), hostile_explanation()
    text = rendered(*sides[0], baseline=tuple(sides[1]), explanations=explanations)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, file):
    """A function that opens the page; whatever it asks for or complains of is an error."""
    contexts, unwanted = [], []

    def open_page(**options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: unwanted.append(message.text))
        page.on("pageerror", lambda error: unwanted.append(str(error)))
        page.on("dialog", lambda dialog: unwanted.append("a dialog"))
        page.on(
            "request",
            lambda request: request.url == file.as_uri() or unwanted.append(request.url),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert unwanted == []


def test_sorting_switching_filtering_and_a_click_work_without_any_request(opened):
    page = opened()
    assert page.locator("h1").inner_text() == "Ship Fast"
    assert page.evaluate(FIRST)[1:] == ["net00", "net01"]
    # The first click sorts upwards, the second downwards.
    fast = page.locator(".heat thead button").nth(2)
    fast.click()
    fast.click()
    assert page.evaluate(FIRST)[1:] == ["net01", "net00"]
    assert page.locator(".heat th[aria-sort=descending]").count() == 1
    page.click("label[for=unit-times]")
    shown = page.locator(".heat button[data-c] span:visible").first
    assert shown.get_attribute("class").startswith("b ")
    page.fill("#filter", "NET01")
    assert page.evaluate(FIRST) == ["net01"]
    page.locator(".heat tr:not([hidden]) button[data-c]").nth(1).click()
    dialog = page.locator("dialog[open]")
    assert dialog.locator("h2").inner_text() == "net01 \u2014 Fast"
    assert dialog.locator("svg").count() == 2
    assert dialog.locator("details table").count() == 2
    few = "too few samples: 300 of 662"
    assert few in dialog.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_a_cell_opens_by_the_keyboard_and_has_a_tooltip(opened):
    page = opened()
    button = page.locator(".heat tr:nth-child(2) button[data-c]").nth(1)
    button.focus()
    assert "net00, Fast" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1


def test_without_javascript_everything_but_the_samples_is_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("svg.plot").count() > 5
    assert not page.locator("#filter").is_visible()
    page.click("label[for=unit-times]")
    assert page.locator(".heat button .b").nth(1).is_visible()
    assert not page.locator(".heat button .a").nth(1).is_visible()


def test_a_hostile_name_is_text(opened):
    page = opened()
    names = page.evaluate(FIRST)
    assert any(name.startswith(HOSTILE[:25]) for name in names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=INSTALL)
    # axe itself is put into the page from outside, so the policy is switched off for it.
    page = opened(color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found = [axe.Axe().run(page)]
    page.locator(".heat button[data-c]").nth(1).click()
    found.append(axe.Axe().run(page))
    serious = [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for each in found
        for violation in each.response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_phone_needs_no_sideways_scrolling_of_the_page(opened):
    page = opened(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

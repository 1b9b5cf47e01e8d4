"""The page of a history, and that of a table, in a real browser without a network."""

from __future__ import annotations

import pytest

from deploybench.report import history_page
from deploybench.report.formats import TABLES
from deploybench.report.tables import Section, Table, View

from .pages import HOSTILE
from .test_history_page import trend
from .test_page_in_browser import INSTALL, browser, opened, pytestmark

__all__ = ["browser", "opened", "pytestmark"]
TABLE = Table.of(
    [["Model", "PyTorch", "Note"], *([f"net{n}", "4.00*", HOSTILE] for n in range(30))],
    words=frozenset({"Note"}),
    title=HOSTILE,
    notes=(HOSTILE,),
    sections=(Section("why:", (HOSTILE,)),),
)


@pytest.fixture(params=["history", "table"])
def file(request, tmp_path):
    trends = [trend(HOSTILE, slower_at=20), trend("other"), trend("third", runs=1)]
    pages = {"history": lambda: history_page.render(trends)}
    pages["table"] = lambda: TABLES["html"](TABLE, View())
    path = tmp_path / f"{request.param}.html"
    path.write_text(pages[request.param](), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_for_nothing_complains_of_nothing_and_axe_finds_nothing_serious(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=INSTALL)
    assert opened().locator("h1").count() == 1
    # axe itself is put into the page from outside, so the policy is switched off for it.
    page = opened(color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    serious = [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for violation in axe.Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_phone_needs_no_sideways_scrolling_of_the_page(opened):
    page = opened(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

#!/usr/bin/env python3
"""Makes the pictures of the docs: the report's pages in Chromium, with the network off.

    .venv/bin/python validation/report_pictures.py change-1 change-2 --baseline main-1 main-2
    .venv/bin/python validation/report_pictures.py --history .benchmarks

It needs what requirements-browser.txt lists, in .browser (make setup-all), and a Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import overview
from deploybench.cli import history
from deploybench.records import store
from deploybench.report import history_page, page

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 200_000
DESK = {"viewport": {"width": 1180, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}}
PAPER = {"viewport": {"width": 1000, "height": 1414}}


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium."""
    sys.path.append(str(ROOT / ".browser"))
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


def open_report(opened: Any, report: Path, scheme: str = "light", **options: Any) -> Any:
    """The report in a window of its own."""
    options |= {"offline": True, "color_scheme": scheme, "reduced_motion": "reduce"}
    window = opened.new_context(**options).new_page()
    window.goto(report.as_uri())
    return window


def save(name: str, picture: bytes) -> None:
    """Write a picture with at most 256 colours, so that it stays small."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    path = PICTURES / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB, {image.width} x {image.height}")
    if size > MOST_BYTES:
        sys.exit(f"{path} has more than {MOST_BYTES} bytes")


def take_all(opened: Any, report: Path) -> None:
    """Every picture."""
    window = open_report(opened, report, **DESK)
    save("report-answer", window.screenshot())
    window.locator(".heat button[data-c]").nth(2).click()
    save("report-cell", window.screenshot())
    window = open_report(opened, report, "dark", **DESK)
    window.click("label[for=unit-times]")
    # Without the header, which would cover what is below it.
    window.evaluate("document.querySelector('header').remove()")
    window.evaluate("document.querySelector('#map').scrollIntoView()")
    save("report-dark", window.screenshot())
    window.evaluate("document.querySelector('#gate, #costs').scrollIntoView()")
    save("report-baseline", window.screenshot())
    window = open_report(opened, report, **DESK)
    window.evaluate("document.querySelector('header').remove()")
    window.evaluate("document.querySelector('#costs').scrollIntoView()")
    save("report-costs", window.screenshot())
    save("report-phone", open_report(opened, report, **PHONE).screenshot())
    window = open_report(opened, report, **PAPER)
    window.emulate_media(media="print")
    save("report-print", window.screenshot())


def main() -> None:
    """Make the page of the given runs, or of a history, and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="*", help="saved runs")
    parser.add_argument("--baseline", nargs="+", default=(), help="saved runs")
    parser.add_argument("--history", metavar="FOLDER", help="a folder of saved runs, instead")
    arguments = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        report = Path(folder) / "report.html"
        if arguments.history:
            text = history_page.render(history.found(Path(arguments.history)))
        else:
            sides = store.load_sides((arguments.run, arguments.baseline))
            text = page.render(overview.of(*sides))
        report.write_text(text, encoding="utf-8")
        if arguments.history:
            save("history", open_report(opened, report, **DESK).screenshot())
        else:
            take_all(opened, report)


if __name__ == "__main__":
    main()

"""What is wrong with how a command ended, for the fuzz of the readers; empty if nothing is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

CODES = (0, 1, 2, 3, 4, 5)
NO_FIGURE = re.compile(r"(?<![\w.+-])[-+]?(nan|inf|infinity)(?![\w.])", re.IGNORECASE)
BELOW_ZERO = re.compile(r"(?:^|;)-\d")
FORMULA = re.compile(r"\s*[=+@\"]|\s*-.")
PIPE = re.compile(r"(?<!\\)\|")


def of_ending(code: int | None, out: str, err: str) -> str:
    """Tracebacks, warnings, bugs, and lines that a terminal does not just print."""
    if code not in CODES:
        return f"exit {code}: {err.strip()}"
    if "Traceback" in err or "warning" in err.lower():
        return f"on the terminal: {err.strip()[:300]}"
    if code == 2 and (out or len(err.splitlines()) != 1):
        return f"not refused in one line: {err.strip()[:300]!r}"
    if not all(each.isprintable() or each in "\n\t" for each in out + err):
        return f"unprintable: {(out + err)[:300]!r}"
    return ""


def of_report(words: Sequence[str], out: str, folder: Path) -> str:
    """A table of figures, or the gate's report in one of its formats."""
    form = words[-1].removeprefix("--format=").removeprefix("--")
    if form == "json":
        try:
            json.loads(out, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return "not JSON"
        return ""
    if form == "junit":
        try:
            ElementTree.fromstring(out.encode())
        except ElementTree.ParseError as error:
            return f"not XML: {error}"
        return ""
    if form == "markdown" and (wrong := _of_markdown(out)):
        return wrong
    if form == "csv" and (wrong := _of_csv(out)):
        return wrong
    if not out:
        return "nothing printed"
    # A model or a column may be called nan, and a name may have spaces.
    fields = [line.partition("  " if form != "csv" else ";")[2] for line in out.splitlines()[1:]]
    return "a figure that is none" if any(map(NO_FIGURE.search, fields)) else ""


def _of_markdown(out: str) -> str:
    rows = [line for line in out.splitlines() if line.startswith("|")]
    if any(len(PIPE.findall(row)) != 8 for row in rows):
        return "a row of the Markdown table is torn"
    return "HTML in Markdown" if any("<" in row for row in rows) else ""


def _of_csv(out: str) -> str:
    rows = [line.split(";") for line in out.removesuffix("\n").split("\n")]
    if len({len(row) for row in rows}) != 1:
        return "the rows of the CSV differ in length"
    if any(FORMULA.match(field) for row in rows for field in row):
        return "a formula in the CSV"
    return "a figure below 0" if any(BELOW_ZERO.search(";".join(row[1:])) for row in rows) else ""


def of_image(words: Sequence[str], out: str, folder: Path) -> str:
    """A file of finite float32 numbers, of the size of the article's input."""
    import numpy as np

    pixels = np.fromfile(folder / "out.dat", "<f4")
    if len(pixels) != 3 * 224 * 224:
        return f"{len(pixels)} numbers"
    return "" if np.isfinite(pixels).all() else "pixels that are not finite"


def of_inference(words: Sequence[str], out: str, folder: Path) -> str:
    """Lines of a label and a percentage, which do not rise and do not exceed 100 in sum."""
    found = [re.fullmatch(r"\S.* (\d+\.\d+)%", line) for line in out.splitlines()]
    shares = [float(each[1]) for each in found if each]
    if len(shares) != len(found) or not shares:
        return f"not labels with percentages: {out[:200]!r}"
    if shares != sorted(shares, reverse=True) or not math.fsum(shares) <= 100.05:
        return f"percentages {shares}"
    return ""

"""The gate's report as JUnit XML, for CI. Imports no torch."""

from __future__ import annotations

from xml.etree import ElementTree

from ..analysis.regression import MISSING, NOT_COMPARABLE, SLOWER, Report
from ..records.record import FAILED, WRONG
from .tables import View

FAILURES = (SLOWER, MISSING, WRONG, FAILED, NOT_COMPARABLE)


def gate_report(report: Report, everything: bool = True, view: View | None = None) -> str:
    """A test case for each cell, whatever `everything` is; verdicts in FAILURES fail."""
    failures = [cell for cell in report.cells if cell.verdict in FAILURES]
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="deploybench.gate",
        tests=str(len(report.cells)),
        failures=str(len(failures)),
    )
    for cell in report.cells:
        names = {"classname": _printable(cell.column), "name": _printable(cell.model)}
        case = ElementTree.SubElement(suite, "testcase", names)
        effect = [str(cell.effect)] if cell.effect is not None else []
        words = " ".join(filter(None, (cell.verdict, *effect, cell.note)))
        if cell.verdict in FAILURES:
            ElementTree.SubElement(case, "failure", message=_printable(words))
        else:
            ElementTree.SubElement(case, "system-out").text = _printable(words)
    ElementTree.indent(root)
    # Not as "unicode", whose declaration names the encoding of the terminal.
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _printable(words: str) -> str:
    # XML does not allow control characters, not even escaped.
    return "".join(character if character.isprintable() else " " for character in words)

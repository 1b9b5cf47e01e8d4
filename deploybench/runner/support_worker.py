"""Checks one model through several backends and prints each finding as a line of JSON.

support.py starts it, so a crash of a library ends only this process.
"""

from __future__ import annotations

import argparse
import json

from .. import settings
from ..errors import BackendUnavailable, first_line
from ..models import Model, references, weights
from ..processes import own_stdout
from ..tasks.agreement import UNDECIDED
from .prepared_model import Plan
from .support import FAILS, NO_EXPORT, SKIPPED, Finding
from .workbench import Workbench


def examine(bench: Workbench, model: Model, name: str) -> Finding:
    """Check `model` through the backend `name`."""
    try:
        backend = bench.backend(name)
    except BackendUnavailable as error:
        return Finding(SKIPPED, str(error))
    try:
        prepared = bench.prepared(model)
    except Exception as error:  # a model that cannot be measured is a finding too
        return Finding(FAILS, first_line(error))
    try:
        with prepared.lent_to(name):
            prepared.artifact(backend)
    except Exception as error:  # any error of an exporter is a finding
        return Finding(NO_EXPORT, first_line(error))
    try:
        with bench.case(model, name) as case:
            agreement = case.check_before_save(1)
            if agreement is None or agreement.agrees:
                agreement = case.check(1)
    except Exception as error:  # as above
        return Finding(FAILS, first_line(error))
    outcome = FAILS if agreement.verdict == UNDECIDED else agreement.verdict
    return Finding(outcome, agreement.reason)


def main() -> None:
    """Examine all backends and write the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("backends")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    lines = own_stdout()
    model = references.find(given.model)
    chosen = settings.resolve(given.device, given.threads, dtype=given.dtype)
    # Closed last, because the reader takes the end of the lines for the end of this process.
    with lines, Workbench(Plan(chosen, weights.parse("random"))) as bench:
        for name in given.backends.split(","):
            finding = examine(bench, model, name)
            said = {"backend": name, "outcome": finding.outcome, "reason": finding.reason}
            lines.write(json.dumps(said) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()

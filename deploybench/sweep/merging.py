"""Joins the saved runs of a sweep's jobs: one run for each condition and repeat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..files import replacing
from ..machine.cpus import numbers
from ..machine.known import known
from ..records import reading
from ..records.fields import parsed
from .job import Job


def merge(jobs: Sequence[Job], folder: Path, into: Path) -> list[Path]:
    """Write the joined runs of the jobs that have a saved run in `folder`; their paths.

    Runs of one condition that differ in their fingerprints, because something of the machine was
    changed between them, become several. Raises FileError.
    """
    into.mkdir(parents=True, exist_ok=True)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for job in jobs:
        path = folder / f"{job.key}.json"
        with suppress(FileError):  # it is measured again
            reading.read(path)
            document = parsed(path.read_text(encoding="utf-8"))
            groups.setdefault((job.place, _condition(document)), []).append(document)
    names = _names(list(groups))
    written = []
    for group, documents in groups.items():
        path = into / f"{names[group]}.json"
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(joined(documents), indent=1), encoding="utf-8")
        written.append(path)
    return written


def joined(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One saved run with all cases of several, which have the same condition."""
    first = documents[0]
    own = [document["deploybench"] for document in documents]
    identities = sorted(each.get("run") or "" for each in own)
    identity = hashlib.sha256("".join(identities).encode())
    peaks = [each["peak"] for each in own if each.get("peak")]
    notices = [json.dumps(notice) for each in own for notice in each.get("notices") or ()]
    about: dict[str, Any] = {
        **own[0],
        "run": identity.hexdigest()[:32],
        "failed": [failed for each in own for failed in each.get("failed") or ()],
        "notices": [json.loads(notice) for notice in dict.fromkeys(notices)],
        "peak": {name: max(peak[name] for peak in peaks) for name in peaks[0]} if peaks else None,
    }
    if all(each.get("options") for each in own):
        models = ",".join(each["options"]["models"] for each in own).split(",")
        about["options"] = {**own[0]["options"], "models": ",".join(dict.fromkeys(models))}
    if all(each.get("noise") for each in own):
        about["noise"] = {"before": own[0]["noise"]["before"], "after": own[-1]["noise"]["after"]}
    return {
        **first,
        "machine_info": _of_all(documents),
        "deploybench": about,
        "benchmarks": [case for document in documents for case in document["benchmarks"]],
    }


def _fingerprint(document: Mapping[str, Any]) -> dict[str, Any]:
    fingerprint: dict[str, Any] = document["machine_info"]["deploybench"]["fingerprint"]
    return fingerprint


def _condition(document: Mapping[str, Any]) -> str:
    """What must be equal for two jobs to be joined: slots may have other CPUs, but as many."""
    fingerprint = _fingerprint(document)
    mask = fingerprint.get("cpu_mask")
    if mask is not None:
        fingerprint = {**fingerprint, "cpu_mask": _count(mask)}
    return json.dumps(fingerprint, sort_keys=True)


def _count(mask: Any) -> Any:
    """How many CPUs a mask has; itself if it is none."""
    return known(lambda: len(numbers(mask)), mask)


def _of_all(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The machine of the first, with a mask that holds for the jobs of all slots."""
    machine: dict[str, Any] = documents[0]["machine_info"]
    masks = dict.fromkeys(_fingerprint(document).get("cpu_mask") for document in documents)
    if len(masks) == 1:
        return machine
    fingerprint = _fingerprint(documents[0])
    fingerprint = {
        **fingerprint,
        "cpu_mask": f"{_count(fingerprint['cpu_mask'])} CPUs a slot",
    }
    return {**machine, "deploybench": {**machine["deploybench"], "fingerprint": fingerprint}}


def _names(groups: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A file name for each group; those of one place are told apart by a letter."""
    names = {}
    for group in groups:
        alike = [other for other in groups if other[0] == group[0]]
        letter = f"-{alike.index(group) + 1}" if len(alike) > 1 else ""
        plain = "".join(each if each.isalnum() or each in "=.,-" else "_" for each in group[0])
        names[group] = plain.replace(",_", "-").replace("_", "-") + letter
    return names

"""Every option of pytest-benchmark: it works on timed tests, or is refused before any is timed.

pytest-benchmark's own loop does not time them (replay.py), so some of its options mean nothing
here. Each must be named here: an option of a newer version is not silently ignored.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from ..errors import UsageError
from .other_plugins import given, words_given

Check = Callable[[pytest.Config], str]
"""Why the value of an option cannot be used, and what to do; empty if it can be."""

ONE_CALL = "a round of a timed test is one call; leave it out"
PROFILE = "the calls of timed tests are not made here; use python -m cProfile -m pytest"


def _means_nothing(option: str, reason: str) -> Check:
    return lambda config: "" if given(config, option) is None else reason


def _max_time(config: pytest.Config) -> str:
    seconds = float(config.getoption("benchmark_max_time"))
    return "" if 0 <= seconds < math.inf else "it must be a number of seconds of at least 0"


def _warmup(config: pytest.Config) -> str:
    off = given(config, "--benchmark-warmup") is False
    return "timed tests are always warmed up; leave it out" if off else ""


def _disable(config: pytest.Config) -> str:
    off = config.getoption("benchmark_disable") and not config.getoption("benchmark_enable")
    return "timed tests would not be saved; leave it out" if off else ""


def _json(config: pytest.Config) -> str:
    path = config.getoption("benchmark_json")
    if not isinstance(path, Path):  # older versions open the file at once
        return ""
    if path.is_dir():
        return f"{path} is a folder; give the name of a file"
    if not path.parent.is_dir():
        return f"{path.parent} does not exist; create this folder first"
    target = path if path.exists() else path.parent
    return "" if os.access(target, os.W_OK) else f"{target} cannot be written; give another place"


def _storage(config: pytest.Config) -> str:
    storage = str(config.getoption("benchmark_storage"))
    if "://" in storage and not storage.startswith("file://"):
        return f"{storage} is no folder, and runs of timed tests are files; give a folder"
    return ""


def _histogram(config: pytest.Config) -> str:
    missing = [name for name in ("pygal", "pygaljs") if importlib.util.find_spec(name) is None]
    if not config.getoption("benchmark_histogram") or not missing:
        return ""
    return f"it needs {' and '.join(missing)}: pip install {' '.join(missing)}"


def _compare_fail(config: pytest.Config) -> str:
    if not config.getoption("benchmark_compare_fail"):
        return ""
    if sum(word.startswith("--benchmark-compare-fail") for word in words_given(config)) > 1:
        return "only the last one would count; give it once, with all expressions"
    session: Any = config
    if not session._benchmarksession.compared_mapping:
        return "there is no run to compare with; give --benchmark-compare, and save a run first"
    return ""


CHECKS: dict[str, Check | None] = {
    "--benchmark-min-time": _means_nothing("--benchmark-min-time", ONE_CALL),
    "--benchmark-max-time": _max_time,
    "--benchmark-min-rounds": None,
    "--benchmark-precision": None,
    "--benchmark-confidence": None,
    "--benchmark-timer": _means_nothing(
        "--benchmark-timer", "each backend has a synchronised clock of its own; leave it out"
    ),
    "--benchmark-calibration-precision": _means_nothing(
        "--benchmark-calibration-precision", ONE_CALL
    ),
    "--benchmark-warmup": _warmup,
    "--benchmark-warmup-iterations": _means_nothing(
        "--benchmark-warmup-iterations", "timed tests are warmed up by five calls; leave it out"
    ),
    # It is always disabled while a timed test is measured.
    "--benchmark-disable-gc": None,
    "--benchmark-skip": None,
    "--benchmark-disable": _disable,
    "--benchmark-enable": None,
    "--benchmark-only": None,
    "--benchmark-save": None,
    "--benchmark-autosave": None,
    "--benchmark-save-data": None,
    "--benchmark-json": _json,
    "--benchmark-compare": None,
    "--benchmark-compare-fail": _compare_fail,
    "--benchmark-cprofile": _means_nothing("--benchmark-cprofile", PROFILE),
    "--benchmark-cprofile-loops": _means_nothing("--benchmark-cprofile-loops", PROFILE),
    "--benchmark-cprofile-top": _means_nothing("--benchmark-cprofile-top", PROFILE),
    "--benchmark-cprofile-dump": _means_nothing("--benchmark-cprofile-dump", PROFILE),
    "--benchmark-storage": _storage,
    "--benchmark-netrc": _means_nothing(
        "--benchmark-netrc", "runs of timed tests are files; leave it out"
    ),
    "--benchmark-verbose": None,
    "--benchmark-quiet": None,
    "--benchmark-sort": None,
    "--benchmark-group-by": None,
    "--benchmark-columns": None,
    "--benchmark-name": None,
    "--benchmark-time-unit": None,
    "--benchmark-histogram": _histogram,
}
"""By option, the check of its value; None where every value that pytest-benchmark takes works."""


def require_usable(config: pytest.Config, timed: Collection[str]) -> None:
    """Raise UsageError for the first option that cannot be used on the timed tests, by node id."""
    for option, check in CHECKS.items():
        if check is not None and (reason := check(config)):
            raise UsageError(f"{option} cannot be used on timed tests: {reason}")
    session: Any = config
    compared = session._benchmarksession.compared_mapping
    if config.getoption("benchmark_compare_fail") and not any(
        set(timed) & cases.keys() for cases in compared.values()
    ):
        raise UsageError(
            "--benchmark-compare-fail cannot be used on timed tests: the run to compare with has "
            "none of the cases of this one; compare with another"
        )


def require_loadable(config: pytest.Config) -> None:
    """Raise UsageError for values with which pytest-benchmark would end in a traceback."""
    for option in ("--benchmark-histogram", "--benchmark-cprofile-dump"):
        if len(config.getoption(option.lstrip("-").replace("-", "_")) or ()) > 1:
            raise UsageError(f"{option} is given twice; give it once")
    storage = str(config.getoption("benchmark_storage"))
    kind = storage.partition("://")[0] if "://" in storage else "file"
    if kind.startswith("elasticsearch+"):
        if importlib.util.find_spec("elasticsearch") is None:
            raise UsageError(
                f"--benchmark-storage {storage} needs elasticsearch: pip install elasticsearch"
            )
    elif kind != "file":
        raise UsageError(f"--benchmark-storage {storage} is no folder; give the name of one")
    compared = config.getoption("benchmark_compare")
    if isinstance(compared, str) and len(Path(compared).parts) > 2 and not _is_file(compared):
        raise UsageError(
            f"--benchmark-compare {compared} is no file; give a file, or the number of a saved run"
        )
    if reason := _json(config):
        raise UsageError(f"--benchmark-json cannot be used: {reason}")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:
        return False


def require_grouping(group_by: str, params: Collection[str]) -> None:
    """Raise UsageError for a value of --benchmark-group-by that would end the run.

    params: the parameters that any test of the session has.
    """
    for word in group_by.split(","):
        kind, _, name = word.partition(":")
        if word not in ("group", "name", "func", "fullname", "fullfunc", "param"):
            if kind != "param":
                raise UsageError(
                    f"--benchmark-group-by '{word}' is unknown; allowed: group, name, func, "
                    "fullname, fullfunc, param, param:NAME"
                )
            if name not in params:
                raise UsageError(
                    f"--benchmark-group-by '{word}': no test has a parameter '{name}'; those "
                    f"there are: {', '.join(sorted(params)) or 'none'}"
                )

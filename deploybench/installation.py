"""Where this copy of deploybench is: a checkout, or a package that pip installed.

In a checkout, cpp/ is beside the package and what it needs is pinned in requirements files. In an
installed package, which may be read-only, cpp/ is within it and what it needs are extras.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from .errors import BackendUnavailable

PACKAGE = Path(__file__).resolve().parent
PACKAGED_SOURCES = PACKAGE / "cpp"
CACHE_VARIABLE = "DEPLOYBENCH_CACHE"
REQUIREMENTS = {"cpp": "requirements.txt", "": "requirements.txt"}
"""The requirements file of each extra in a checkout; of the others, REQUIREMENTS_OF_OTHERS."""
REQUIREMENTS_OF_OTHERS = "requirements-successors.txt"


def is_checkout() -> bool:
    """Whether this is a checkout."""
    return not PACKAGED_SOURCES.is_dir()


def cpp_sources() -> Path:
    """The folder of the C++ sources."""
    return PACKAGE.parent / "cpp" if is_checkout() else PACKAGED_SOURCES


def install_line(extra: str = "") -> str:
    """The command that installs the packages of an extra; without one, those always needed."""
    if is_checkout():
        return f"pip install -r {REQUIREMENTS.get(extra, REQUIREMENTS_OF_OTHERS)}"
    return f"pip install 'deploybench[{extra}]'" if extra else "pip install deploybench"


def require_packages(names: Iterable[str], extra: str) -> None:
    """Raise BackendUnavailable for the first package, of an extra, that is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise BackendUnavailable(f"{name} is not installed: {install_line(extra)}")


def rebuild_line() -> str:
    """The command after which the C++ program is built again."""
    return "make clean setup" if is_checkout() else f"rm -r {cache_folder()}"


def cache_folder() -> Path:
    """The user's folder for what is built: DEPLOYBENCH_CACHE, else by the XDG rules.

    Raises BackendUnavailable if the user has no home.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).absolute()
    # The XDG specification tells to ignore a relative path.
    if (base := Path(os.environ.get("XDG_CACHE_HOME", ""))).is_absolute():
        return base / "deploybench"
    try:
        return Path.home() / ".cache" / "deploybench"
    except RuntimeError:
        raise BackendUnavailable(
            f"there is no home folder to build the C++ program in: set {CACHE_VARIABLE} to a folder"
        ) from None

"""torchvision's operators for the C++ program, such as nms; see cpp/torchvision_operators.cpp."""

from __future__ import annotations

from ..errors import BackendUnavailable
from . import build
from .tools import package_folder

TARGET = "torchvision_operators"
LIBRARY = f"lib{TARGET}.so"


def ensure_operators() -> None:
    """Build the library that the program opens for a file with operators of torchvision.

    Raises BackendUnavailable, with what would fix it, if it cannot be built.
    """
    folder = package_folder("torchvision", "")
    linked = next((path for path in sorted(folder.glob("_C*.so"))), None)
    if linked is None:
        raise BackendUnavailable(f"{folder} has no library of operators: install it from a wheel")
    library = build.ensure_runner().with_name(LIBRARY)
    # All that it contains is the path of the other one.
    if not (library.exists() and f"{linked}\0".encode() in library.read_bytes()):
        build.build_target(TARGET, TORCHVISION_LIBRARY=linked)

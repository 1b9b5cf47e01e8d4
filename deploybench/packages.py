"""Which versions of other people's packages are installed. Imports no torch."""

from __future__ import annotations

from importlib import metadata

# Those that backends run on, whether a run has such a backend or not: one may hold any of them and
# still be pooled with others of the same machine.
OPTIONAL = ("onnxscript", "onnxruntime", "openvino")


def installed_version(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

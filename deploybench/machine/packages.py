"""The versions of installed packages. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from .known import known


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed, or does not tell."""
    try:
        return metadata.version(package)
    except Exception:  # such as a distribution that was removed in part
        # The distribution may have another name: onnxruntime-gpu provides onnxruntime.
        return known(lambda: metadata.version(metadata.packages_distributions()[package][0]), None)


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The version of each package, by name."""
    return {package: installed_version(package) for package in packages}

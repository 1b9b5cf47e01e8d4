"""The versions of installed packages. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # The distribution may have another name: onnxruntime-gpu provides onnxruntime.
        distributions = metadata.packages_distributions().get(package)
        return metadata.version(distributions[0]) if distributions else None


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The version of each package, by name."""
    return {package: installed_version(package) for package in packages}

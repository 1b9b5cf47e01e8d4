"""The requirements of OpenVINO, both in Python and in the C++ process."""

from __future__ import annotations

from ..errors import BackendUnavailable
from ..formats.onnx import require_packages
from ..settings import Settings


def require_openvino(settings: Settings) -> None:
    """Raise BackendUnavailable if OpenVINO is not installed, or if the run is on a GPU."""
    require_packages(["openvino"], "openvino")
    if settings.on_cuda:
        raise BackendUnavailable("OpenVINO runs only on CPUs here: run with --device cpu")

"""What OpenVINO needs, in Python and in the C++ process alike."""

from __future__ import annotations

from ..errors import BackendUnavailable
from ..formats.onnx import require_packages
from ..settings import Settings


def require_openvino(settings: Settings) -> None:
    """Raise BackendUnavailable where OpenVINO is not installed, or the run is on a GPU."""
    require_packages(["openvino"])
    if settings.on_cuda:
        raise BackendUnavailable("OpenVINO is run on CPUs here: run with --device cpu")

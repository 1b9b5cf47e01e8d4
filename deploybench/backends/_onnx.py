"""Exporting to ONNX, for every backend that deploys it."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BackendUnavailable
from ._inductor import one_kind_of_error

if TYPE_CHECKING:
    from torch import Tensor, nn

ARTIFACT = "onnx"
# What torch.onnx.export needs.
EXPORTER = ("onnx", "onnxscript")
INSTALL = "pip install -r requirements-successors.txt"


def require_packages(names: Iterable[str]) -> None:
    """Raise BackendUnavailable for the first package that is not installed."""
    from importlib.util import find_spec

    for name in names:
        if find_spec(name) is None:
            raise BackendUnavailable(f"{name} is not installed: {INSTALL}")


def save_onnx(module: nn.Module, example: Tensor, path: Path) -> None:
    """Export `module` for inputs like `example` to one file at `path`."""
    import torch

    with (
        one_kind_of_error(),
        torch.no_grad(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module, (example,), dynamo=True, verbose=False)
        assert program is not None
        program.save(str(path), external_data=False)

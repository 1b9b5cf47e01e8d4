"""ONNX files, as torch.onnx writes them."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..batches import Batch
from ..errors import BackendUnavailable
from ..installation import install_line
from .base import ExportedFormat
from .inductor import one_kind_of_error

if TYPE_CHECKING:
    from torch import nn


def require_packages(names: Iterable[str], extra: str = "onnx") -> None:
    """Raise BackendUnavailable for the first package, of an extra, that is not installed."""
    from importlib.util import find_spec

    for name in names:
        if find_spec(name) is None:
            raise BackendUnavailable(f"{name} is not installed: {install_line(extra)}")


class OnnxFile(ExportedFormat):
    """One ONNX file including the weights, for inputs of the example's shape."""

    suffix = "onnx"
    any_batch_size = False
    positional_outputs = True
    packages = ("onnx", "onnxscript")

    def require(self) -> None:
        """Require the packages that torch.onnx.export needs."""
        require_packages(self.packages)

    def export(self, module: nn.Module, example: Batch, path: Path) -> None:
        """Export `module` for inputs like `example` to `path`."""
        import torch

        with (
            one_kind_of_error(),
            torch.no_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(module, example, dynamo=True, verbose=False)
            assert program is not None
            try:
                program.save(str(path), external_data=False)
            except OSError:
                path.unlink(missing_ok=True)  # a part of it would take the room of others
                raise

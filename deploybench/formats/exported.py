"""Exported programs: the graph of torch.export and its weights, in PyTorch's own archive."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..errors import FileError, first_line
from .base import ExportedFormat, write
from .inductor import one_kind_of_error

if TYPE_CHECKING:
    import torch
    from torch import nn


class ExportedProgramFile(ExportedFormat):
    """torch.export.export, saved with torch.export.save, for inputs of the example's shape."""

    suffix = "exported.pt2"
    any_batch_size = False

    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any]:
        """Export `module` for inputs like `example`, save it to `path` and return it."""
        import torch

        with one_kind_of_error(), torch.no_grad():
            program = torch.export.export(module, example)
            save_program(program, path)
        return program.module()


def save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write the archive of `program` to `path`.

    To memory first: where torch's own writer finds no room for a file, it ends the process.
    """
    import torch

    archive = io.BytesIO()
    torch.export.save(program, archive)
    write(path, archive.getbuffer())


def load_program(path: Path) -> torch.export.ExportedProgram:
    """Load the archive at `path`, its weights onto the device that they were exported on.

    torch.export.load may unpickle parts of an archive, so load only one that this run has written.
    Raises FileError for a file that is missing, truncated or no archive.
    """
    import torch

    log = logging.getLogger(torch.export.__name__)
    was_disabled, log.disabled = log.disabled, True  # of a damaged file, it prints a traceback
    try:
        return torch.export.load(path)
    except Exception as error:
        raise FileError(
            f"{path} is not a complete archive of torch.export ({first_line(error)}); "
            "export it again"
        ) from error
    finally:
        log.disabled = was_disabled

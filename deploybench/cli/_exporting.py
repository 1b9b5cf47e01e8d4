"""Writes the files that models are exported to, for `deploybench export` and generate_ts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..batches import to_device
from ..files import replacing
from ..models import Model, preparation
from ..models.weights import apply

if TYPE_CHECKING:
    from ..formats.base import ExportedFormat
    from ..models.weights import WeightSource


def write_files(
    models: Iterable[Model],
    source: WeightSource,
    device: str,
    form: ExportedFormat,
    folder: Path,
    suffix: str,
    batch_size: int = 1,
) -> None:
    """Write FOLDER/MODEL.SUFFIX for each model, and print its name and size.

    device: as torch calls it; that of the weights and of the example input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        module = model.built()
        applied = apply(module, model, source)
        if applied and applied.taken:
            print(applied.taken, file=sys.stderr)
        example = to_device(model.arguments(module, batch_size), device)
        path = folder / f"{model.file_stem}.{suffix}"
        # Under its own name, since some formats want their suffix, or keep the name in the file.
        with TemporaryDirectory(prefix=".", dir=folder) as aside, replacing(path) as unfinished:
            written = Path(aside) / path.name
            form.export(module.to(device), example, written)
            if path.suffix == ".ts":
                preparation.write_into(written, model)
            written.replace(unfinished)
        form.forget()
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")

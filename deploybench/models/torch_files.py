"""Loads the files of torch.save, without running what they name and without torch's warnings."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any


def load(path: Path) -> Any:
    """The contents of a file of torch.save, on the CPU; raises whatever torch raises.

    torch warns about files that are unusual or damaged, and advises on its own options, which the
    user of a command cannot set.
    """
    import torch

    # As an open file: torch takes some names' endings for the kind of the file.
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)

"""Too little room for an exported file: an error of that one export, and nothing left of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from deploybench.formats import onnx, torchscript
from tests.unit.tiny import MODEL

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder, module = Path(sys.argv[1]), MODEL.built().eval()
forms = [torchscript.ScriptedFile, torchscript.TracedFile, torchscript.FrozenFile]
for form in forms:
    path = folder / f"tiny.{form.suffix}"
    try:
        form().export(module, (torch.ones(1, 3, 32, 32),), path)
    except OSError as error:
        print(error.strerror, error.filename == str(path), path.exists())
"""


def test_a_torchscript_file_without_room_is_an_error_and_leaves_nothing(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines() == ["File too large True False"] * 3, ran.stderr
    assert ran.returncode == 0


@pytest.mark.sweep
def test_a_compiled_package_is_loaded_from_the_file_that_was_written(tmp_path):
    import torch

    from deploybench.formats.aotinductor import AotInductorPackage
    from tests.unit.tiny import MODEL

    module, batch = MODEL.built().eval(), (torch.ones(1, 3, 32, 32),)
    form = AotInductorPackage()
    form.require()
    form.export(module, batch, tmp_path / "tiny.aoti.pt2")
    form.close()
    loaded = torch._inductor.aoti_load_package(str(tmp_path / "tiny.aoti.pt2"))
    torch.testing.assert_close(loaded(*batch), module(*batch))

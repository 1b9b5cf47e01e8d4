"""The installed wheel in repositories of other people: each gets its table, gate and page."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploybench.models import images

from .installed import Installed

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("read_only")]

QUICK = ("--device=cpu", "--threads=1", "--benchmark-max-time=0.01", "--benchmark-min-rounds=2")
RIGHT = {"exact", "equal within rounding"}
LRASPP, SSDLITE = "lraspp_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large"


@dataclass(frozen=True)
class Repository:
    """A folder without anything of this checkout, in which the installed command is called."""

    folder: Path
    installed: Installed

    def command(self, *words: str, code: int = 0) -> str:
        """What the command prints; it must end with `code` and without a traceback."""
        ran = self.installed.command(self.folder, *words)
        said = f"{ran.stdout}\n{ran.stderr}"
        assert ran.returncode == code, said
        assert "Traceback" not in said, said
        return ran.stdout

    def bench(self, *words: str, code: int = 0) -> str:
        return self.command("bench", *QUICK, *words, code=code)

    def table(self, run: str) -> dict[str, dict[str, str]]:
        """The cells of the saved runs of that name, by model and column."""
        lines = self.command("table", run, "--csv").splitlines()
        return {row.pop("Model"): row for row in csv.DictReader(lines, delimiter=";")}

    def gate(self) -> str:
        """The last line of the first run's comparison with the second.

        The exit code says that one run a side decides nothing.
        """
        printed = self.command("gate", "--baseline=0001", "--candidate=0002", code=5)
        return printed.splitlines()[-1]

    def support(self, *words: str) -> dict[tuple[str, str], str]:
        """The outcomes by model and backend; the page must show each model's in a row."""
        self.command("support", "--device=cpu", *words)
        found = json.loads((self.folder / "support.json").read_text())["cases"]
        page = (self.folder / "support.md").read_text()
        for model in {case["model"] for case in found}:
            assert f"\n| {model} | " in page
        return {(case["model"], case["backend"]): case["outcome"] for case in found}


@pytest.fixture
def repository(tmp_path, installed) -> Repository:
    return Repository(tmp_path, installed)


def are_figures(row: dict[str, str]) -> bool:
    """Whether each cell is a time; `*` marks a disturbed one."""
    return all(float(cell.rstrip("*")) > 0 for cell in row.values())


def test_a_transformer_and_a_cnn_of_timm(repository):
    pytest.importorskip("timm")
    names = {"timm:test_vit", "timm:test_resnet"}
    chosen = (f"--models={','.join(names)}", "--backends=eager,scripted,cpp")
    for _ in range(2):
        repository.bench(*chosen)
    table = repository.table("run")
    assert set(table) == names
    assert all(len(row) == 3 and are_figures(row) for row in table.values())
    assert repository.gate().startswith("6 cells: ")
    outcomes = repository.support(*chosen)
    assert len(outcomes) == 6
    assert set(outcomes.values()) <= RIGHT


def test_one_table_compares_the_resnets_of_two_zoos(repository):
    pytest.importorskip("timm")
    names = ["timm:resnet18", "resnet18"]
    sizes = repository.command("models", f"--models={','.join(names)}", "--sizes")
    assert [line.split() for line in sizes.splitlines()] == [[n, "3x224x224"] for n in names]
    repository.bench(f"--models={','.join(names)}", "--backends=eager,scripted")
    table = repository.table("run")
    assert set(table) == set(names)
    assert all(len(row) == 2 and are_figures(row) for row in table.values())
    names = repository.command("infer", names[0], str(images.PHOTOGRAPH), "--device=cpu")
    assert len(names.splitlines()) == 5


def test_segmentation_and_boxes_of_torchvision(repository):
    (repository.folder / "pyproject.toml").write_text(
        "[tool.deploybench]\n"
        f'models = ["torchvision.models.segmentation.{LRASPP}",\n'
        f'    "torchvision.models.detection.{SSDLITE}"]\n'
        'backends = "eager,scripted,cpp"\n'
    )
    for _ in range(2):
        repository.bench()
    table = repository.table("run")
    assert are_figures(table[LRASPP]) and are_figures(table[SSDLITE])
    assert repository.gate().startswith("6 cells: ")
    families = "torchvision.models"
    models = f"--models={families}.segmentation:{LRASPP},{families}.detection:{SSDLITE}"
    outcomes = repository.support(models, "--backends=eager,scripted,cpp")
    assert len(outcomes) == 6
    assert set(outcomes.values()) <= RIGHT


NET = '''
import torch
from torch import nn

from deploybench import Model


class Net(nn.Module):
    """An image of one channel, 64x64, and a vector of five, to four numbers."""

    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.vector = nn.Linear(5, 8)
        self.head = nn.Linear(16, 4)

    def forward(self, image, vector):
        seen = self.image(image).mean(dim=(2, 3))
        return self.head(torch.cat([seen, self.vector(vector)], dim=1))


def inputs(count, seed):
    numbers = torch.Generator().manual_seed(seed)
    image = torch.randn(count, 1, 64, 64, generator=numbers)
    return {"vector": torch.randn(count, 5, generator=numbers), "image": image}


NET = Model("two-inputs", build=Net, inputs=inputs, task="embedding")
'''


def test_a_module_of_its_own_with_two_inputs_through_eight_backends(repository):
    (repository.folder / "net.py").write_text(NET)
    backends = "eager,scripted,cpp,traced,frozen,optimized,frozen-cpp,onnxruntime"
    chosen = ("--models=net.py", f"--backends={backends}")
    for _ in range(2):
        repository.bench(*chosen)
    (row,) = repository.table("run").values()
    assert len(row) == 8
    assert are_figures(row)
    assert repository.gate().startswith("8 cells: ")
    outcomes = repository.support(*chosen)
    assert [model for model, _ in outcomes] == ["two-inputs"] * 8
    assert set(outcomes.values()) <= RIGHT
    for form in ("torchscript", "onnx"):
        repository.command("export", "net.py:NET", f"--format={form}", "--device=cpu")
    exported = {path.name for path in (repository.folder / "exported").iterdir()}
    assert exported == {"two-inputs.scripted.ts", "two-inputs.onnx"}

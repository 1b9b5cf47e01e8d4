"""Every command of the README, run as it stands in a checkout of its own.

The models are cut down to one by PYTEST_ADDOPTS, which the README's own options override. Commands
over all models only collect, and so does `make test`, which would otherwise run this test again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SHORT = "--models=resnet18 --benchmark-max-time=0.01"


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "source "))]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The tree as git would give it, with this interpreter's packages and the built program."""
    from deploybench.models import torchvision_zoo, weights
    from deploybench.native import build

    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # A virtual environment that is this one, complete in make's eyes.
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (folder / ".venv" / ".installed").touch()
    program = build.ensure_runner()
    (folder / "cpp" / "build").mkdir(exist_ok=True)
    for built in (program, program.with_name("built-from")):
        shutil.copy2(built, folder / "cpp" / "build" / built.name)
    (folder / "my_weights").mkdir()
    module = torchvision_zoo.build("resnet18")
    weights.apply(module, torchvision_zoo.model("resnet18"), weights.parse("random"), seed=7)
    torch.save(module.state_dict(), folder / "my_weights" / "resnet18.pth")
    return folder


def run(command: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    collect = " --collect-only" if command == "make test" or "--models all" in command else ""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment |= {
        "PYTEST_ADDOPTS": SHORT + collect,
        "PIP_NO_INDEX": "1",
        "TORCH_HOME": str(checkout / "torch_home"),
    }
    environment["PATH"] = f"{checkout / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_two_commands_come_first():
    assert commands()[:2] == ["make bench", "make test"]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_runs(checkout, command):
    ran = run(command, checkout)
    printed = ran.stdout + ran.stderr
    assert "Traceback" not in printed
    if "pretrained" in command and ran.returncode:
        # Without a network the weights cannot be had; then the way to get them is said.
        assert re.search(r"resnet18 could not be downloaded .* into the folder \S+", printed)
    else:
        assert ran.returncode == 0, printed


def test_make_bench_ends_with_the_table_and_where_its_csv_is(checkout):
    ran = run("make bench", checkout)
    *_, title, rule, row, _, last = ran.stdout.splitlines()
    assert title.split("  ")[0] == "Model"
    assert set(rule) == {"-"}
    assert row.startswith("resnet18 ")
    assert " - " not in row
    assert last == (
        "median milliseconds of a call (images per second where throughput was asked for); "
        "CSV: results/bench.csv; runs: results/bench-*.json"
    )
    assert (checkout / "results" / "bench.csv").read_text().startswith("Model;PyTorch;")


def test_a_make_bench_that_measures_nothing_leaves_the_results_before_it(checkout):
    results = checkout / "results"
    results.mkdir(exist_ok=True)
    before = {results / "bench.csv": "Model;PyTorch\n", results / "bench-1.json": "{}"}
    for path, text in before.items():
        path.write_text(text)
    ran = run("make bench ARGS=--models=resnet81", checkout)
    assert ran.returncode != 0
    assert "unknown model 'resnet81': did you mean 'resnet18'?" in ran.stdout + ran.stderr
    assert {path: path.read_text() for path in before} == before


def test_both_backends_print_the_same_five_lines(checkout):
    lines = [
        run(command, checkout).stdout
        for command in commands()
        if command.startswith("python tools/infer.py")
    ]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert len(lines[0].splitlines()) == 5
    assert all(re.fullmatch(r".+ \d+\.\d\d%", line) for line in lines[0].splitlines())

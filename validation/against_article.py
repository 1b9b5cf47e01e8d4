#!/usr/bin/env python3
"""Times the table of 31 x 3 cells in the article's way and with this suite, on this machine.

The article's way: for each model, a process that writes its TorchScript file; then one process for
each model and way (eager, scripted, C++), which imports torch if it is Python, builds or loads the
model and makes 10 warm-up calls and 100 timed calls. No answer is checked. This suite:
`pytest tests/perf`, which checks every answer before and during timing.

Run it on an idle machine after `make setup`; it takes about half an hour on two cores:

    .venv/bin/python validation/against_article.py

The C++ program is built before and counts for neither side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import options
from deploybench.models import torchvision_zoo
from deploybench.native.build import ensure_runner

ROOT = Path(__file__).resolve().parents[1]

# What a process of the article does: with weights=None, because not every machine can download
# them, and without torch.cuda.synchronize(), like the article.
EXPORT = """
import sys, warnings; warnings.simplefilter("ignore")
import torch, torchvision
module = torchvision.models.get_model(sys.argv[1], weights=None).eval()
torch.jit.script(module).save(sys.argv[2])
"""
CALLS = """
import sys, time, warnings; warnings.simplefilter("ignore")
import torch, torchvision
module = torchvision.models.get_model(sys.argv[1], weights=None).eval()
if sys.argv[2] == "scripted":
    module = torch.jit.script(module)
image = torch.rand(1, 3, 224, 224)
with torch.no_grad():
    for _ in range(10):
        module(image)
    start = time.perf_counter()
    for _ in range(100):
        module(image)
print((time.perf_counter() - start) / 100)
"""


def timed(command: list[str]) -> float:
    """The seconds that `command` takes; an exit code other than 0 ends the script."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def article_way(models: list[str], folder: Path) -> dict[str, float]:
    """The seconds of each step over all `models`."""
    runner = str(ensure_runner())
    seconds = dict.fromkeys(("export", "eager", "scripted", "C++"), 0.0)
    for model in models:
        file = str(folder / f"{model}.ts")
        seconds["export"] += timed([sys.executable, "-c", EXPORT, model, file])
        for way in ("eager", "scripted"):
            seconds[way] += timed([sys.executable, "-c", CALLS, model, way])
        seconds["C++"] += timed([runner, "bench", file, "--rounds", "100", "--warm-up", "10"])
        Path(file).unlink()
    return seconds


def suite_way(models: list[str], folder: Path) -> tuple[float, int, int]:
    """The seconds of `pytest tests/perf`, its number of cells, and the fewest calls of a cell."""
    saved = folder / "run.json"
    command = [sys.executable, "-m", "pytest", "tests/perf", "--device=cpu"]
    command += [f"--models={','.join(models)}", f"--benchmark-json={saved}", "--benchmark-quiet"]
    seconds = timed(command)
    cells = json.loads(saved.read_text())["benchmarks"]
    return seconds, len(cells), min(len(cell["stats"]["data"]) for cell in cells)


def main() -> None:
    """Run both ways and print their times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        default="article",
        metavar=options.MODELS.metavar,
        help=f"{options.MODELS.help} (default: article)",
    )
    models = torchvision_zoo.select(parser.parse_args().models)
    with tempfile.TemporaryDirectory() as folder:
        suite, cells, calls = suite_way(models, Path(folder))
        article = article_way(models, Path(folder))
    total = sum(article.values())
    steps = ", ".join(f"{step} {seconds:.0f}" for step, seconds in article.items())
    print(f"{len(models)} models x 3 ways")
    print(f"the article's way: {total:7.0f} s ({steps}), nothing checked")
    print(
        f"this suite:        {suite:7.0f} s, {cells} cells checked, at least {calls} calls a cell"
    )
    print(f"ratio:             {total / suite:7.2f}")


if __name__ == "__main__":
    main()

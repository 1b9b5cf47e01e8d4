"""The README and the pages of docs/: their commands run, their tables and links are right.

Every command of a block marked `sh` is run once, as it stands, in a checkout of its own. The models
are cut down to one by PYTEST_ADDOPTS, which a command's own options override. Commands over all
models only collect, and so does `make test`, which would otherwise run this test again.
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
INDEX = ROOT / "docs" / "index.md"
PAGES = [ROOT / "README.md", INDEX, *sorted(set((ROOT / "docs").glob("*.md")) - {INDEX})]
SHORT = "--models=resnet18 --benchmark-max-time=0.01 --benchmark-min-rounds=5"
# The one that stands for all of them where there is no time for the others, which take minutes.
QUICK = 'make bench ARGS="--models resnet18"'
# What another command runs too, several runs, what compares them, and large models.
SLOWEST = (
    "for run in ",
    "python tools/gate.py ",
    "make bench",
    "pytest tests/perf --benchmark-save=first",
    "python tools/merge_perf.py first ",
    "python tools/tab_perf.py first",
    "python -m deploybench backends --device cpu",
    "python -m deploybench sweep ",
    "python -m deploybench table sweep/",
    "pytest tests/correctness --models resnet18 --weights checkpoint",
    "python -m deploybench explain ",
    "python -m deploybench bench --models resnet18 --neighbours ",
    "python -m deploybench costs two.json",
)


def commands(*pages: Path) -> list[str]:
    """Each command of the blocks marked `sh`, once, in the order of the pages."""
    blocks = [
        block
        for page in pages
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    ]
    lines = [line.strip() for block in blocks for line in joined(block).splitlines()]
    found = [line for line in lines if line and not line.startswith(("#", "source "))]
    return list(dict.fromkeys(found))


def joined(block: str) -> str:
    """The block with each command in one line."""
    return re.sub(r"\\\n\s*", "", block)


def cases() -> list[object]:
    return [pytest.param(command, marks=marks(command)) for command in commands(*PAGES)]


def marks(command: str) -> tuple[pytest.MarkDecorator, ...]:
    if command == QUICK:
        return ()
    return (pytest.mark.sweep if command.startswith(SLOWEST) else pytest.mark.slow,)


class Checkout:
    """A copy of the tree to run commands in; each command is run once and its result kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ran: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        if command not in self._ran:
            self._ran[command] = self._run(command)
        return self._ran[command]

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        collect = " --collect-only" if command == "make test" or "--models all" in command else ""
        environment = {
            name: value
            for name, value in os.environ.items()
            if "MAKE" not in name and name != "ARGS"
        }
        environment |= {
            "PYTEST_ADDOPTS": SHORT + collect,
            "PIP_NO_INDEX": "1",
            "TORCH_HOME": str(self.folder / "torch_home"),
            # The copied files keep their times, so what was checked before is not checked again.
            "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache"),
        }
        environment["PATH"] = f"{self.folder / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
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
    torch.save({"model_ema": module.state_dict()}, folder / "checkpoint.pth")
    return Checkout(folder)


def test_the_two_commands_come_first():
    assert commands(ROOT / "README.md")[:2] == ["make bench", "make test"]


@pytest.mark.parametrize("command", cases())
def test_a_command_of_the_readme_and_the_docs_runs(checkout, command):
    ran = checkout.run(command)
    printed = ran.stdout + ran.stderr
    assert "Traceback" not in printed
    if "pretrained" in command and ran.returncode:
        # Without a network the weights cannot be had; then the way to get them is said.
        joined_lines = " ".join(printed.split())
        assert re.search(r"resnet18 could not be downloaded .* into the folder /", joined_lines)
    else:
        # What the gate finds of a few runs on a busy machine is a verdict, and no error.
        codes = (0,)
        if command.startswith("python tools/gate.py"):
            codes = (0, 1, 5)
        if " explain " in command:
            # The answer that it explains is different; in int8, random weights are not judged.
            codes = (0,) if "int8" in command else (1,)
        assert ran.returncode in codes, printed


def test_make_bench_ends_with_the_table_and_where_its_csv_is(checkout):
    ran = checkout.run(QUICK)
    *_, title, rule, row, _, last = ran.stdout.splitlines()
    assert title.split("  ")[0] == "Model"
    assert set(rule) == {"-"}
    assert row.startswith("resnet18 ")
    assert " - " not in row
    assert last == (
        "median latency in milliseconds (images per second with --metric throughput); "
        "CSV: results/bench.csv; runs: results/bench-*.json"
    )
    assert (checkout.folder / "results" / "bench.csv").read_text().startswith("Model;PyTorch;")


def test_a_make_bench_that_measures_nothing_leaves_the_results_before_it(checkout):
    results = checkout.folder / "results"
    results.mkdir(exist_ok=True)
    before = {results / "bench.csv": "Model;PyTorch\n", results / "bench-1.json": "{}"}
    for path, text in before.items():
        path.write_text(text)
    ran = checkout.run("make bench ARGS=--models=resnet81")
    assert ran.returncode != 0
    assert "unknown model 'resnet81': did you mean 'resnet18'?" in ran.stdout + ran.stderr
    assert {path: path.read_text() for path in before} == before


@pytest.mark.slow
def test_both_backends_print_the_same_five_lines(checkout):
    lines = [
        checkout.run(command).stdout
        for command in commands(*PAGES)
        if command.startswith("python tools/infer.py")
    ]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert len(lines[0].splitlines()) == 5
    assert all(re.fullmatch(r".+ \d+\.\d\d%", line) for line in lines[0].splitlines())


def test_the_readme_fits_on_130_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def table(page: Path, title: str) -> list[list[str]]:
    """The rows of the page's table whose first column is called `title`, as lists of cells."""
    lines = page.read_text().splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.startswith(f"| {title} |"))
    rows = []
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_table_of_options_has_every_option_that_pytest_lists():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    group = re.search(r"^deploybench:.*\n((?: .*\n|\n)+?)(?=^\S)", listed, re.M)
    assert group
    names = re.findall(r"^  (--[a-z0-9-]+)", group[1], re.M)
    documented = [row[0].strip("`") for row in table(ROOT / "docs" / "options.md", "Option")]
    assert sorted(documented) == sorted(names)


def test_the_table_of_options_has_their_defaults():
    from deploybench import options

    defaults = {row[0]: row[2] for row in table(ROOT / "docs" / "options.md", "Option")}
    for option in (*options.ALL, *options.OF_A_RUN):
        if option.default is not None:
            assert defaults[f"`--{option.name}`"] == f"`{option.default}`"
    for flag in options.FLAGS:
        assert re.fullmatch("off(;.*)?", defaults[f"`--{flag.replace('_', '-')}`"])


def test_the_table_of_backends_is_the_registry():
    from deploybench import backends

    documented = [row[:2] for row in table(ROOT / "docs" / "backends.md", "Backend")]
    assert documented == [
        [f"`{name}`", backend.title] for name, backend in backends.registry().items()
    ]


def links(page: Path) -> list[str]:
    """The targets of the page's links within the repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may name, as GitHub and the site make it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_relative_link_of_a_page_leads_somewhere(page):
    for target in links(page):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_file(), target
        assert linked.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_can_be_reached_from_the_index():
    reached, ahead = set(), [INDEX]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            ahead += [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
    assert set(PAGES) <= reached


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    python = ROOT / ".venv-docs" / "bin" / "python"
    if not python.exists():
        pytest.skip("the documentation's packages are missing; install them with: make docs")
    built = subprocess.run(
        [python, "-m", "sphinx", "--fail-on-warning", "-q", "-c", "docs", ".", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert {page.stem for page in PAGES} <= {page.stem for page in pages}
    # A link to another site is only followed by a reader; the rest is loaded by the browser.
    loaded = r"""<(?:script|img|iframe)[^>]*\ssrc="http|<link[^>]*\shref="http|@import|url\(http"""
    for page in [*pages, *tmp_path.rglob("*.css")]:
        assert not re.search(loaded, page.read_text()), page

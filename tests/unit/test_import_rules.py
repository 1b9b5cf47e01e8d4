"""What each folder of the package may import, and what must stay free of torch and pytest."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "deploybench"

# By folder, or module at the root: the folders and modules of the package that it may import,
# beside its own. "a.b" is that module alone.
MAY_IMPORT = {
    "errors": set(),
    "temporary": set(),
    "nested": set(),
    "batches": {"errors"},
    "files": {"errors"},
    "processes": {"errors", "machine"},
    "command": {"errors"},
    "installation": {"errors"},
    "settings": {"errors", "machine"},
    "options": {"errors", "settings", "machine", "models", "tasks", "backends"},
    "project": {"errors", "options", "models"},
    # machine.cpus must be the first to read what torch changes.
    "__init__": {"machine", "models", "runner.run", "tasks"},
    "models": {"errors", "batches", "nested", "tasks"},
    "tasks": {"errors", "nested"},
    "machine": {"errors"},
    "native": {
        *("errors", "files", "temporary", "processes", "settings", "installation", "machine"),
    },
    "formats": {"errors", "temporary", "batches", "installation", "machine", "native", "nested"},
    "backends": {
        *("errors", "settings", "processes", "batches", "nested", "installation", "temporary"),
        *("formats", "native", "machine"),
    },
    "timing": {"errors", "settings", "batches", "machine", "backends.session"},
    "runner": {
        *("errors", "settings", "options", "files", "temporary", "processes", "batches", "nested"),
        *(
            "__version__",
            "installation",
            "models",
            "tasks",
            "formats",
            "backends",
            "native",
            "timing",
            "machine",
            "records",
        ),
    },
    "records": {"errors", "files"},
    "analysis": {"errors", "settings", "records"},
    "sweep": {"errors", "files", "temporary", "processes", "machine", "records"},
    "report": {"errors", "records", "analysis"},
    "suite": {"models", "tasks", "runner"},
    "plugin": {
        *("errors", "settings", "options", "project", "files", "processes", "__version__"),
        *("models", "tasks", "backends", "timing", "machine", "runner", "records"),
    },
    "cli": {
        *("errors", "settings", "options", "files", "temporary", "batches", "nested"),
        *("command", "__version__"),
        *("installation", "processes"),
        *("models", "formats", "backends", "native", "machine", "runner"),
        *("records", "analysis", "report", "sweep"),
    },
    "__main__": {"cli"},
}

# By what is imported from elsewhere: who alone may.
ONLY_IN = {
    "pytest": {"plugin", "suite", "cli"},
    "_pytest": {"plugin"},
    "pytest_benchmark": {"plugin"},
    "xdist": {"plugin"},
    "argparse": {"command", "plugin", "cli"},
    "argcomplete": {"cli"},
    "rich_argparse": {"cli"},
    "rich": {"report"},
    "pynvml": {"machine"},
    "pandas": {"analysis"},
    "jinja2": {"report"},
    "ray": {"sweep"},
    "submitit": {"sweep"},
    "markupsafe": {"report"},
}

# What is not yet so: file and what it imports. Nothing is added here without a reason.
KNOWN = {
    # Names of saved runs mean what they mean to `pytest-benchmark compare`, by its own code; it is
    # imported only where a name is looked up.
    ("records/store.py", "pytest_benchmark"),
    # Programs of their own, which parse what their parent process gives them.
    ("runner/cold_start.py", "argparse"),
    ("runner/support_worker.py", "argparse"),
}

FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def home(file: Path) -> str:
    """The folder that a file belongs to; of a file at the root, its own name."""
    return file.parts[0] if len(file.parts) > 1 else file.stem


def imported(file: Path) -> Iterator[str]:
    """What a file imports anywhere in it: ours without the package's name, others' by theirs."""
    for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            package = list(file.parts[: len(file.parts) - node.level])
            path = [*package, *(node.module.split(".") if node.module else [])]
            if path:
                yield "." + ".".join(path)
            else:
                yield from (f".{alias.name}" for alias in node.names)


def violations(file: Path) -> set[tuple[str, str]]:
    """What a file imports against the rules, as KNOWN has it."""
    found = set()
    for name in imported(file):
        ours, top = name.removeprefix("."), name.removeprefix(".").split(".")[0]
        if name.startswith("."):
            allowed = MAY_IMPORT[home(file)] | {home(file)}
            if not {ours, top} & allowed:
                found.add((file.as_posix(), ours))
        elif top == "deploybench" or home(file) not in ONLY_IN.get(top, {home(file)}):
            found.add((file.as_posix(), top))
    return found


def test_every_folder_has_its_rule():
    assert {home(file) for file in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_a_folder_imports_what_it_may(name):
    found = set().union(*(violations(file) for file in FILES if home(file) == name))
    assert found <= KNOWN


def test_what_is_known_to_be_against_the_rules_is_so_still():
    assert set().union(*map(violations, FILES)) == KNOWN


def test_no_backend_knows_another():
    """What several need is in a file that begins with an underscore, or in formats/."""
    shared = {"backends.base", "backends.session"}
    for file in FILES:
        if home(file) == "backends" and not file.stem.startswith("_"):
            ours = {name[1:] for name in imported(file) if name.startswith(".backends.")}
            others = {name for name in ours - shared if not name.startswith("backends._")}
            assert not others, file


def test_nothing_lies_deeper_than_two_levels():
    assert {len(file.parts) for file in FILES} == {1, 2}


def modules(*folders: str) -> str:
    names = [".".join(file.with_suffix("").parts) for file in FILES if home(file) in folders]
    assert len(names) >= len(folders)
    return "; ".join(f"import deploybench.{name}" for name in names)


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        (modules("records", "analysis", "report"), ("torch", "pytest")),
        (modules("plugin", "suite"), ("torch",)),
        (modules("options", "project", "settings", "command"), ("torch", "pytest")),
        (modules("cli"), ("torch", "pytest", "pandas")),
        ("from deploybench.backends import registry; registry()", ("torch", "pytest")),
        (
            "from deploybench.models import torchvision_zoo as zoo; zoo.select('article'); "
            "zoo.select('resnet18,vgg11')",
            ("torch", "torchvision", "pytest"),
        ),
    ],
    ids=["records, analysis, report", "plugin, suite", "options", "cli", "backends", "models"],
)
def test_what_must_be_quick_to_import_is_without(program, absent):
    check = f"import sys; {program}; print([name for name in {absent} if name in sys.modules])"
    command = [sys.executable, "-c", check]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_the_type_checker_needs_no_package_of_an_extra():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (override,) = project["tool"]["mypy"]["overrides"]
    may_be_missing = {name.removesuffix(".*") for name in override["module"]}
    brought_by = packages_distributions()
    needed = set()
    for file in FILES:
        tops = {name.split(".")[0] for name in imported(file) if not name.startswith(".")}
        for top in tops - sys.stdlib_module_names:
            if not pinned & {name.lower() for name in brought_by.get(top, ())}:
                needed.add(top)
    needed -= {"deploybench", "markupsafe"}  # jinja2 requires markupsafe
    assert needed <= may_be_missing

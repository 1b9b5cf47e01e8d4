"""Fuzzes what reads files: images, labels, state dicts, saved runs, journals and CSV.

    python validation/fuzz_readers.py --cases 10000
    python validation/fuzz_readers.py --reader runs --seed 7 --keep findings

Each case is a real file, damaged in one to four places, and given to the tool that reads it, within
this process. A file may be refused, in one line and with exit code 2, or read. It is a finding if

- there is a traceback, a warning, or exit code 70, which stands for a bug;
- an error is not one line, or a line has escape codes or other characters that no terminal prints;
- a file was read, and a figure is NaN, infinite or below 0, or the output is not of its format.

The exit code is 1 if there is a finding. --keep FOLDER keeps the files of the findings.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import cli
from deploybench.cli import _parsers, _read_image, _tab_perf
from deploybench.command import run_command
from validation import fuzz_verdicts, mutations, seeds


@dataclass(frozen=True)
class Reader:
    """One kind of files.

    prepare: writes a damaged file into a folder and returns the command that reads it. judge: what
    is wrong with the output of a command that ended well, in words; empty if nothing is.
    """

    prepare: Callable[[Random, Path], Sequence[str]]
    judge: Callable[[Sequence[str], str, Path], str]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int | None
    out: str
    err: str


def run(words: Sequence[str], folder: Path) -> Ended:
    """Run a command or a tool in this process; what C libraries print counts as well."""
    out, err, raw = io.StringIO(), io.StringIO(), folder / "stderr"
    saved = os.dup(2)
    with raw.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _call(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        code = None
        err.write(f"Traceback: {type(error).__name__}: {error}")
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    return Ended(code, out.getvalue(), raw.read_text(errors="replace") + err.getvalue())


def _call(words: Sequence[str]) -> int:
    tools = {"read_image": _read_image, "tab_perf": _tab_perf}
    name, *rest = words
    if name not in tools:
        return cli.main(words)
    tool = tools[name]
    parser = _parsers.tool_parser(name, "", tool.EPILOG, tool.add_arguments)
    return run_command(tool.main, parser, parser.parse_args(rest))


def _run(random: Random, folder: Path) -> list[str]:
    path = folder / "run.json"
    path.write_bytes(mutations.of_json(random, seeds.run()))
    return _reading(random, path)


def _journal(random: Random, folder: Path) -> list[str]:
    journal = folder / "journal"
    shutil.rmtree(journal, ignore_errors=True)
    journal.mkdir()
    parts = seeds.journal()
    chosen = random.choice(sorted(parts))
    for name, content in parts.items():
        (journal / name).write_bytes(
            mutations.of_json(random, content) if name == chosen else seeds.as_bytes(content)
        )
    return _reading(random, journal)


def _reading(random: Random, path: Path) -> list[str]:
    """One of the commands that read saved runs and journals."""
    command = random.choice(["table", "speedup", "costs", "recommend", "floor", "gate"])
    if command == "gate":
        form = random.choice(["text", "json", "junit", "markdown"])
        sides = [str(seeds.BASELINE), str(path)]
        random.shuffle(sides)
        return [
            "gate",
            "--baseline",
            sides[0],
            "--candidate",
            sides[1],
            "--all",
            f"--format={form}",
        ]
    if command == "recommend":
        return [command, str(path)]
    form = random.choice([[], ["--csv"]])
    return [*(["table", "--floor"] if command == "floor" else [command]), str(path), *form]


def _csv(random: Random, folder: Path) -> list[str]:
    path = folder / "perf.csv"
    path.write_bytes(mutations.of_table(random, random.choice(seeds.tables())))
    return ["tab_perf", str(path)]


def _image(random: Random, folder: Path) -> list[str]:
    suffix, content = random.choice(seeds.images())
    path = folder / f"image{suffix}"
    damage = mutations.of_bytes
    if suffix == ".png":
        damage = mutations.one_of(mutations.of_bytes, mutations.of_png)
    path.write_bytes(damage(random, content))
    (folder / "out.dat").unlink(missing_ok=True)
    return ["read_image", str(path), str(folder / "out.dat")]


def _labels(random: Random, folder: Path) -> list[str]:
    path = folder / "labels.txt"
    damage = mutations.one_of(mutations.of_bytes, mutations.of_table)
    path.write_bytes(damage(random, seeds.labels()))
    return [*seeds.infer(), f"--labels={path}"]


def _state(random: Random, folder: Path) -> list[str]:
    suffix, content = seeds.state(random)
    path = folder / f"weights{suffix}"
    kinds = [lambda _, content: content, mutations.of_bytes]
    if suffix == ".safetensors":
        kinds.append(mutations.of_safetensors)
    elif content.startswith(b"PK"):
        kinds += [mutations.of_zip] * 2
    path.write_bytes(random.choice(kinds)(random, content))
    return [*seeds.infer(), f"--weights={path}"]


READERS = {
    "runs": Reader(_run, fuzz_verdicts.of_report),
    "journals": Reader(_journal, fuzz_verdicts.of_report),
    "csv": Reader(_csv, fuzz_verdicts.of_report),
    "images": Reader(_image, fuzz_verdicts.of_image),
    "labels": Reader(_labels, fuzz_verdicts.of_inference),
    "states": Reader(_state, fuzz_verdicts.of_inference),
}


def fuzz(
    name: str, cases: int, seed: int, keep: Path | None = None
) -> tuple[Counter[str], list[str]]:
    """Run `cases` cases of a reader: how many ended with each exit code, and the findings."""
    reader, codes, findings = READERS[name], Counter[str](), []
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(cases):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            words = reader.prepare(Random(f"{seed} {name} {number}"), folder)
            ended = run(words, folder)
            codes[str(ended.code)] += 1
            wrong = fuzz_verdicts.of_ending(ended.code, ended.out, ended.err)
            if not wrong and ended.code != 2:
                wrong = reader.judge(words, ended.out, folder)
            if wrong:
                findings.append(f"{name} {number}: {wrong} ({words[0]})")
                if keep is not None:
                    shutil.copytree(folder, keep / f"{name}-{number}", dirs_exist_ok=True)
            shutil.rmtree(folder)
    return codes, findings


def main() -> int:
    """Fuzz the readers that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="of each reader (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--reader", action="append", choices=READERS, help="default: all of them")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the files of the findings")
    given = parser.parse_args()
    total = 0
    for name in given.reader or READERS:
        begun = time.monotonic()
        codes, findings = fuzz(name, given.cases, given.seed, given.keep)
        for finding in findings:
            print(ascii(finding)[1:-1])
        listed = ", ".join(f"exit {code}: {count}" for code, count in sorted(codes.items()))
        seconds = time.monotonic() - begun
        print(f"{name}: {given.cases} cases in {seconds:.0f} s; {listed}; {len(findings)} findings")
        total += len(findings)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())

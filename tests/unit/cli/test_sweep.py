"""`deploybench sweep`: what is measured, what is not measured again, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from deploybench.cli import main, sweep
from deploybench.machine import topology
from deploybench.records import reading
from deploybench.sweep.job import Job

from ..saved_runs import document

ROOT = Path(__file__).resolve().parents[3]
BENCH = """
import json, os, sys, time
from pathlib import Path
from deploybench import processes
processes.end_with_parent()
given = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
if "no-such-option" in given or "device" in given:
    sys.exit(4)
model = given["models"].removeprefix("torchvision:")
if "MEASURED" in os.environ:
    Path(os.environ["MEASURED"], f"{model}-{given['dtype']}-{os.getpid()}").touch()
while model == os.environ.get("WAITS"):
    time.sleep(0.1)
if model in os.environ["FAILS"].split():
    sys.exit("ERROR: it fails")
run = json.loads(os.environ["RUN"].replace("net", model))
run["machine_info"]["deploybench"]["fingerprint"]["dtype"] = given["dtype"]
with open(given["benchmark-json"], "w") as file:
    json.dump(run, file)
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Something stands for bench in each job; models in the variable FAILS fail."""
    run = document({("net", "eager"): [0.01] * 5})
    run["machine_info"]["deploybench"]["format"] = 3
    run["deploybench"] = {"run": "1", "failed": [], "notices": []}
    (tmp_path / "bench.py").write_text(BENCH)
    monkeypatch.setenv("RUN", json.dumps(run))
    monkeypatch.setenv("FAILS", "")
    monkeypatch.setattr(sweep, "JOB", (sys.executable, str(tmp_path / "bench.py")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


TWO = ("--models=alexnet,vgg11", "--dtype=float32,bfloat16")


def test_a_grid_becomes_one_run_for_each_condition(bench, capsys):
    assert main(["sweep", *TWO]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("4 jobs, 0 of them done")
    assert "[4/4] vgg11 dtype=bfloat16, run 1" in printed
    for dtype in ("float32", "bfloat16"):
        run = reading.read(Path(f"sweep/runs/dtype={dtype}-run-1.json"))
        assert [case.model for case in run.cases] == ["alexnet", "vgg11"]
        assert f"sweep/runs/dtype={dtype}-run-1.json: 2 cases" in printed


def test_a_job_with_several_batch_sizes_is_one_run(bench, capsys, monkeypatch):
    run = json.loads(os.environ["RUN"])
    run["machine_info"]["deploybench"]["fingerprint"]["batch_size"] = "1,8"
    run["benchmarks"] *= 2
    run["benchmarks"] = [
        {**case, "extra_info": {**case["extra_info"], "batch_size": size}}
        for case, size in zip(run["benchmarks"], (1, 8), strict=True)
    ]
    monkeypatch.setenv("RUN", json.dumps(run))
    (bench / "grid.toml").write_text(
        "models = ['alexnet']\ndtype = 'float32'\nbatch-size = '1,8'\n"
    )
    assert main(["sweep", "grid.toml"]) == 0
    assert "sweep/runs/run-1.json: 2 cases" in capsys.readouterr().out


def test_what_is_measured_is_not_measured_again(bench, capsys, monkeypatch):
    monkeypatch.setenv("FAILS", "vgg11")
    assert main(["sweep", *TWO]) == 1
    printed = capsys.readouterr()
    assert "vgg11 dtype=float32, run 1  failed: exit code 1: ERROR: it fails" in printed.out
    assert "2 jobs failed" in printed.err
    monkeypatch.setenv("FAILS", "alexnet")
    assert main(["sweep", *TWO, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("4 jobs, 2 of them done")
    assert printed.splitlines()[1:] == ["vgg11 dtype=float32, run 1", "vgg11 dtype=bfloat16, run 1"]
    assert main(["sweep", *TWO]) == 0
    run = reading.read(Path("sweep/runs/dtype=float32-run-1.json"))
    assert [case.model for case in run.cases] == ["alexnet", "vgg11"]


def test_a_machine_without_a_gpu_takes_the_options_of_jobs_for_nodes_that_have_one(bench):
    job = Job("alexnet", "alexnet", (), (("device", "cuda"),), 1, ("--another",))
    sweep._refuse_unknown(job, 60.0)
    varied = Job("alexnet", "alexnet", (("device", "cuda:1"),), (), 1, ("--another",))
    sweep._refuse_unknown(varied, 60.0)


def test_labels_go_to_the_jobs_of_callables(bench, monkeypatch):
    Path("nets.py").write_text("from torch import nn\ndef make():\n    return nn.Flatten()\n")
    Path("names").write_text("cat\ndog\n")
    given = []
    monkeypatch.setattr(sweep._sweep_engines, "made", lambda jobs, *_: given.extend(jobs) or [])
    words = ["--models=nets.py:make,alexnet", "--input=1x2x2", "--labels=names"]
    assert main(["sweep", *words, "--dry-run"]) == 0
    labels = {job.model: [word for word in job.words() if "--labels" in word] for job in given}
    assert labels == {"make": [f"--labels={Path('names').absolute()}"], "alexnet": []}


def test_a_damaged_result_is_measured_again(bench, capsys):
    assert main(["sweep", "--models=alexnet", "--dtype=float32"]) == 0
    (saved,) = Path("sweep/jobs").iterdir()
    saved.write_text(saved.read_text()[:50])
    assert main(["sweep", "--models=alexnet", "--dtype=float32"]) == 0
    assert "[1/1] alexnet" in capsys.readouterr().out
    reading.read(saved)


def test_the_command_line_replaces_what_the_file_says(bench, capsys):
    Path("grid.toml").write_text(
        'models = ["vgg11"]\ndtype = ["float32", "bfloat16"]\nrepeats = 2\n'
    )
    assert main(["sweep", "grid.toml", "--models=alexnet", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "alexnet dtype=float32, run 1",
        "alexnet dtype=bfloat16, run 1",
        "alexnet dtype=float32, run 2",
        "alexnet dtype=bfloat16, run 2",
    ]


def test_an_earlier_sweep_gives_the_time(bench, capsys):
    Path("earlier").mkdir()
    entry = {"key": "", "model": "alexnet", "place": "", "slot": "", "seconds": 100.0, "reason": ""}
    Path("earlier/jobs.jsonl").write_text(json.dumps(entry) + "\n")
    words = ["sweep", "--models=alexnet", "--dtype=float32", "--repeats=3", "--dry-run"]
    assert main([*words, "--like=earlier"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("; about 5 min")
    assert main(words) == 0
    assert "about" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dtype=float23"], "float23"),
        (["--models=alexnit"], "alexnit"),
        (["--repeats=0"], "--repeats '0' is not a positive whole number"),
        (["--slots=0"], "--slots '0' is not a positive whole number"),
        (["--deadline=-1"], "--deadline -1 is not a time"),
        (["--models=alexnet", "--benchmark-json=x"], "--benchmark-json=x cannot be used here"),
        (["--models=alexnet", "--device=cuda"], "wants a GPU, but there is none"),
        (["--models=alexnet", "--no-such-option"], "pytest refuses the options of the jobs: it"),
        (
            ["--models=alexnet", "--slurm=partition=a"],
            "--slurm has no effect with --on local; it is",
        ),
        (
            ["--models=alexnet", "--on=slurm", "--address=a:1"],
            "--address has no effect with --on slurm",
        ),
        (["--models=alexnet", "--on=ray", "--slots=2"], "for --on local or --on slurm"),
        (["none.toml"], "grid 'none.toml' cannot be read"),
        (["--models=alexnet", "-o", "bench.py/there"], "cannot be made a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(bench, capsys, monkeypatch, words, said):
    monkeypatch.setattr(topology, "gpus", list)
    assert main(["sweep", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_two_sweeps_do_not_share_a_folder(bench, capsys):
    Path("sweep").mkdir()
    holder = "import fcntl, sys; f = open('sweep/.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
    held = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; print('held', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with held:
        assert held.stdout.readline() == b"held\n"
        assert main(["sweep", *TWO]) == 2
        assert "another sweep is writing to sweep; wait" in capsys.readouterr().err
        held.stdin.close()


DRIVER = """
import sys
from deploybench.cli import main, sweep
sweep.JOB = (sys.executable, sys.argv[1])
sys.exit(main(["sweep", *sys.argv[2:]]))
"""


def driver(folder: Path, *words: str) -> list[str]:
    """The command of a sweep in a process of its own."""
    return [sys.executable, "-c", DRIVER, str(folder / "bench.py"), *TWO, *words]


@pytest.mark.parametrize("on", ["local", pytest.param("ray", marks=pytest.mark.sweep)])
def test_a_sweep_that_is_killed_goes_on_with_what_is_missing(bench, monkeypatch, on):
    if on == "ray":
        pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, *sys.path))))
    (bench / "measured").mkdir()
    monkeypatch.setenv("MEASURED", str(bench / "measured"))
    command = driver(bench, f"--on={on}")
    with subprocess.Popen(command, env={**os.environ, "WAITS": "vgg11"}) as killed:
        wait_until(lambda: list((bench / "measured").glob("vgg11-*")))
        killed.kill()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("4 jobs, 1 of them done")
    measured = [path.name.rpartition("-")[0] for path in (bench / "measured").iterdir()]
    assert Counter(measured) == {
        "alexnet-float32": 1,
        "vgg11-float32": 2,  # the first one was under way
        "alexnet-bfloat16": 1,
        "vgg11-bfloat16": 1,
    }
    assert len(list(Path("sweep/jobs").iterdir())) == 4
    for dtype in ("float32", "bfloat16"):
        run = reading.read(Path(f"sweep/runs/dtype={dtype}-run-1.json"))
        assert [case.model for case in run.cases] == ["alexnet", "vgg11"]


FULL = """
mount -t tmpfs -o size=64k none sweep || exit 77
head -c 60k /dev/zero > sweep/other
"$@" > first 2> errors; echo $? >> first
rm sweep/other
"$@" > second
"""


def test_a_full_disk_is_one_line_and_loses_nothing(bench, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, *sys.path))))
    Path("sweep").mkdir()
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL, "sh"]
    try:
        ran = subprocess.run([*shell, *driver(bench)], timeout=300)
    except OSError:
        pytest.skip("there is no unshare")
    if ran.returncode == 77 or not Path("first").exists():
        pytest.skip("nobody may mount here")
    (line,) = Path("errors").read_text().splitlines()
    assert "No space left on device" in line
    assert Path("first").read_text().splitlines()[-1] == "2"
    assert "[1/" in Path("second").read_text()
    assert ran.returncode == 0


def wait_until(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.sweep
def test_real_jobs_give_the_table_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--models=squeezenet1_1,shufflenet_v2_x0_5", "--backends=eager,scripted"]
    assert main(["sweep", *words, "--device=cpu", "--benchmark-max-time=0.01"]) == 0
    run = reading.read(Path("sweep/runs/run-1.json"))
    assert {(case.model, case.backend) for case in run.cases} == {
        (model, backend)
        for model in ("squeezenet1_1", "shufflenet_v2_x0_5")
        for backend in ("eager", "scripted")
    }
    assert main(["speedup", "sweep/runs/run-1.json"]) == 0
    assert "shufflenet_v2_x0_5" in capsys.readouterr().out

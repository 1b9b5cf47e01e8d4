"""`deploybench history`, as it is called."""

from __future__ import annotations

import csv
import json

import pytest

from deploybench import cli
from tests.unit import recorded_history as recorded

COUNT = 40
MODEL = recorded.MODEL
CPP = "TorchScript (C++)"


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> str:
    """A backend that became 10 % slower at run 21."""
    folder = tmp_path_factory.mktemp("runs")
    eager = [20 * each for each in recorded.noise(COUNT, 1)]
    cpp = [
        10 * each * (1 if place < 20 else 1.1)
        for place, each in enumerate(recorded.noise(COUNT, 2))
    ]
    recorded.save_all(folder, eager, cpp)
    return str(folder)


def printed(capsys, storage: str, *words: str) -> str:
    assert cli.main(["history", "--storage", storage, *words]) == 0
    return capsys.readouterr().out


def test_the_first_slow_commit_is_named_with_its_size(storage, capsys):
    out = printed(capsys, storage)
    rows = [line.split() for line in out.splitlines() if line.startswith(MODEL)]
    assert [row[-1] for row in rows] == ["-", "slower"]
    assert rows[0][2:5] == ["40", "2026-01-02", "2026-02-10"]
    words = " ".join(out.split())
    assert f"{MODEL}, {CPP}, slower: +1" in words
    assert f"relative to eager since commit {recorded.commit(21)[:12]} (run 0021_run" in words
    assert f"before it, commit {recorded.commit(20)[:12]}" in words
    assert max(map(len, out.splitlines())) <= 100


def test_csv_has_every_run(storage, capsys):
    rows = list(
        csv.DictReader(printed(capsys, storage, "--format=csv").splitlines(), delimiter=";")
    )
    assert len(rows) == 2 * COUNT
    changed = [row for row in rows if row["ratio_change"]]
    (row,) = changed
    assert (row["backend"], row["commit"]) == ("cpp", recorded.commit(21))
    assert float(row["ratio_change"]) == pytest.approx(0.1, abs=0.02)


def test_json_has_everything(storage, capsys):
    eager, cpp = json.loads(printed(capsys, storage, "--format=json"))["cells"]
    assert [change["measure"] for change in eager["changes"]] == []
    (change,) = [each for each in cpp["changes"] if each["measure"] == "ratio"]
    assert change["first"]["commit"] == recorded.commit(21)
    assert change["interval"][0] < 0.1 < change["interval"][1]
    assert len(cpp["points"]) == COUNT


def test_github_action_benchmark_gets_what_it_takes(storage, capsys):
    """https://github.com/benchmark-action/github-action-benchmark, customSmallerIsBetter."""
    found = json.loads(printed(capsys, storage, "--format=github-action-benchmark"))
    assert [each["name"] for each in found] == [
        f"{MODEL} / PyTorch",
        f"{MODEL} / {CPP}",
        f"{MODEL} / {CPP} / times eager",
    ]
    for each in found:
        assert each.keys() - {"range"} == {"name", "unit", "value", "extra"}
        assert isinstance(each["value"], float)
        assert f"commit: {recorded.commit(40)}" in each["extra"]
    assert [each["unit"] for each in found] == ["ms", "ms", "x"]
    # Of one process, the calls vary, and the ratio is a single figure.
    assert [each.get("range", "")[:2] for each in found] == ["± ", "± ", ""]
    assert found[1]["value"] == pytest.approx(11, rel=0.05)


def test_bencher_gets_nanoseconds(storage, capsys):
    """https://bencher.dev/docs/reference/bencher-metric-format."""
    found = json.loads(printed(capsys, storage, "--format=bencher"))
    assert found.keys() == {f"{MODEL} / PyTorch", f"{MODEL} / {CPP}"}
    cell = found[f"{MODEL} / {CPP}"]
    assert cell.keys() == {"latency", "ratio-to-eager"}
    latency = cell["latency"]
    assert latency.keys() == {"value", "lower_value", "upper_value"}
    assert latency["lower_value"] < latency["value"] < latency["upper_value"]
    assert cell["ratio-to-eager"].keys() == {"value"}
    assert cell["latency"]["value"] == pytest.approx(11e6, rel=0.05)
    assert cell["ratio-to-eager"]["value"] == pytest.approx(0.55, rel=0.05)


@pytest.mark.parametrize(
    ("words", "backends"),
    [
        (["--backend=eager"], ["eager"]),
        (["--backend=cpp or eager"], ["eager", "cpp"]),
        (["--backend=not eager"], ["cpp"]),
        (["--backend=torchscript and not python"], ["cpp"]),
        (["--model=squeeze*", "--backend=c??"], ["cpp"]),
        (["--model=SQUEEZE"], ["eager", "cpp"]),
    ],
)
def test_filters(storage, capsys, words, backends):
    cells = json.loads(printed(capsys, storage, "--format=json", *words))["cells"]
    assert [cell["backend"] for cell in cells] == backends


def test_since_a_date(storage, capsys):
    cells = json.loads(printed(capsys, storage, "--format=json", "--since=2026-02-01"))["cells"]
    assert [len(cell["points"]) for cell in cells] == [10, 10]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--since=yesterday"], "--since 'yesterday' is not a time; give a date"),
        (["--since=1d"], "has no saved run that fits"),
        (["--model=resnet"], "has no saved run that fits"),
        (["--model= and "], "names nothing; give a part of a name"),
        (["--confidence=95"], "95.0 is not a confidence"),
        (["--storage=nothing"], "nothing is not a folder; give the folder of saved runs"),
        (["--storage=http://host"], "is not a folder; give a folder, or file://FOLDER"),
    ],
)
def test_what_cannot_be_used_is_one_line(storage, capsys, words, message):
    assert cli.main(["history", "--storage", storage, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_saved_run_is_never_written_over(tmp_path, capsys):
    path = recorded.save(tmp_path, 1, {"eager": 1})
    before = path.read_bytes()
    words = ["history", f"--storage={tmp_path}", "--format=json"]
    assert cli.main([*words, f"--output={path}"]) == 2
    assert "is a file of the saved runs; name another file" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert cli.main([*words, f"--output={tmp_path / 'out.json'}"]) == 0


def test_a_damaged_run_is_named_and_left_out(tmp_path, capsys):
    recorded.save(tmp_path, 1, {"eager": 1})
    (tmp_path / "broken.json").write_text("{")
    assert cli.main(["history", f"--storage={tmp_path}"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"left out: {tmp_path / 'broken.json'} is not a whole saved run")
    assert MODEL in captured.out


def test_conditions_that_changed_are_told(tmp_path, capsys):
    recorded.save(tmp_path, 1, {"eager": 1, "cpp": 1})
    recorded.save(tmp_path, 2, {"eager": 1, "cpp": 1}, torch="2.15.0")
    words = " ".join(printed(capsys, str(tmp_path)).split())
    assert f"commit {recorded.commit(2)[:12]} (run 0002_run, 2026-01-03): torch: " in words
    assert '"2.14.1" -> "2.15.0" (2 cells)' in words


def test_long_names_are_folded_into_the_width(tmp_path, capsys):
    name = "a_model_with_a_name_that_does_not_end_before_it_has_filled_the_whole_line"
    for threads in (1, 2):
        cases = {(name, "scripted"): [0.001]}
        recorded.save(tmp_path, threads, {}, cases=cases, threads=threads, dtype="float32")
    out = printed(capsys, str(tmp_path))
    assert max(map(len, out.splitlines())) <= 100
    header, _, *lines = out.partition("\n\n")[0].splitlines()
    width = header.index("Backend")
    assert "".join(line[:width].strip() for line in lines) == 2 * name


def test_a_backend_that_fails_now_is_named(tmp_path, capsys):
    recorded.save(tmp_path, 1, {"eager": 1, "cpp": 1})
    path = recorded.save(tmp_path, 2, {"eager": 1})
    content = json.loads(path.read_text())
    failed = {"model": MODEL, "column": CPP, "reason": "different class", "kind": "wrong"}
    content["deploybench"]["failed"] = [failed]
    path.write_text(json.dumps(content))
    words = " ".join(printed(capsys, str(tmp_path)).split())
    named = f"commit {recorded.commit(2)[:12]} (run 0002_run, 2026-01-03)"
    assert words.endswith(f"{MODEL}, {CPP}: wrong in {named}: different class")
    recorded.save(tmp_path, 3, {"eager": 1, "cpp": 1})
    assert "newest run" not in printed(capsys, str(tmp_path))

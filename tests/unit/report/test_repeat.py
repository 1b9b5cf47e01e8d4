"""The command that repeats a run has every option that is not at its default."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

from deploybench import options
from deploybench.models import own, references
from deploybench.models.shapes import parse_shapes
from deploybench.plugin.given_options import TEXTS, PytestOptions
from deploybench.records.record import RunRecord
from deploybench.report import repeat

TEXT = {
    "models": "vgg11,resnet18",
    "backends": "eager,cpp",
    "device": "cpu",
    "weights": "pretrained",
    "batch-size": "1,8",
    "threads": "3",
    "metric": "throughput",
    "neighbours": "2",
    "dtype": "bfloat16",
    "tf32": "on",
    "allocator": "default",
    "images": "/tmp",
    "budget": "accuracy>=-0.5%",
    "input": "3x32x32",
    "task": "segmentation",
    "labels": "names of classes.txt",
}
"""A value that is no default, by option; an option that lacks one fails the test."""
BOUNDS = {
    "benchmark-min-rounds": 7,
    "benchmark-max-time": 0.25,
    "benchmark-precision": 0.02,
    "benchmark-confidence": 0.9,
}
PLAIN = PytestOptions(
    models=references.select("resnet18"),
    backends=["eager"],
    strict_backends=False,
    of_callables={},
)


def words(given: PytestOptions) -> list[str]:
    """The words of the command for a run with these options, after it was saved and read."""
    saved = RunRecord(Path("run"), {}, options=given.given()).to_json()
    read = RunRecord.from_json(json.loads(json.dumps(saved)), Path("run"))
    return shlex.split(repeat.command(read))


def everything() -> PytestOptions:
    """Options none of which is at its default."""
    callables = {f"--{each.name}": TEXT[each.name] for each in options.OF_CALLABLES}
    values = {
        each.attribute or each.key: each.value(TEXT[each.name])
        for each in TEXTS
        if each not in options.OF_CALLABLES
    }
    values |= {options.BOUNDS[name]: value for name, value in BOUNDS.items()}
    values |= dict.fromkeys(options.FLAGS, True)
    return PytestOptions(**values, of_callables=callables, keep_artifacts=Path("kept"))


def test_every_option_of_a_run_that_is_not_at_its_default_is_in_the_command():
    found = words(everything())
    assert found[:2] == ["deploybench", "bench"]
    pairs = dict(pairwise(found))
    for option in TEXTS:
        assert pairs.get(f"--{option.name}") == TEXT[option.name], option.name
    for name, value in {**BOUNDS, "keep-artifacts": "kept"}.items():
        assert pairs.get(f"--{name}") == str(value), name
    assert {f"--{key.replace('_', '-')}" for key in options.FLAGS} <= set(found)
    # Nothing else that a run can be asked for: neither has an option.
    chosen = everything()
    same = {each.name for each in fields(PLAIN) if getattr(chosen, each.name) == each.default}
    assert same == {"inputs", "seed"}


def test_the_text_of_a_value_is_that_which_gives_it():
    for option in TEXTS:
        if option not in options.OF_CALLABLES:
            value = option.value(TEXT[option.name])
            assert option.value(option.written(value)) == value, option.name


def test_a_run_with_defaults_needs_only_its_models_and_backends():
    assert words(PLAIN) == shlex.split("deploybench bench --models resnet18 --backends eager")
    as_usual = replace(PLAIN, confidence=0.99, max_seconds=0.5)
    assert words(as_usual) == words(PLAIN)


def test_models_and_backends_that_were_left_out_are_not_in_it():
    both = replace(PLAIN, models=references.select("vgg11,resnet18"), backends=["eager", "cpp"])
    cases = [case for case in both.cases() if case[0].name == "vgg11" and case[1] == "cpp"]
    found = both.restricted(cases).given()
    assert (found["models"], found["backends"]) == ("vgg11", "cpp")
    sizes = replace(PLAIN, batch_sizes=(1, 8))
    cases = [case for case in sizes.cases() if case[2] == 8]
    assert sizes.restricted(cases).given()["batch-size"] == "8"


def test_large_and_precise_bounds_keep_every_digit():
    given = replace(PLAIN, min_rounds=1_234_567, confidence=0.999999999).given()
    assert given["benchmark-min-rounds"] == "1234567"
    assert given["benchmark-confidence"] == "0.999999999"


def test_what_a_reference_says_of_a_callable_is_an_option():
    """A job of a sweep gets its model by reference, with the input that the sweep was given."""
    chosen = references.select("torch.nn:Flatten?input=1x8x8&task=embedding")
    given = replace(PLAIN, models=chosen).given()
    assert (given["models"], given["input"], given["task"]) == (
        "torch.nn:Flatten",
        "1x8x8",
        "embedding",
    )
    again = references.select(given["models"], own.Given(parse_shapes(given["input"]), "embedding"))
    assert [each.inputs for each in again] == [each.inputs for each in chosen]


def test_a_list_of_models_is_named_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(
        "from torch import nn\nfrom deploybench import Model\n"
        "NETS = [Model(name, build=nn.Flatten, inputs=(1, 8, 8)) for name in 'ab']\n"
    )
    assert options.MODELS.written(references.select("nets.py")) == "nets.py:NETS"


def test_a_file_of_the_current_folder_is_named_without_it(monkeypatch):
    root = Path(__file__).parents[3]
    monkeypatch.chdir(root)
    chosen = references.select("examples/two_inputs.py")
    assert options.MODELS.written(chosen).startswith("examples/two_inputs.py:")
    assert options.MODELS.value(options.MODELS.written(chosen)) == chosen

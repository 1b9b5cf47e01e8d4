"""Which value of a graph is what a module's call returned."""

from __future__ import annotations

from deploybench.formats.layers import Step, returned_values


def step(modules: str, inputs: str, outputs: str) -> Step:
    return Step(tuple(modules.split()), tuple(inputs.split()), tuple(outputs.split()))


def test_a_call_returns_what_is_used_outside_it():
    steps = [
        step("block block.act", "x", "sigmoid"),
        step("block block.act", "x sigmoid", "product"),
        step("block", "product x", "sum"),
        step("head", "sum", "logits"),
    ]
    assert returned_values(steps, ["logits"]) == {
        "block": "sum",
        "block.act": "product",
        "head": "logits",
    }


def test_each_call_of_a_module_is_its_own():
    steps = [step("relu", "x", "a"), step("conv", "a", "b"), step("relu", "b", "c")]
    assert returned_values(steps, ["c"]) == {"relu": "a", "conv": "b", "relu@1": "c"}


def test_what_no_module_is_noted_for_ends_no_call():
    """As the operations that a quantizer puts between those of the exporter."""
    steps = [
        step("mean", "x", "a"),
        step("", "a", "quantized"),
        step("mean", "quantized", "b"),
        step("head", "b", "c"),
    ]
    assert returned_values(steps, ["c"]) == {"mean": "b", "head": "c"}


def test_a_call_without_a_value_of_its_own_is_left_out():
    steps = [step("norm", "x", "a"), step("dropout", "a", "unused"), step("head", "a", "b")]
    assert returned_values(steps, ["b"]) == {"norm": "a", "head": "b"}


def test_what_the_model_returns_may_come_once():
    """An iterator of them must serve all calls."""
    steps = [step("first", "x", "a"), step("second", "x", "b")]
    assert returned_values(steps, iter(["a", "b"])) == {"first": "a", "second": "b"}

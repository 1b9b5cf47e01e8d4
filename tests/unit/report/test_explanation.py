"""What `explain` prints."""

from __future__ import annotations

import json
from dataclasses import replace

from deploybench.records.explanation import Explanation, LayerError
from deploybench.report.explanation import FORMATS

LAYERS = [LayerError(f"layer{place}", "Conv2d", 1.0, 1e-7) for place in range(40)]
LAYERS[1] = replace(LAYERS[1], error=None, share=None)
LAYERS[20] = replace(LAYERS[20], error=120.4, share=3e-5)
LAYERS[21] = replace(LAYERS[21], error=500.0)
FOUND = Explanation(
    *("net", "onnxruntime", False, "different", "class 3 is off", 31.0, 31.0, 8.0), tuple(LAYERS)
)


def test_the_first_layer_beyond_the_limit_is_named_and_shown_with_its_neighbours():
    printed = FORMATS["text"](FOUND, False)
    first, second, *rest = printed.splitlines()
    assert first == "net through onnxruntime: different, class 3 is off"
    assert second == ("the first layer beyond 8 times eager's error: layer20 (Conv2d), 120 times")
    named = [line.split()[0] for line in rest if line.startswith(("layer", "("))]
    around = [f"layer{place}" for place in range(17, 30)]
    assert named == ["(17", *around, "(7", "layer37", "layer38", "layer39"]
    assert "1 of 40 layers have no value of their own" in printed


def test_all_layers_are_shown_on_demand():
    printed = FORMATS["text"](FOUND, True)
    assert sum(line.startswith("layer") for line in printed.splitlines()) == 40


def test_a_form_that_is_right_only_when_it_is_observed_is_said_to_be():
    printed = FORMATS["text"](replace(FOUND, observed_error=2.0, layers=tuple(LAYERS[:20])), False)
    assert "no layer is beyond 8 times eager's error" in printed
    assert "off by 2 instead of 31" in printed


def test_programs_get_every_layer():
    found = json.loads(FORMATS["json"](FOUND, False))
    assert (found["first"], len(found["layers"])) == ("layer20", 40)
    assert found["layers"][1] == {"layer": "layer1", "kind": "Conv2d", "error": None, "share": None}

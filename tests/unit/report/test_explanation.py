"""What `explain` prints and what a report's page shows of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from deploybench.cli import main
from deploybench.errors import FileError
from deploybench.records import explanation
from deploybench.records.explanation import Explanation, LayerError
from deploybench.report.formats import EXPLANATION, TABLES
from deploybench.report.tables import View

from .pages import HOSTILE, explained, hostile_explanation, rendered, run
from .test_page import Reader

LAYERS = [LayerError(f"layer{place}", "Conv2d", 1.0, 1e-7) for place in range(40)]
LAYERS[1] = replace(LAYERS[1], error=None, share=None)
LAYERS[20] = replace(LAYERS[20], error=120.4, share=3e-5)
LAYERS[21] = replace(LAYERS[21], error=500.0)
FOUND = Explanation(
    *("net", "onnxruntime", False, "different", "class 3 is off", 31.0, 31.0, 8.0), tuple(LAYERS)
)
FALLING = [38.0, None, 45.0, 30.0, 29.0, 35.0, 28.0, 12.0, 14.0, 9.0]
INT8 = replace(
    FOUND,
    backend="openvino-int8",
    verdict="over budget",
    precision="int8",
    layers=tuple(replace(each, sqnr_db=size) for each, size in zip(LAYERS, FALLING, strict=False)),
)
"""The SQNR falls furthest at layer7, by 16 dB from the lowest before it, that of layer6."""
SAVED = Path(__file__).parents[1] / "data" / "saved_run_0.2.0.json"


def shown(form: str, found: Explanation = FOUND, everything: bool = False) -> str:
    return EXPLANATION[form](found, everything, View())


def test_the_first_layer_beyond_the_limit_is_named_and_shown_with_its_neighbours():
    printed = shown("text")
    first, second, *rest = printed.splitlines()
    assert first == "net through onnxruntime: different, class 3 is off"
    assert second == ("the first layer beyond 8 times eager's error: layer20 (Conv2d), 120 times")
    named = [line.split()[0] for line in rest if line.startswith(("layer", "("))]
    around = [f"layer{place}" for place in range(17, 30)]
    assert named == ["(17", *around, "(7", "layer37", "layer38", "layer39"]
    assert "fused with another one: 1 of 40 layers" in " ".join(printed.split())


def test_in_reduced_precision_the_layer_is_named_where_the_sqnr_falls_furthest():
    printed = shown("text", INT8)
    assert "the SQNR falls furthest at layer7 (Conv2d): from 28.0 to 12.0 dB\n" in printed
    assert "times eager's error" not in printed
    header, *rows = shown("csv", INT8).splitlines()
    assert header == "Layer;Kind;SQNR (dB);Share"
    assert rows[2].startswith("layer2;Conv2d;45.0;")
    assert json.loads(shown("json", INT8))["named"] == "layer7"
    # A layer that follows one of a higher SQNR, as a sum follows a mean, has not fallen by itself.
    assert [fall[0].name for fall in INT8.falls()] == [f"layer{n}" for n in (0, 3, 4, 6, 7, 9)]
    broken = replace(INT8, layers=(*INT8.layers, replace(LAYERS[0], name="nan", sqnr_db=-math.inf)))
    assert "furthest at nan (Conv2d): from 9.0 to NaN dB" in shown("text", broken)
    exact = replace(INT8, layers=tuple(replace(each, sqnr_db=math.inf) for each in LAYERS))
    assert "no layer has an SQNR below 40 dB" in shown("text", exact)


@pytest.mark.parametrize("size", [-math.inf, -5000.0, 12.0, math.inf])
def test_a_page_draws_the_layers_of_reduced_precision(size):
    layers = (*INT8.layers[:7], replace(INT8.layers[7], sqnr_db=size), *INT8.layers[8:])
    text = rendered(run("a"), explanations=(replace(INT8, model="net00", layers=layers),))
    section = text[text.index('<section id="layers"') :]
    assert re.search(r"error, share of the layer(&#39;|')s values</text>", section)
    assert "8 times eager" not in section[: section.index("</section>")]
    assert ("<title>layer7: 12.0 dB</title>" in text) == (size == 12.0)


def test_all_layers_are_shown_on_demand():
    printed = shown("text", everything=True)
    assert sum(line.startswith("layer") for line in printed.splitlines()) == 40


def test_a_form_that_is_right_only_when_it_is_observed_is_said_to_be():
    printed = shown("text", replace(FOUND, observed_error=2.0, layers=tuple(LAYERS[:20])))
    assert "no layer is beyond 8 times eager's error" in printed
    assert "off by 2 instead of 31" in printed


def test_programs_get_every_layer():
    found = json.loads(shown("json"))
    assert (found["named"], len(found["layers"])) == ("layer20", 40)
    unknown = dict.fromkeys(("error", "share", "sqnr_db"))
    assert found["layers"][1] == {"layer": "layer1", "kind": "Conv2d", **unknown}
    header, *rows = shown("csv").splitlines()
    assert header == "Layer;Kind;Error;Share"
    assert rows[20] == "layer20;Conv2d;120;3.0e-05"
    assert len(rows) == 40


def test_every_format_of_a_table_is_one_of_an_explanation_with_its_escapes():
    assert EXPLANATION.keys() == TABLES.keys()
    found = hostile_explanation()
    for form in ("text", "csv", "markdown", "html"):
        written = shown(form, found)
        assert "\u202e" not in written and "\x00" not in written, form
        assert form in ("text", "csv") or "<script>" not in written, form
    assert "layer20 (Conv2d)" in shown("markdown")
    assert "<td>Conv2d" in shown("html")
    formula = replace(FOUND, layers=(replace(LAYERS[0], name="=1+1"),))
    assert "\n'=1+1;" in shown("csv", formula)


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "why.json"
    layers = (*LAYERS, LayerError("last", "Linear", math.inf, math.inf))
    for found in (FOUND, INT8, replace(FOUND, observed_error=math.inf, layers=layers)):
        path.write_text(shown("json", found))
        assert explanation.read(path) == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": None}, "layers is not a list"),
        ({"error": "large"}, "error is not a number of at least 0"),
        ({"agrees": 1}, "agrees is not true or false"),
        ({"layers": [{"layer": "a"}]}, r"layers\[0\].kind is missing"),
    ],
)
def test_what_is_no_explanation_is_refused_in_one_line(change, words, tmp_path):
    path = tmp_path / "why.json"
    path.write_text(json.dumps({**FOUND.to_json(), **change}))
    with pytest.raises(
        FileError, match=f"why.json is no explanation: {words}; write one"
    ) as caught:
        explanation.read(path)
    assert "\n" not in str(caught.value)
    path.write_text("{")
    with pytest.raises(FileError, match="it is not JSON"):
        explanation.read(path)


def test_a_page_shows_the_first_layer_the_curve_and_the_table():
    text = rendered(run("a"), explanations=(explained("net00"),))
    section = text[text.index('<section id="layers"') :]
    section = section[: section.index("</section>")]
    found = Reader(section)
    (plot,) = found.attributes("svg")
    assert (plot["role"], plot["aria-label"]) == ("img", "Error by layer of net00 through wrong")
    assert "the first layer beyond 8 times eager&#39;s error: features.20 (Conv2d)" in section
    assert "<title>features.20: 120 times</title>" in section
    (curve,) = (each for each in found.attributes("path") if each["class"] == "curve s0")
    assert curve["d"].count("L") == 38, "39 of 40 layers: one is fused"
    assert len(found.attributes("tr")) == 41
    plain = section.replace("</td>", "").replace("</th>", "")
    assert '<th scope="row">features.1<td>Conv2d<td class="n">fused' in plain
    assert 'href="#layers"' in text
    assert "layers-title" not in rendered(run("a"))


def test_hostile_names_of_layers_are_text():
    text = rendered(run("a"), explanations=(hostile_explanation(),))
    assert len(Reader(text).attributes("script")) == 2
    assert "<script>alert" not in text
    assert "\u202e" not in text and "\x00" not in text
    assert "&lt;script&gt;" in text
    for _, attributes in Reader(text).elements:
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_of_very_many_layers_only_those_around_the_first_are_in_the_table():
    text = rendered(run("a"), explanations=(explained("net00", 3000, 2000),))
    assert "(1997 more)" in text
    assert len(re.findall('<th scope="row">features', text)) == 16
    assert len(text) < len(rendered(run("a"))) + 100_000


def test_the_command_takes_what_explain_wrote_for_a_cell_of_the_run(tmp_path, capsys):
    why, page = tmp_path / "why.json", tmp_path / "page.html"
    case = json.loads(SAVED.read_text())["benchmarks"][0]["params"]
    of_run = replace(FOUND, model=case["model"], backend=case["backend"])
    why.write_text(shown("json", of_run))
    words = ["report", str(SAVED), "--explanation", str(why)]
    assert main([*words, "-o", str(page)]) == 0
    assert "layer20 (Conv2d), 120 times" in page.read_text()
    assert main([*words, "--format=markdown"]) == 0
    assert "layer20 (Conv2d), 120 times" in capsys.readouterr().out
    why.write_text(shown("json"))
    assert main(words) == 2
    line = capsys.readouterr().err.strip()
    assert "explains net through onnxruntime, which is in none of the runs" in line
    assert main(["report", "--history", "--explanation", str(why)]) == 2
    assert "give the run before it" in capsys.readouterr().err
    assert HOSTILE not in line

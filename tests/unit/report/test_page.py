"""The report's page: what it says, and that it is one safe file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploybench.analysis import overview
from deploybench.cli import main
from deploybench.records.record import Peak, RunRecord
from deploybench.report import heat, numbers, page, sentences, svg, visible

from .pages import BACKENDS, HOSTILE, rendered, run

ROOT = Path(__file__).resolve().parents[3]
MOST_BYTES = 1_000_000


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self._open:
            self.contents.setdefault(self._open[-1], []).append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return rendered(run("a"), run("b"), run("c"), baseline=(run("d"), run("e"), run("f")))


def test_the_answer_comes_first_with_its_interval(text):
    assert re.search(r"<h1>Ship <bdi>Fast</bdi></h1>", text)
    lead = re.search(r'<p class="lead">(.*?)</p>', text)[1]
    assert "It is right for all 2 models, and in geometric mean" in lead
    assert re.search(r"(2\.0\d|1\.9\d) times as fast as eager PyTorch \(95% interval", lead)


def test_the_sections_are_in_the_order_of_the_questions(text):
    order = ["answer", "map", "speedups", "gate", "costs", "limits", "machine"]
    assert re.findall(r'<section id="(\w+)"', text) == order


def test_without_a_baseline_there_are_no_verdicts():
    assert "Against the baseline" not in rendered(run("a"))


def test_what_was_wrong_or_failed_is_said_with_its_reason(text):
    assert "6 of 10 cells" not in text
    assert "2 are disturbed" in text
    for kind, reason in (("wrong", "different: class 3 is first"), ("failed", "no such operator")):
        assert re.search(f'badge {kind}">{kind}</span>.*net00.*{reason}', text)


def test_each_plot_has_a_name_and_a_table():
    found = Reader(rendered(run("a")))
    plots = [each for each in found.attributes("svg") if each["class"].startswith("plot")]
    assert plots
    assert all(each["role"] == "img" and each["aria-label"] for each in plots)
    assert len(found.attributes("table")) >= len(found.attributes("section"))


def test_the_policy_allows_this_style_sheet_and_this_script_only(text):
    found = Reader(text)
    (policy,) = [
        each["content"]
        for each in found.attributes("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_nothing_comes_from_elsewhere_and_nothing_is_inlined_that_the_policy_refuses(text):
    for tag, attributes in Reader(text).elements:
        assert tag not in ("link", "img", "iframe", "base", "object"), tag
        for name, value in attributes.items():
            assert name not in ("style", "src", "srcset") and not name.startswith("on"), name
            assert name != "href" or value.startswith("#")
    assert "url(" not in text and "@import" not in text


def test_hostile_names_are_text():
    text = rendered(run("a", hostile=True), run("b", hostile=True))
    found = Reader(text)
    assert [each.get("type") for each in found.attributes("script")] == ["application/json", None]
    assert len(found.attributes("style")) == 1
    assert "alert(1)" not in "".join(found.contents["script"][1:])
    assert "<script>alert" not in text
    assert "49" not in re.findall(r"<title>.*?</title>", text)[0]
    assert "{{ 7 * 7 }}" in text
    # What would turn the text around or cannot be seen is written out.
    assert "\u202e" not in text and "\\u202e" in text
    assert "\x00" not in text and "\\x00" in text
    text.encode("utf-8")


def test_the_data_is_json_that_cannot_end_its_element():
    found = page.embedded({"name": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(found)
    assert json.loads(found) == {"name": "</script><!--&\u2028"}


def test_a_cell_has_its_samples_and_which_percentiles_can_be_claimed():
    text = rendered(run("a", samples=100))
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    column = data["columns"].index("Fast")
    cell = dict(zip(data["fields"], data["cells"][column], strict=True))
    assert cell["count"] == 100
    assert cell["middle"] == pytest.approx(5, rel=0.01)
    assert [each is None for each in cell["claimed"]] == [False, False, True, True]
    assert sum(cell["series"][0][::4]) == 100
    assert [share[2] for share in data["shares"]] == [11, 64, 130, 662]


@pytest.mark.parametrize(
    "runs",
    [
        (run("one", models=1, samples=5, backends={"eager": ("PyTorch", 1.0)}),),
        (run("alone", models=1, samples=20, backends={"fast": ("Fast", 0.5)}),),
    ],
    ids=["one cell", "without eager"],
)
def test_a_page_with_hardly_anything_on_it(runs):
    assert "<h1>Keep eager PyTorch</h1>" in rendered(*runs)


@pytest.mark.parametrize("peak", [Peak(0, 0), Peak(1e11, 0), Peak(0, 1e10)])
def test_a_rate_that_could_not_be_measured_has_no_roofline(peak):
    drawn = "Roofline: operations a second"
    assert drawn in rendered(run("one"))
    assert drawn not in rendered(replace(run("one"), peak=peak))


def test_a_log_is_shown(tmp_path):
    log = ROOT / "tests" / "unit" / "data" / "article_ts.log"
    output = tmp_path / "page.html"
    assert main(["report", str(log), "-o", str(output)]) == 0
    assert "A log, which records no conditions" in output.read_text()


def test_31_models_through_16_backends_fit_into_one_megabyte():
    titles = {f"backend{number}": (f"TorchScript ({number})", 0.8) for number in range(15)}
    large = run("a", models=31, samples=200, backends={"eager": ("PyTorch", 1.0), **titles})
    assert len(rendered(large).encode()) <= MOST_BYTES


def test_neither_torch_nor_pytest_is_imported(tmp_path):
    saved = ROOT / "tests" / "unit" / "data" / "saved_run_0.2.0.json"
    code = (
        "import sys; from deploybench.cli import main\n"
        f"code = main(['report', {str(saved)!r}, '-o', {str(tmp_path / 'page.html')!r}])\n"
        "print(code, [name for name in ('torch', 'pytest') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "0 []\n"
    assert "TorchScript (Python)" in (tmp_path / "page.html").read_text()


def test_a_run_is_never_overwritten(tmp_path, capsys):
    saved = tmp_path / "run.json"
    saved.write_bytes((ROOT / "tests" / "unit" / "data" / "saved_run_0.2.0.json").read_bytes())
    assert main(["report", str(saved), "-o", str(saved)]) == 2
    assert "is one of the runs to be read" in capsys.readouterr().err


def test_no_significant_difference_is_said_so():
    close = run("a", backends={"eager": ("PyTorch", 1.0), "close": ("Close", 1.0)})
    found = sentences.headline(overview.of([close]).answers[0])
    assert found.backend is None
    assert "may be chance" in found.words


def test_what_is_disturbed_is_neither_advised_nor_in_a_mean():
    doubtful = run("a", backends={"eager": ("PyTorch", 1.0), "even": ("Even", 0.5)})
    (answer,) = overview.of([doubtful]).answers
    assert not answer.means
    assert "undisturbed" in sentences.headline(answer).words
    assert all(each.problem.startswith("measure again: Even") for each in answer.advice)


def test_eager_is_not_advised_because_no_backend_is_sure_for_every_model():
    both = run("a", models=3, backends={"eager": ("PyTorch", 1.0), "fast": ("Fast", 0.5)})
    some = [case for case in both.cases if (case.model, case.backend) != ("net02", "fast")]
    (answer,) = overview.of([replace(both, cases=tuple(some))]).answers
    said = sentences.headline(answer)
    assert (said.backend, said.title) == (None, "No one backend for all models")
    assert "for all 3 models. Fast has them for 2 of 3, where it is 2.0" in said.words
    text = rendered(replace(both, cases=tuple(some)))
    assert "<h1>No one backend for all models</h1>" in text
    assert "Keep eager PyTorch" not in text


def test_a_figure_keeps_three_digits_and_never_has_an_exponent():
    shown = [numbers.significant(value) for value in (0.001234, 1.0, 12.345, 9999.6, None)]
    assert shown == ["0.00123", "1.00", "12.3", "10\u2009000", "\u2013"]


def test_text_that_cannot_be_seen_is_written_out():
    assert visible.visible("a\nb\u202e\x1b[31m") == "a b\\u202e\\x1b[31m"
    assert visible.visible("Größe") == "Größe"


def test_a_long_name_loses_its_middle():
    assert svg.shortened("a" * 10 + "b" * 10, 10) == "aaaaaa…bbb"


def test_an_axis_has_round_ticks_between_its_ends():
    assert svg.LogAxis(0.8, 1.7, 0, 100).ticks() == pytest.approx([0.8, 0.9, 1, 1.2, 1.4, 1.6])
    assert svg.LogAxis(1, 1e6, 0, 100).ticks() == [10.0**power for power in range(7)]
    close = svg.LogAxis(0.98, 1.03, 0, 100).ticks()
    assert 1 in close and all(0.98 <= tick <= 1.03 for tick in close)


def test_the_map_is_grey_where_a_difference_is_not_significant():
    found = overview.of([run("a")])
    colours = heat.Heat.of(found)
    assert colours.of_speedup(found.cells["net00", "Even"]) == "d4"
    assert colours.of_speedup(found.cells["net00", "Fast"]) in ("d7", "d8")


def test_the_command_repeats_the_run_and_quotes_what_a_shell_would_read():
    from deploybench.report import repeat

    assert repeat.command(run("a", models=1)) == (
        "deploybench bench --models net00 --backends eager,fast,even,wrong,broken --threads 2"
    )
    assert "'" in repeat.command(run("a", hostile=True))
    assert repeat.command(RunRecord(Path("x.log"), None)) == ""


def test_the_backends_are_told_apart_by_more_than_colour(text):
    assert len(BACKENDS) == 3
    for css in ("dot fast", "dot even"):
        assert f'class="{css}"' in text
    assert HOSTILE not in text


def test_what_has_the_same_reason_is_said_once():
    found = sentences.troubles(overview.of([run("a", models=3)]))
    assert [(each.kind, each.columns, each.models) for each in found] == [
        ("wrong", ("Wrong",), ("net00",)),
        ("failed", ("Broken",), ("net00",)),
        ("disturbed", ("Even",), ("net00", "net01", "net02")),
    ]
    assert sentences.several([f"net{each}" for each in range(9)]).endswith("net5 and 3 more")


def test_with_many_verdicts_only_what_has_changed_is_drawn():
    titles = {f"backend{number}": (f"Backend {number}", 0.8) for number in range(15)}
    backends = {"eager": ("PyTorch", 1.0), **titles}
    sides = [
        [run(f"{side}{each}", models=11, samples=20, backends=backends) for each in (1, 2)]
        for side in "ab"
    ]
    text = rendered(*sides[0], baseline=tuple(sides[1]))
    assert "Only what has changed is drawn" in text
    assert text.count("<td>inconclusive") + text.count("<td>same") > page.MOST_VERDICTS
    assert "Verdicts of net05" not in text


def test_an_interval_without_bounds_worth_naming_is_short():
    from deploybench.analysis.speedup import Speedup

    assert numbers.interval(Speedup(2.0, 1e-9, 1e9, 2)) == "<0.001 to >1000"
    assert numbers.interval(Speedup(1.2345, 1.23449, 1.23451, 9)) == "1.234 to 1.235"
    assert numbers.interval(Speedup(2.0, None, None, 1)) == "no interval"

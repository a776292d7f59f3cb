"""`cosnb report`: one page of an own formula that needs no network, early refusals, and no trace of a stop."""

import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from cosnb import cli
from cosnb.activations import activation
from cosnb.book.notebooks import pool
from cosnb.book.report import command, errors, page, sections
from cosnb.experiments.results import summary
from cosnb.experiments.training import TrainingConfig
from cosnb.paths import repository_root
from cosnb.symbolic import catalogue
from cosnb.symbolic.text import formula_latex, formula_text

TINY = {"train_images": 64, "seeds": "0:2", "epochs": 1, "accuracy_seconds": 0.0}
LOADING = {"script", "link", "iframe", "img", "source", "object", "embed", "audio", "video", "image", "use"}


class Reader(HTMLParser):
    """What a page loads, its headings, and the text inside its formulas."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.formulas: list[str] = []
        self.within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            if tag in LOADING and values.get(name) and not str(values[name]).startswith("#"):
                self.loads.append(f"{tag} {values[name]}")
        if tag in ("h2", "math"):
            self.within = tag
            (self.headings if tag == "h2" else self.formulas).append("")

    def handle_endtag(self, tag: str) -> None:
        self.within = "" if tag == self.within else self.within

    def handle_data(self, data: str) -> None:
        if self.within:
            (self.headings if self.within == "h2" else self.formulas)[-1] += data


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a formula with parameters and a comparison in it, from a tiny run."""
    path = tmp_path_factory.mktemp("report") / "page.html"
    made = command.report("where(x < 0, a*x, x) + c*tanh(exp(x))", {"a": "0.1", "c": "1/4"}, path, TINY)
    assert made == path
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return path.read_text(encoding="utf-8")


@pytest.mark.timeout(900)
def test_the_page_loads_nothing(html: str) -> None:
    assert Reader(html).loads == []
    assert "@import" not in html
    assert re.findall(r"url\((?!#)[^)]*\)", html) == []
    assert "<script" not in html


@pytest.mark.timeout(900)
def test_the_page_has_every_section(html: str) -> None:
    assert Reader(html).headings == [
        "Formula and derivatives",
        "Properties",
        "Beside ReLU, Swish, Mish and CoS",
        "Code",
        "Accuracy",
        "Speed",
        "A short training",
    ]
    assert html.count("<figure>") == 4
    assert html.count('role="img"') == 4
    for target in ("PyTorch", "Triton", "C", "NumPy", "Vega"):
        assert f"<summary>{target} (" in html
    for text in ("is it better?", "time / SiLU", "largest error (ulp)", "Lipschitz constant", "yours − ReLU"):
        assert text in html.replace("\u00a0", " ")  # no line begins with a minus


@pytest.mark.timeout(900)
def test_formulas_are_mathml_and_the_title_is_text(html: str) -> None:
    formulas = Reader(html).formulas
    assert len(formulas) >= 3
    assert "tanh" in "".join(formulas)
    assert re.findall(r"\$[^$<]*\\", html) == []
    assert "<h1><code>where(x &lt; 0, a*x, x) + c*tanh(exp(x))  (a=0.1, c=1/4)</code></h1>" in html
    assert "Your own activation" not in html  # the book's words stay in the book


@pytest.mark.timeout(900)
def test_ids_are_unique(html: str) -> None:
    ids = Reader(html).ids
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_mathml_has_no_tex_left() -> None:
    for name in ("relu", "swish", "mish", "cos", "gelu", "hardswish", "selu"):
        act = activation(name)
        text = page.markdown(sections.formulas(sections.curve(act)).text)
        assert text.count("<math") >= 3, name
        assert "\\" not in text, (name, text)
        for formula in re.findall("<math.*?</math>", text, re.DOTALL):
            tree = ElementTree.fromstring(formula)
            pairs = [one for one in tree.iter() if one.tag.rpartition("}")[2] in ("msup", "msub", "mfrac")]
            assert [len(one) for one in pairs] == [2] * len(pairs), formula


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["__import__('os').system('true')"], "column 12: the character"),
        (["x*tanhh(x)"], "column 3: unknown function 'tanhh'"),
        (["mihs"], "unknown activation 'mihs': did you mean 'mish'?"),
        (["x*sigmoid(a*x)"], "column 11: unknown name 'a'"),
        (["x*sigmoid(a*x)", "-p", "a=__class__"], "parameter a must be a finite number"),
        (["x*sigmoid(a*x)", "-p", "a"], "'a' sets no parameter"),
        (["mish", "-p", "a=2"], "mish has no parameter 'a'"),
        (["9**9**9*x"], "column "),
        (["mish", "--output", "."], " is a folder: give --output a file's name"),
        (["mish", "--output", "no/such/folder/a.html"], " is no folder that can be written"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pool, "execute", lambda *given: pytest.fail("a notebook was run"))
    assert cli.main(["report", "--no-open", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cosnb: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_the_pages_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(*given: object, **more: object) -> list[object]:
        print("what a notebook says")
        return []

    monkeypatch.setattr(pool, "execute", execute)
    monkeypatch.setattr(page, "render", lambda *given: "<html></html>")
    written = tmp_path / "page.html"
    assert cli.main(["report", "mish", "--no-open", "--output", str(written)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{written}\n"
    assert "what a notebook says" in err


def kernels(root: psutil.Process) -> list[psutil.Process]:
    return [one for one in root.children(recursive=True) if "ipykernel" in " ".join(one.cmdline())]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_report_leaves_nothing(number: int, tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "cosnb.cli", "report", "x*tanh(exp(x))", "--no-open", "--output", "page.html"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository_root())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    root, limit = psutil.Process(started.pid), time.monotonic() + 300
    while not (found := kernels(root)) and started.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)
    assert found, started.communicate()
    tree = root.children(recursive=True)
    started.send_signal(number)
    started.communicate(timeout=120)
    assert started.returncode == (130 if number == signal.SIGINT else 128 + number)
    _, alive = psutil.wait_procs(tree, timeout=10)
    assert alive == []
    assert list(tmp_path.iterdir()) == []
    scratch = repository_root() / "_build" / "notebooks" / "report"
    assert [one for one in scratch.iterdir() if one.name.startswith("formula_")] == []


@pytest.mark.parametrize("name", list(catalogue.CATALOGUE))
def test_a_formula_comes_back_from_its_text(name: str) -> None:
    expr = activation(name).expr
    assert activation(formula_text(expr)).expr == expr


def test_a_typed_formula_keeps_its_words_and_is_drawn_with_bars() -> None:
    own = sections.curve(activation(" abs(x)*tanh( x )\n"))
    assert sections.trainable([own]) == ["abs(x)*tanh( x )"]
    drawn = sections.formulas(own, (0, 1)).text
    assert r"$$f(x) = \left|{x}\right| \tanh{\left(x \right)}$$" in drawn
    assert r"\operatorname{sgn}\left(x\right)" in drawn
    assert "cases" not in drawn
    assert own.activation.source().startswith("# abs(x)*tanh( x ): f(x) = abs(x)*tanh(x)\n")
    assert r"\left|{2 x - 1}\right|^{3}" in formula_latex(activation("abs(2*x - 1)**3").expr)
    assert "2^{x}" in formula_latex(activation("2**x").expr)
    for text in ("abs(x)**3", "relu(x - 1)**2", "sign(2*x - 1)", "2**(-x/3)*x", "abs(x)**(3/4)*sign(x)"):
        assert formula_text(activation(text).expr).count("where") == 0
        assert activation(formula_text(activation(text).expr)).expr == activation(text).expr


def test_an_own_formula_is_trained_by_its_text() -> None:
    own = sections.curve(activation("swish", beta="2"))
    assert own.name == "yours"
    assert sections.curve(activation("silu")).name == "swish"
    (text,) = sections.trainable([own])
    config = TrainingConfig(text, "digits", 64, batch_size=8)
    assert config.activation == "x*sigmoid(2*x)"
    assert config.digest() == TrainingConfig(" x*sigmoid(2*x)", "digits", 64, batch_size=8).digest()
    record = {"config": {"activation": text}, "seed": 0}
    assert sections.named([record], own)[0]["config"]["activation"] == "yours"
    assert summary.title("yours") == "yours"


def test_values_are_read() -> None:
    assert sections.parse_values("a=5, c = 1/2") == {"a": "5", "c": "1/2"}
    assert sections.parse_values("") == {}


def test_accuracy_is_measured_in_bounded_time() -> None:
    whole = errors.error_table(activation("relu"), (0,)).text
    assert "65,280 (all)" in whole
    assert "Left out" not in whole
    bounded = errors.error_table(activation("x*tanh(exp(x))"), (1,), seconds=0.0).text
    assert "2,017" in bounded
    assert "Left out: f′ over all of bfloat16, float16, float32" in bounded
    row = next(line for line in bounded.splitlines() if "2,017" in line).split(" | ")
    assert row[1] in ("C", "PyTorch")
    assert row[-1].rstrip(" |") == "0"  # nothing lost
    assert float(row[-2]) > 0  # subnormal results stand apart


def test_a_formula_without_values_on_one_side_says_so() -> None:
    text = errors.error_table(activation("log(x)"), (0,)).text
    assert "Left out: f: " in text

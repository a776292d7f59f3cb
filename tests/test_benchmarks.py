"""The benchmarks: every combination is measured and written; no time is judged."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_triton import needs_triton

from cosnb.activations import activation
from cosnb.book import plots
from cosnb.book.plots.speed import speed
from cosnb.errors import CosnbError
from cosnb.paths import repository_root
from cosnb.symbolic.catalogue import CATALOGUE

sys.path.insert(0, str(repository_root() / "benchmarks"))
import activations
import campaign_speed
from elementwise import clock, report, rivals

PASSES = ("forward", "forward+backward")
DTYPES = ("float32", "bfloat16")
TINY = ["cos", "relu", "--exponents", "3", "6", "--rounds", "4", "--seconds", "0", "--threads", "1"]


@pytest.fixture(autouse=True)
def one_graph_without_a_compiler(monkeypatch):
    """Trace, but leave the code to eager mode: PyTorch's compiler would take a second for each of 24 graphs."""
    original, threads = torch.compile, torch.get_num_threads()
    monkeypatch.setattr(torch, "compile", lambda function, **settings: original(function, backend="eager", **settings))
    yield
    torch.set_num_threads(threads)
    torch.compiler.reset()


def row(kind, name="cos", which="forward", median=1.0, dtype="float32", size=2**22):
    return {
        "activation": name,
        "kind": kind,
        "pass": which,
        "dtype": dtype,
        "size": size,
        "median": median,
        "low": median,
        "high": median,
        "samples": 15,
    }


@pytest.mark.long
def test_every_combination_is_measured(tmp_path, capsys):
    assert activations.main([*TINY, "--output", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "activations.json").read_text(encoding="utf-8"))
    kinds = [("copy", "copy")]
    kinds += [(name, kind) for name in ("relu", "swish") for kind in ("cosnb", "torch", "plain", "compiled")]
    kinds += [("cos", kind) for kind in ("cosnb", "plain", "compiled")]  # with SiLU as the one of PyTorch
    expected = {(*kind, *rest) for kind, *rest in itertools.product(kinds, PASSES, DTYPES, (8, 64))}
    got = [(row["activation"], row["kind"], row["pass"], row["dtype"], row["size"]) for row in record["rows"]]
    assert set(got) == expected
    assert len(got) == len(expected)
    assert all(0 < row["low"] <= row["median"] <= row["high"] and row["samples"] == 4 for row in record["rows"])
    assert {"date", "commit", "versions", "device", "threads", "load_average", "memory_settings"} <= set(record)
    assert all(bound["met"] is None for bound in record["bounds"])
    text = (tmp_path / "activations.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    for which, dtype in itertools.product(PASSES, DTYPES):
        assert f"## {which}, {dtype}" in text
    for dtype in DTYPES:
        assert (tmp_path / f"activations-{dtype}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_check_fails_where_a_bound_was_not_measured(tmp_path):
    tiny = ["relu", "--exponents", "3", "--rounds", "4", "--seconds", "0", "--dtypes", "float32"]
    assert activations.main([*tiny, "--threads", "1", "--check", "--output", str(tmp_path)]) == 1


def test_what_is_slow_takes_part_in_every_third_round(monkeypatch):
    monkeypatch.setattr(clock, "_SLOW", 0)
    buffers = clock.Buffers(8, torch.float32, torch.device("cpu"), needs_grad=False)
    timing = clock.measure({"copy": rivals.copy_forward}, buffers, rounds=4, seconds=0)["copy"]
    assert timing.samples == 2


def test_bounds_are_ratios_of_medians():
    rows = [row("cosnb", median=2.0), row("torch", "swish", median=1.0), row("plain", median=40.0)]
    found = {bound["figure"]: (bound["ratio"], bound["met"]) for bound in report.bounds(rows)}
    assert found["CoS forward / PyTorch's SiLU forward"] == (2.0, False)
    assert found["CoS forward / plain CoS in eager mode"] == (0.05, True)
    assert found["Mish forward / PyTorch's Mish forward"] == (None, None)


def test_a_restless_copy_is_warned_of():
    calm, restless = row("copy", "copy") | {"high": 1.4}, row("copy", "copy") | {"high": 1.6}
    assert report.noise([calm]) == []
    assert "2^22: the copy's quartiles differ by a factor of 1.6" in report.noise([restless])[0]


@pytest.mark.parametrize("name", rivals.PLAIN)
def test_all_rivals_compute_the_same(name):
    x = torch.linspace(-6, 6, 257, dtype=torch.float64)
    expected = activation(name).elementwise()(x)
    functions = rivals.rivals(name, x.device, x.dtype)
    assert set(functions) == {"cosnb", "plain", "compiled"} | ({"torch"} if name != "cos" else set())
    for kind in functions.keys() - {"cosnb"}:
        # atol: plain GELU cancels in 1 + erf, to 1e-16 of x
        torch.testing.assert_close(functions[kind](x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_formula_has_a_plain_composition(name):
    x = torch.linspace(-6, 6, 257, dtype=torch.float64)
    made = activation(name)
    torch.testing.assert_close(rivals.compose(made.expr)(x) + 0 * x, made.elementwise()(x), rtol=1e-9, atol=1e-12)


def test_the_figure_has_a_panel_a_pass():
    rows = [
        row(kind, "cos" if kind != "copy" else "copy", which, median=3.0)
        for kind in ("cosnb", "copy")
        for which in PASSES
    ]
    figure = speed({"rows": rows, "yardsticks": {"cos": "swish"}})
    assert len(figure.axes) == 2
    assert isinstance(figure, plots.Picture)
    assert list(figure.axes[0].lines[0].get_ydata()) == [1.0]
    with pytest.raises(CosnbError, match="no bfloat16 times to draw: it has float32"):
        speed({"rows": rows, "yardsticks": {}}, "bfloat16")


# On a device it measures; here, under Triton's interpreter, that each contestant runs and is written down.
@pytest.mark.long
@needs_triton
def test_launches_are_compared_and_written(tmp_path: Path) -> None:
    small = "launches.LAYERS, launches.TILES, launches.CUTS = [(2, 8, 2, 2)], launches.TILES[:2], launches.CUTS[:1]"
    arguments = ["cos", "--exponent", "6", "--rounds", "4", "--seconds", "0", "--dtypes", "float32"]
    program = f"import launches; {small}; launches.main({[*arguments, '--output', str(tmp_path)]})"
    path = os.pathsep.join([str(repository_root() / "benchmarks"), *(path for path in sys.path if path)])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, timeout=200)
    record = json.loads((tmp_path / "launches.json").read_text())
    assert [row["pass"] for row in record["elementwise"]] == ["forward", "backward"]
    assert all(share > 0 for row in record["elementwise"] for share in row["share"].values())
    assert list(record["norm"][0]["seconds"]) == ["PyTorch's pair with ReLU", "(4096, 8, 64, 4)", "(2048, 4, 64, 4)"]
    assert "(1024, 4)" in (tmp_path / "launches.md").read_text()


@pytest.mark.long
def test_a_campaigns_runs_are_measured_beside_a_plain_program(tmp_path, capsys):
    tiny = [
        "squeezenet",
        "--device",
        "cpu",
        "--images",
        "16",
        "--rounds",
        "1",
        "--workers",
        "0",
        "--max-parallel",
        "2,3",
    ]
    assert campaign_speed.main([*tiny, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "campaign_speed-squeezenet.json").read_text(encoding="utf-8"))
    assert list(found["rows"]) == ["alone", "2 together", "3 together", "plain"]
    for row in found["rows"].values():
        ((training, test),) = row["epochs"]
        assert row["images_a_second"] == pytest.approx(16 / training)
        assert row["run_seconds"] == pytest.approx(200 * (50_000 / 16 * training + 10_000 / 3 * test))
    assert found["roofline_seconds"] > 0
    text = (tmp_path / "campaign_speed-squeezenet.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert text.count("(bound ") == len(found["bounds"]) == 4


@pytest.mark.parametrize(("alone", "together", "missed"), [(40.0, 20.0, []), (41.0, 19.0, [0, 2]), (30.0, 21.0, [1])])
def test_a_run_alone_and_a_run_of_several_have_bounds_of_their_own(alone, together, missed):
    rows = {"alone": alone, "2 together": 50.0, "8 together": together, "plain": 400.0}
    found = campaign_speed.bounds({name: {"run_seconds": seconds} for name, seconds in rows.items()}, 10.0)
    assert [place for place, bound in enumerate(found) if not bound["met"]] == missed
    assert found[1]["figure"].startswith("a run of 8 together")


def test_the_plain_programs_images_are_those_of_the_protocol():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    shown = campaign_speed.Images(images, torch.arange(4), augmented=False)
    for place, image in enumerate(images):
        pixels, label = shown[place]
        torch.testing.assert_close(pixels, (image.float() / 255 - 0.5) / 0.5)
        assert label == place
    turned, _ = campaign_speed.Images(torch.full_like(images, 255), torch.arange(4), augmented=True)[0]
    assert set(turned.unique().tolist()) <= {-1.0, 1.0}

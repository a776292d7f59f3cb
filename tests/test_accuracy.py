"""The accuracy tool against itself: its truth, its inputs, the two classes, its report and its command."""

import json
import math

import pytest
import torch
from mpmath import mp, mpf
from oracles import SMOOTH, oracle

from cosnb.accuracy import ends, errors, measure, points, record, table, ulp_errors
from cosnb.accuracy.errors import Errors, settle
from cosnb.accuracy.truth import Truth, terms
from cosnb.activations import activation
from cosnb.book.plots.accuracy import errors_over_x
from cosnb.cli import main
from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.diagnostics import exhaustive
from cosnb.symbolic.catalogue import CATALOGUE
from cosnb.symbolic.functions import sigmoid

FORMATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def truth(text: str, order: int = 0) -> Truth:
    act = activation(text)
    return Truth(act.derivative(order), act.x)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_exact_truth_is_the_closed_form(name: str, order: int) -> None:
    for point in (-700.5, -90.25, -1.8, -1e-30, 0.0, 1e-7, 0.3, 44.5, 3e38):
        exact = truth(name, order).exact(point).value
        assert abs(exact - oracle(name, point, order)) <= mpf(10) ** -24 * max(abs(exact), mpf(10) ** -400)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_bound_of_the_float64_truth_holds_and_decides_float32(name: str) -> None:
    x = torch.cat([torch.linspace(-11, 12, 12), torch.tensor([-80.3, -1e-20, 3e-6, 60.0])]).double()
    for order in (0, 1):
        exact = truth(name, order)
        ball, scale = exact.balls(x)
        for point, value, error, unit in zip(*(v.tolist() for v in (x, *ball, scale)), strict=True):
            assert abs(exact.exact(point).value - value) <= error
            assert error <= 2.0**-32 * unit + 1e-300


def test_lost_digits_show_in_the_bound() -> None:
    ball, _ = truth("(x + 1 - x)*exp(x) - exp(x) + (1e8 + x) - 1e8").balls(torch.tensor([1e-12, 1.0]).double())
    assert ball.error.max() < 1e-6
    ball, _ = truth("exp(x)*cos(exp(x))").balls(torch.tensor([0.1, 60.0]).double())
    assert ball.error[0] < 1e-12
    assert not ball.error[1] < 1  # cos(1e26) of a rounded argument


def test_an_exponential_of_an_exponential_has_a_truth() -> None:
    assert truth("tanhexp").exact(1e30).value == mpf(1e30)
    assert truth("tanhexp", 1).exact(1e30).value == 1


def test_terms_are_the_addends_of_each_piece() -> None:
    act = activation("where(x < 1, x + exp(x), 3*x)")
    first, second = terms(act.expr)
    for point in (0.5, 2.0):
        both = first.subs(act.x, point) + second.subs(act.x, point)
        assert float(both) == pytest.approx(float(act.expr.subs(act.x, point)))
    assert truth("where(x < 1, x + exp(x), 3*x)").exact(2.0).scale == 6


@pytest.mark.parametrize(("name", "order", "point"), [("tanh", 1, 60.0), ("tanh", 1, 100.0), ("mish", 0, -200.0)])
def test_ulp_errors_far_out_in_float64(name: str, order: int, point: float) -> None:
    with mp.workdps(1000):
        u = mpf(point)
        exact = mp.sech(u) ** 2 if name == "tanh" else u * mp.tanh(mp.log(1 + mp.exp(u)))
        nearest = float(exact)
        third = nearest + 3 * math.ulp(nearest)
        expected = [float(abs(value - exact)) / math.ulp(nearest) for value in (nearest, third)]
    act, x = activation(name), torch.full((1, 2), point, dtype=torch.float64)
    computed = torch.tensor([[nearest, third]], dtype=torch.float64)
    found = ulp_errors(lambda p: computed, act.derivative(order), act.x, x)
    assert found.shape == x.shape
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-9)
    assert expected[0] <= 0.5 < 2.5 <= expected[1]


def test_no_real_value_is_said_so() -> None:
    with pytest.raises(CosnbError, match="no real value"):
        truth("log(x)").exact(-1.0)


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_ordinals_count_the_numbers(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    x = torch.tensor([-info.max, -1.0, -info.tiny, 0.0, info.tiny, 1.0, info.max], dtype=dtype)
    assert torch.equal(points.number(points.ordinal(x), dtype), x)
    above = torch.nextafter(x[:-1], torch.full_like(x[:-1], math.inf))
    assert torch.equal(points.ordinal(above), points.ordinal(x[:-1]) + 1)


def test_every_16_bit_number_is_an_input_once() -> None:
    for dtype, finite in ((torch.bfloat16, 65280), (torch.float16, 63488)):
        whole = torch.cat(list(points.every(dtype, chunk=1000)))
        assert len(whole) == finite
        assert len(whole.view(torch.int16).unique()) == finite
        assert whole.isfinite().all()


def test_the_sample_has_the_neighbourhoods_that_matter() -> None:
    act = activation("cos")
    x = points.sample(truth("cos"), [act.program(0)], torch.float32, 1 << 14)
    assert 1 << 13 < len(x) <= 1 << 15
    root = -1.8677156  # of f, with its neighbours
    for place in (0.0, 2.0**-149, 2.0**-126, 1.0, -64.0, root, torch.finfo(torch.float32).max):
        at = torch.tensor(place, dtype=torch.float32)
        assert ((points.ordinal(x) - points.ordinal(at)).abs() <= 4).sum() >= 3
    kinked = points.sample(truth("where(x < 0.7, x, x**2)"), [], torch.float32, 1 << 14)
    assert ((kinked - 0.7).abs() < 4e-7).sum() >= 6


def test_the_two_classes_and_the_subnormals() -> None:
    ulp = 2.0**-23
    assert settle(1 + 3 * ulp, mpf(1), mpf(64), torch.float32) == ("1", 3.0)
    assert settle(1 + 3 * ulp, mpf(1), mpf(65), torch.float32) == ("2", 3 / 64)
    assert settle(3 * 2.0**-149, mpf(2) ** -149, mpf(2) ** -149, torch.float32) == ("subnormal", 2.0)
    assert settle(0.0, mpf(0), mpf(0), torch.float16) == ("subnormal", 0.0)


def test_float64_and_mpmath_find_the_same_errors_and_lost_values_are_counted() -> None:
    exact, x = truth("cos"), torch.linspace(-3, 3, 501)
    got = activation("cos").elementwise()(x)
    got[7], got[9] = math.nan, math.inf
    ball, scale = exact.balls(x.double())
    found = []
    for exactly in (False, True):
        collected = Errors(torch.float32)
        collected.add(x, got, ball, scale, exactly)
        collected.decide(exact)
        found.append(collected)
    fast, slow = found
    assert fast.lost == slow.lost == 2
    for name in errors.CLASSES:
        assert fast.classes[name].count == slow.classes[name].count
        assert fast.classes[name].error == pytest.approx(slow.classes[name].error, rel=1e-6)
        assert fast.classes[name].at == slow.classes[name].at


def test_an_overflow_to_the_right_infinity_is_no_loss() -> None:
    exact, x = truth("x**2"), torch.tensor([1e30, -1e30, 1.0])
    for wrong, got in ((0, [math.inf, math.inf, 1]), (1, [math.inf, -math.inf, 1]), (1, [math.nan, math.inf, 1])):
        collected = Errors(torch.float32)
        collected.add(x, torch.tensor(got), *exact.balls(x.double()))
        collected.decide(exact)
        assert collected.lost == wrong


def test_the_command_prints_a_table_and_writes_figures(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    data, plot = tmp_path / "swish.json", tmp_path / "swish.svg"
    arguments = ["accuracy", "x*sigmoid(x)", "--target", "pytorch", "--format", "bfloat16", "--order", "1"]
    assert main([*arguments, "--json", str(data), "--plot", str(plot)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    (measured,) = json.loads(data.read_text())["measurements"]
    assert sum(found["inputs"] for found in measured["classes"].values()) == 65280
    assert measured["every_input"]
    assert measured["nan_or_inf"] == measured["undecided"] == 0
    assert measured["truth_checked"] >= 2000
    assert 0 < measured["truth_tightness"] <= 1
    for found in measured["classes"].values():
        assert found["error"] <= 0.51
        assert float.fromhex(found["at_hex"]) == found["at"]
    assert plot.read_text().count("<path") > 20


def test_the_histogram_counts_every_input_once() -> None:
    collected, exact = Errors(torch.float32), truth("x")
    x = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    ulp = 2.0**-23
    got = x.double() * (1 + ulp * torch.tensor([0, 0.5, 0.51, 3.0, 2.0**25], dtype=torch.float64))
    collected.add(x, got, *exact.balls(x.double()))
    counted = {end: n for end, n in zip([*errors.HISTOGRAM, math.inf], collected.histogram.tolist(), strict=True) if n}
    assert counted == {0.125: 1, 0.5: 1, 0.625: 1, 3.0: 1, math.inf: 1}
    assert sum(largest.count for largest in collected.classes.values()) == 5


@pytest.mark.parametrize("count", [1, 255, 256, 10_000])
def test_bins_hold_the_largest_errors_however_many_inputs_share_one(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    x = points.number((torch.arange(count) - count // 2) * 200_000, torch.float32)
    error = torch.rand(count, generator=generator, dtype=torch.float64)
    collected = Errors(torch.float32)
    collected._bin(x.double(), error)
    edges, expected = errors.bin_edges().tolist(), [-1.0] * (2 * errors.BINS)
    for value, found in zip(x.tolist(), error.tolist(), strict=True):
        place = max((i for i, edge in enumerate(edges) if abs(value) >= edge), default=0) + errors.BINS * (value >= 0)
        expected[place] = max(expected[place], found)
    assert collected.bins.tolist() == expected


def test_a_stride_leaves_the_numbers_between_out() -> None:
    whole = torch.cat(list(points.every(torch.float32, chunk=100, stride=1 << 22)))
    assert len(whole) == 2 + 2 * (2**31 - 2**23 - 1) // 2**22
    (measured,) = measure(activation("relu"), ["pytorch"], ["float32"], [0], stride=1 << 22)
    assert int(measured.errors.histogram.sum()) == len(whole)
    assert not measured.every


def test_the_truth_is_checked_where_it_was_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose exponential errs beyond what its documentation says is found out."""
    from cosnb.accuracy import balls

    rule = balls._rule(lambda u: torch.sigmoid(u) * (1 + 1e-12), lambda value, error: torch.ones_like(value))
    monkeypatch.setitem(balls._FUNCTIONS, sigmoid, rule)
    with pytest.raises(CosnbError, match="the float64 truth is off by"):
        measure(activation("swish"), ["pytorch"], ["bfloat16"], [0])


def test_records_are_made_once_and_in_pieces(tmp_path) -> None:  # type: ignore[no-untyped-def]
    said: list[str] = []
    settings = {"target_names": ["pytorch"], "stride": 1 << 22, "root": tmp_path, "say": said.append}
    assert exhaustive.record_missing(["relu", "swish"], minutes=0, **settings) == ["relu", "swish"]
    assert exhaustive.record_missing(["relu"], **settings) == []
    assert said[0] == "relu: f, float32, pytorch"
    count = len(said)
    assert exhaustive.record_missing(["relu"], **settings) == []
    assert len(said) == count
    (found,) = results.read("pytorch-accuracy", tmp_path)
    assert found["config"]["inputs"] == "every 4,194,304th float32 number, every 16-bit one"
    assert found["device"]["type"] == "cpu"
    measured = found["measured"]["measurements"]
    assert len(measured) == 3 * 3
    assert all(len(one["bins"]) == 2 * len(found["measured"]["bin_edges"]) == 112 for one in measured)
    assert exhaustive.recorded(tmp_path) == []  # a sample is not every number
    head, rows = exhaustive.table([found], "bfloat16")
    assert [dict(zip(head, row, strict=True))["≤ 0.5"] for row in rows] == ["100 %"] * 3
    assert [row[0] for row in rows] == ["ReLU", "ReLU′", "ReLU′′"]


def test_the_command_keeps_records(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path))
    arguments = ["accuracy", "relu", "x**3", "--record", "--stride", str(1 << 24), "--target", "pytorch"]
    assert main([*arguments, "--minutes", "0"]) == 0
    assert "0 recorded, left: relu, x**3" in capsys.readouterr().out
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "2 recorded" in said
    assert "| f′′ | pytorch | float16" in said
    assert len(results.read("pytorch-accuracy")) == 2
    assert main([*arguments, "--order", "1"]) == 2
    assert main(["accuracy", "relu", "cos"]) == 2
    assert "only with --record" in capsys.readouterr().err


def test_shares_are_never_rounded_up_to_all() -> None:
    assert exhaustive._percent(1 - 2**-32) == "99.999 %"
    assert exhaustive._percent(1.0) == "100 %"


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(CosnbError, match="unknown format 'int8': the formats are float32"):
        measure(activation("relu"), formats=["int8"])
    with pytest.raises(CosnbError, match="does not run here"):
        measure(activation("relu"), ["fortran"])
    with pytest.raises(CosnbError, match="no measurement"):
        errors_over_x(record(activation("relu"), []))
    assert table([]).count("\n") == 1


def test_oracle_of_the_bins() -> None:
    collected = Errors(torch.float32)
    with mp.workdps(30):
        for x in (1.0, -1.0, 1e-30):
            collected.take(x, x, truth("relu").exact(abs(x)))
    assert int((collected.bins >= 0).sum()) == 3


def test_values_at_the_ends_are_held_against_the_limits() -> None:
    assert ends.limits(activation("cos")) == pytest.approx((0.25, math.inf, math.nan), nan_ok=True)
    assert ends.limits(activation("sine"))[:2] == (None, None)
    assert ends.check(activation("cos"), ["pytorch"], ["float32", "bfloat16"]) == (12, [])
    right, wrong = ends.Ends(0.0, math.inf), ends.Ends(math.nan, 1.0, 2.0)
    assert ends.differences("f", right, right, "float32") == []
    assert ends.differences("f", wrong, right, "float32") == [
        "f(−∞) = NaN, not 0",
        "f(∞) = 1, not ∞",
        "f(NaN) = 2, not NaN",
    ]
    assert ends.differences("f", wrong, ends.Ends(None, None), "float32") == ["f(NaN) = 2, not NaN"]
    own = ends.check_own(activation("swish"))
    assert own is not None
    assert "f(−∞) = NaN, not 0" in own
    assert ends.check_own(activation("cos")) is None
    assert ends.check_own(activation("threshold", theta=2)) is None


def test_own_functions_that_take_arguments_are_held_against_the_limits_too() -> None:
    gelu = ends.check_own(activation("gelu_tanh"))
    assert gelu is not None
    assert "f(−∞) = NaN, not 0" in gelu
    threshold = ends.check_own(activation("threshold"))
    assert threshold is not None
    assert not [told for told in threshold if told.startswith("f(")]

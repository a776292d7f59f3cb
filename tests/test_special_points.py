"""Values and derivatives at and next to the points where a formula is 0/0, ±∞, or has a value of its own."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy
import pytest
import sympy
import torch
from c_library import build
from mpmath import mp, mpf
from test_triton import needs_triton, work
from test_vega_source import NEEDS_NODE, evaluate
from torch import Tensor

from cosnb import CosnbError, activation
from cosnb.accuracy import targets
from cosnb.accuracy.pointwise import ulp_errors
from cosnb.accuracy.truth import Truth
from cosnb.analysis import special
from cosnb.codegen.targets import vega

# Formula, f written once more in mpmath, the point, and f, f′ and f″ there (by hand, from the series).
REMOVABLE: dict[str, tuple[Callable[[mpf], mpf], float, tuple[float, float, float]]] = {
    "where(x == 0, 1, expm1(x)/x)": (lambda x: mp.expm1(x) / x, 0, (1, 1 / 2, 1 / 3)),
    "where(x == 0, 1, sin(x)/x)": (lambda x: mp.sin(x) / x, 0, (1, 0, -1 / 3)),
    "where(x == 0, 1, log1p(x)/x)": (lambda x: mp.log1p(x) / x, 0, (1, -1 / 2, 2 / 3)),
    "x/(1 - exp(-x))": (lambda x: x / -mp.expm1(-x), 0, (1, 1 / 2, 1 / 6)),
    "sin(x)/x": (lambda x: mp.sin(x) / x, 0, (1, 0, -1 / 3)),
    "expm1(x)/x": (lambda x: mp.expm1(x) / x, 0, (1, 1 / 2, 1 / 3)),
    "log1p(x)/x": (lambda x: mp.log1p(x) / x, 0, (1, -1 / 2, 2 / 3)),
    "tanh(x)/x": (lambda x: mp.tanh(x) / x, 0, (1, 0, -2 / 3)),
    "(exp(x) - 1 - x)/x**2": (lambda x: (mp.exp(x) - 1 - x) / x**2, 0, (1 / 2, 1 / 6, 1 / 12)),
    "(1 - cos(x))/x**2": (lambda x: (1 - mp.cos(x)) / x**2, 0, (1 / 2, 0, -1 / 12)),
    "(x - 1)/log(x)": (lambda x: (x - 1) / mp.log(x), 1, (1, 1 / 2, -1 / 6)),
    "sin(abs(x))/abs(x)": (lambda x: mp.sin(x) / x, 0, (1, 0, -1 / 3)),
    "x/(exp(2*x) - 1)": (lambda x: x / mp.expm1(2 * x), 0, (1 / 2, -1 / 2, 1 / 3)),
}
AWAY = [1e-30, 1e-10, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]
# Ulp of f⁽ⁿ⁾; seen are 35, of (tanh(x)/x)″ at 1, next to its zero, and 31 of ((x − 1)/log(x))″ at 1.5 in NumPy.
BOUND = 40


def exact(text: str, order: int, at: float) -> mpf:
    f, point, values = REMOVABLE[text]
    if at == point:
        return mpf(values[order])
    with mp.workdps(250):
        return mp.diff(f, mpf(at), order, h=mpf(10) ** -80) if order else f(mpf(at))


def points(text: str, dtype: torch.dtype) -> Tensor:
    centre = REMOVABLE[text][1]
    sides = [centre + side * away for away in AWAY for side in (-1, 1)]
    if "log1p" in text:
        sides = [point for point in sides if point > -0.9]
    if centre == 1:
        sides = [point for point in sides if point > 0.2]
    return torch.tensor([float(centre), *sides], dtype=dtype).unique()


def errors(text: str, order: int, x: Tensor, got: Tensor) -> list[tuple[float, float]]:
    """(error in ulp of the truth, at least of 1/64 of f⁽ⁿ⁾'s size near the point; x)."""
    unit = torch.finfo(x.dtype).eps
    found = []
    for at, value in zip(x.tolist(), got.tolist(), strict=True):
        true = exact(text, order, at)
        size = max(abs(true), mpf(1) / 64 if abs(at) > 0.6 else mpf(torch.finfo(x.dtype).tiny))
        found.append((float(abs(mpf(value) - true) / (size * unit)) if math.isfinite(value) else math.inf, at))
    return found


@pytest.mark.long
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("text", REMOVABLE)
def test_digits_stay_at_and_next_to_a_removable_singularity(text: str, order: int) -> None:
    act = activation(text)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        x = points(text, dtype)
        for target in targets.available():
            if targets.supports(target, dtype):
                worst = max(errors(text, order, x, targets.function(act, target, order)(x)))
                assert worst[0] <= (BOUND if dtype in (torch.float32, torch.float64) else 1), (target, dtype, worst)


@NEEDS_NODE
@pytest.mark.long
def test_charts_have_the_digits_too() -> None:
    for order in range(3):
        sources = [vega.source(activation(text).derivative(order)) for text in REMOVABLE]
        for text, source in zip(REMOVABLE, sources, strict=True):
            x = points(text, torch.float64)
            (got,) = evaluate([source], x.tolist())
            found = errors(text, order, x, torch.from_numpy(got))
            assert max(found)[0] * torch.finfo(torch.float64).eps < 1e-10, (text, order, max(found))


@needs_triton
@pytest.mark.long
def test_triton_has_the_values_of_c(tmp_path: Path) -> None:
    texts = ["where(x == 0, 1, sin(x)/x)", "x/(1 - exp(-x))", "log(abs(x))", "x/abs(x)", "sign(x)*sqrt(abs(x))"]
    x = torch.tensor([0.0, 1e-12, -1e-6, 0.01, -0.5, 2.0])
    pairs = [(activation(text).program(1), activation(text).program(2, product=True)) for text in texts]
    cases = [(*pair, [(torch.ones_like(x), x)]) for pair in pairs]
    for text, ((y, dx),) in zip(texts, work("run", cases, tmp_path, TRITON_INTERPRET="1"), strict=True):
        for order, got in ((1, y), (2, dx)):
            want = targets.function(activation(text), "c", order)(x)
            assert torch.allclose(got, want, rtol=2e-5, atol=0, equal_nan=True), (text, order, got, want)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("log(abs(x))", (-math.inf, math.nan, -math.inf)),
        ("x*log(abs(x))", (0, -math.inf, math.nan)),
        ("where(x == 0, 0, x*log(abs(x)))", (0, -math.inf, 0)),
        ("log(relu(x))", (-math.inf, math.nan, math.nan)),
        ("1/abs(x)", (math.inf, math.nan, math.inf)),
        ("x/abs(x)", (math.nan, 0, 0)),
        ("abs(x)**-0.5", (math.inf, math.nan, math.inf)),
        ("1/x", (math.nan, -math.inf, math.nan)),
        ("1/x**2", (math.inf, math.nan, math.inf)),
        ("sqrt(abs(x))", (0, 0, -math.inf)),
        ("sign(x)*sqrt(abs(x))", (0, math.inf, 0)),
        ("exp(-1/abs(x))", (0, 0, 0)),
        ("exp(-1/x**2)", (0, 0, 0)),
        ("where(x > 0, exp(-1/x), 0)", (0, 0, 0)),
        ("where(x == 0, 5, x)", (5, 1, 0)),
        ("where(x > 0, sqrt(x), 0)", (0, 0, 0)),
        ("abs(x)", (0, 0, 0)),
        ("relu(x)/x", (0, 0, 0)),
        ("x*log(x)", (0, -math.inf, math.inf)),
    ],
)
def test_values_at_0(text: str, values: tuple[float, float, float]) -> None:
    act = activation(text)
    for order, want in enumerate(values):
        for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            x = torch.tensor([0.0], dtype=dtype)
            for target in targets.available():
                if targets.supports(target, dtype):
                    got = targets.function(act, target, order)(x).item()
                    assert got == want or (math.isnan(want) and math.isnan(got)), (target, order, dtype, got)


@pytest.mark.parametrize("text", ["log(abs(x))", "x*log(abs(x))", "1/abs(x)", "sqrt(abs(x))"])
def test_values_away_from_a_pole_are_those_of_autograd(text: str) -> None:
    act = activation(text)
    plain = {
        "log(abs(x))": lambda x: x.abs().log(),
        "x*log(abs(x))": lambda x: x * x.abs().log(),
        "1/abs(x)": lambda x: 1 / x.abs(),
        "sqrt(abs(x))": lambda x: x.abs().sqrt(),
    }[text]
    x = torch.tensor([-30.0, -1.5, -1e-3, -1e-9, 1e-12, 0.2, 7.0], dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        ours, theirs = act(x), plain(x)
        assert torch.allclose(ours, theirs, rtol=1e-13, atol=0)
        (first,), (wanted,) = (torch.autograd.grad(y.sum(), x, create_graph=True) for y in (ours, theirs))
        assert torch.allclose(first, wanted, rtol=1e-12, atol=0)
        if wanted.requires_grad:
            second, want = (torch.autograd.grad(y.sum(), x)[0] for y in (first, wanted))
            assert torch.allclose(second, want, rtol=1e-12, atol=1e-300)


def test_gradcheck_at_the_point_itself() -> None:
    for text in ("where(x == 0, 1, expm1(x)/x)", "sin(x)/x", "x/(1 - exp(-x))"):
        x = torch.tensor([0.0, 1e-3, -0.4], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(activation(text), x)
        assert torch.autograd.gradgradcheck(activation(text), x)


def test_derivative_says_what_holds_at_the_point() -> None:
    act = activation("sin(x)/x")
    assert act.derivative(0).subs(act.x, 0) == 1
    assert act.derivative(2).subs(act.x, 0) == sympy.Rational(-1, 3)
    assert activation("mish").derivative(1) == sympy.diff(activation("mish").expr, activation("mish").x)


def test_division_by_0_on_an_interval_is_refused_with_its_reason() -> None:
    with pytest.raises(CosnbError, match="not a finite real number on an interval of x"):
        activation("1/relu(x)")


def test_terms_that_cancel_next_to_a_point_are_no_excuse() -> None:
    act = activation("x/(1 - exp(-x))")
    assert Truth(act.derivative(2), act.x).exact(1e-6).scale == pytest.approx(1 / 6)
    lost = ulp_errors(lambda x: torch.full_like(x, -130049.5), act.derivative(2), act.x, torch.tensor([1e-6]))
    assert lost.item() > 1e12


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("swish", {"beta": 50}), ("softplus", {"beta": 100}), ("sigmoid(50*x)", {}), ("x*sigmoid(100*x)", {})],
)
def test_steep_functions_compile_without_warnings(name: str, parameters: dict[str, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        act = activation(name, **parameters)
        act.program(1), act.program(2)


def test_headers_in_c_have_the_limits(tmp_path: Path) -> None:
    programs = {f"f{order}": activation("where(x == 0, 1, sin(x)/x)").program(order) for order in range(3)}
    functions = build(programs, tmp_path)
    x = torch.tensor([0.0, 1e-20])
    for order, want in enumerate((1, 0, -1 / 3)):
        got = functions[f"f{order}"](x)
        assert numpy.allclose(got.numpy(), want, rtol=1e-6, atol=1e-19), (order, got)
    assert mpmath.isfinite(got[0].item())


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("abs(x*log(abs(x) + 1))", lambda v: abs(v) * math.log1p(abs(v))),
        (
            "abs(where(x > 0, exp(-x**2), x*log(abs(x) + 1)))",
            lambda v: math.exp(-v * v) if v > 0 else -v * math.log1p(-v),
        ),
        ("where(abs(x) <= 1, abs(log1p(relu(x))), x)", lambda v: math.log1p(max(v, 0)) if abs(v) <= 1 else v),
        ("abs(where(x > 0, relu(x)**0.75, sqrt(x**2 + 0.5)))", lambda v: v**0.75 if v > 0 else math.sqrt(v * v + 0.5)),
    ],
)
def test_the_piece_next_to_a_point_is_the_one_that_holds(text: str, true: Callable[[float], float]) -> None:
    points = [-2.5, -0.5, -3e-7, -1e-16, 1e-16, 3e-7, 0.5, 2.5]
    got = activation(text)(torch.tensor(points, dtype=torch.float64)).tolist()
    assert got == pytest.approx(list(map(true, points)), rel=1e-14, abs=1e-40)


def test_special_points_of_a_periodic_formula_share_their_expansions() -> None:
    formula = activation("sin(2*pi*x)/sin(pi*x)")
    points = [sympy.Integer(k) for k in (-3, -2, 0, 1, 24)]
    assert special.surroundings(formula.expr, formula.x, points) == [[-3, 1], [-2, 0, 24]]
    alone = activation("where(x == 0, 2, sin(2*pi*x)/sin(pi*x))")
    assert [0] in special.surroundings(alone.expr, alone.x, points)

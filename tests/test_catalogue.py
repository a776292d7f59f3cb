"""The catalogue's formulas against PyTorch's own functions and against closed forms."""

import math
from collections.abc import Callable
from inspect import signature

import pytest
import sympy
import torch
from mpmath import mp
from oracles import NAMES, oracle
from torch import Tensor, nn

from cosnb.errors import CosnbError
from cosnb.paths import repository_root
from cosnb.symbolic.catalogue import CATALOGUE, Formula, get, names, x
from cosnb.symbolic.catalogue.formula import a, c
from cosnb.symbolic.functions import erfc, sigmoid, softplus

POINTS = torch.cat([torch.linspace(-20, 20, 161), torch.tensor([-1e-9, 1e-9, 5.999999, 6.000001])]).double()
PYTORCH = [row.name for row in CATALOGUE.values() if row.torch_name]
# The parameters that torch.nn calls otherwise, and those of a row for which torch.nn has no name or no default
ARGUMENTS = {"weight": "init", "theta": "threshold"}
# Where float64's own functions lose digits: x·erfc in GELU's left tail, x − tanh(x) and 1 + tanh(y) by cancellation
LOOSE = {"gelu": 1e-13, "gelu_tanh": 4e-16, "tanhshrink": 4e-15, "celu": 1e-16, "softsign": 1e-16}
KINKS = {
    "relu": (0,),
    "relu6": (0, 6),
    "elu": (0,),
    "selu": (0,),
    "celu": (0,),
    "leaky_relu": (0,),
    "prelu": (0,),
    "hardsigmoid": (-3, 3),
    "hardswish": (-3, 3),
    "hardtanh": (-1, 1),
    "hardshrink": (-0.5, 0.5),
    "softshrink": (-0.5, 0.5),
    "softsign": (0,),
    "threshold": (1,),
}


def value(row: Formula, point: float, order: int = 0, **parameters: sympy.Rational) -> sympy.Expr:
    """The catalogue's formula, differentiated by SymPy, at a point, to 30 digits (mpmath's)."""
    values = {symbol: parameters.get(symbol.name, default) for symbol, default in row.parameters.items()}
    expr = sympy.diff(row.expr.subs(values), x, order)
    return expr.subs(x, sympy.Rational(point)).evalf(30)


def torch_module(name: str, **parameters: float) -> nn.Module:
    if name == "gelu_tanh":
        return nn.GELU(approximate="tanh")
    if name == "threshold":
        return nn.Threshold(**{ARGUMENTS.get(k, k): v for k, v in ({"theta": 1.0, "value": 0.0} | parameters).items()})
    if name == "softplus":
        return nn.Softplus(threshold=1e6, **parameters)
    arguments = {ARGUMENTS.get(key, key): number for key, number in parameters.items()}
    return getattr(nn, CATALOGUE[name].torch_name)(**arguments).double()


def test_the_catalogue_has_the_seven_functions_of_the_sources_and_what_is_elementwise_in_torch() -> None:
    assert {*NAMES} < set(CATALOGUE)
    assert len(CATALOGUE) >= 40
    assert f"one of {len(CATALOGUE)} in the catalogue" in (repository_root() / "README.md").read_text(encoding="utf-8")
    others = {"GLU", "LogSoftmax", "MultiheadAttention", "RReLU", "Softmax", "Softmax2d", "Softmin", "Threshold"}
    assert {row.torch_name for row in CATALOGUE.values()} - {""} == set(nn.modules.activation.__all__) - others


@pytest.mark.parametrize("name", [*PYTORCH, "gelu_tanh", "threshold"])
def test_formula_equals_pytorch_s_own_function(name: str) -> None:
    ours = torch.tensor([float(value(CATALOGUE[name], point)) for point in POINTS.tolist()], dtype=torch.float64)
    theirs = torch_module(name)(POINTS).detach()
    torch.testing.assert_close(ours, theirs, rtol=4e-15, atol=LOOSE.get(name, 1e-18))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("elu", {"alpha": 0.5}),
        ("celu", {"alpha": 2.0}),
        ("leaky_relu", {"negative_slope": 0.125}),
        ("prelu", {"weight": -0.5}),
        ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
        ("hardshrink", {"lambd": 1.5}),
        ("softshrink", {"lambd": 1.5}),
        ("threshold", {"theta": -1.0, "value": 20.0}),
        ("softplus", {"beta": 2.5}),
    ],
)
def test_parameters_equal_pytorch_s(name: str, parameters: dict[str, float]) -> None:
    row, points = CATALOGUE[name], [-7.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 0.75, 1.5, 9.0]
    exact = {key: sympy.Rational(number) for key, number in parameters.items()}
    input = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    theirs = torch_module(name, **parameters)(input)
    (slopes,) = torch.autograd.grad(theirs.sum(), input)
    for order, expected in enumerate((theirs.detach(), slopes)):
        ours = torch.tensor([float(value(row, point, order, **exact)) for point in points], dtype=torch.float64)
        torch.testing.assert_close(ours, expected, rtol=4e-15, atol=1e-16)


@pytest.mark.parametrize("name", PYTORCH)
def test_defaults_are_those_of_torch_nn(name: str) -> None:
    known = signature(getattr(nn, CATALOGUE[name].torch_name)).parameters
    for symbol, default in CATALOGUE[name].parameters.items():
        if name != "swish":  # SiLU has no parameter
            assert known[ARGUMENTS.get(symbol.name, symbol.name)].default == float(default)


@pytest.mark.parametrize(("name", "points"), KINKS.items())
def test_the_derivative_at_a_kink_is_pytorch_s(name: str, points: tuple[float, ...]) -> None:
    for point in points:
        input = torch.tensor(float(point), dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(torch_module(name)(input), input)
        assert float(value(CATALOGUE[name], point, 1)) == pytest.approx(slope.item(), rel=1e-15)


def test_each_kink_of_a_function_in_torch_is_tested() -> None:
    kinked = {row.name for row in CATALOGUE.values() if row.expr.has(sympy.Piecewise)}
    assert {name for name in kinked if CATALOGUE[name].torch_name} | {"threshold"} == set(KINKS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_nan_falls_to_a_piece_that_holds_x_and_no_derivative_is_a_distribution(name: str) -> None:
    row = CATALOGUE[name]
    for piecewise in row.expr.atoms(sympy.Piecewise):
        last, condition = piecewise.args[-1]
        assert condition == sympy.true
        assert last.has(x)
    assert not row.expr.has(sympy.Abs, sympy.sign)
    assert not sympy.diff(row.expr, x, 3).has(sympy.DiracDelta, sympy.Derivative, sympy.Subs)


SIGMOID = {v: 1 / (1 + mp.exp(-v)) for v in (-3.25, 0.5, 2.0)}


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("eswish", lambda v: mp.mpf(5) / 4 * v * SIGMOID[v]),
        ("quick_gelu", lambda v: v / (1 + mp.exp(-mp.mpf("1.702") * v))),
        ("tanhexp", lambda v: v * mp.tanh(mp.exp(v))),
        ("serf", lambda v: v * mp.erf(mp.log(1 + mp.exp(v)))),
        ("phish", lambda v: v * mp.tanh(v * mp.ncdf(v))),
        ("logish", lambda v: v * mp.log(1 + SIGMOID[v])),
        ("smish", lambda v: v * mp.tanh(mp.log(1 + SIGMOID[v]))),
        ("dsilu", lambda v: mp.diff(lambda z: z / (1 + mp.exp(-z)), v)),
        ("sinlu", lambda v: (v + mp.sin(v)) * SIGMOID[v]),
        ("lisht", lambda v: v * mp.tanh(v)),
        ("squareplus", lambda v: (v + mp.sqrt(mp.mpf(v) ** 2 + 4)) / 2),
        ("relu_squared", lambda v: max(v, 0) ** 2),
        ("star_relu", lambda v: mp.mpf("0.8944") * max(v, 0) ** 2 - mp.mpf("0.4472")),
        ("smelu", lambda v: max(v, 0) if abs(v) >= 1 else (mp.mpf(v) + 1) ** 2 / 4),
        ("hard_mish", lambda v: mp.mpf(v) / 2 * min(2, max(0, v + 2))),
        ("rrelu", lambda v: v if v >= 0 else mp.mpf(11) / 48 * v),
        ("sparse_sigmoid", lambda v: min(1, max(0, (mp.mpf(v) + 1) / 2))),
        ("isrlu", lambda v: v / mp.sqrt(1 + mp.mpf(v) ** 2) if v < 0 else v),
        ("nlrelu", lambda v: mp.log(1 + max(v, 0))),
        ("lecun_tanh", lambda v: mp.mpf("1.7159") * mp.tanh(mp.mpf(2) / 3 * v)),
        ("arctan", lambda v: mp.atan(v)),
        ("isru", lambda v: v / mp.sqrt(1 + mp.mpf(v) ** 2)),
        ("symlog", lambda v: mp.sign(v) * mp.log(1 + abs(v))),
        ("bent_identity", lambda v: (mp.sqrt(mp.mpf(v) ** 2 + 1) - 1) / 2 + v),
        ("snake", lambda v: v + mp.sin(v) ** 2),
        ("gcu", lambda v: v * mp.cos(v)),
        ("sinusoid", lambda v: mp.sin(v)),
        ("gaussian", lambda v: mp.exp(-(mp.mpf(v) ** 2))),
    ],
)
def test_other_rows_equal_the_papers_formulas(name: str, paper: Callable[[float], object]) -> None:
    for point in SIGMOID:
        assert float(value(CATALOGUE[name], point)) == pytest.approx(float(paper(point)), rel=1e-14)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_formula_and_its_derivatives_equal_the_closed_forms(name: str, order: int) -> None:
    with mp.workdps(40):
        for point in (-30.5, -6.0, -1.25, -0.125, 0.0, 0.125, 0.75, 2.5, 6.0, 30.5):
            ours = value(CATALOGUE[name], point, order)._to_mpmath(120)
            reference = oracle(name, point, order)
            assert abs(ours - reference) <= 1e-28 * max(abs(reference), 1e-3)


def test_cos_and_swish_are_the_book_s() -> None:
    row = get("cos")
    assert row.expr.subs(row.parameters) == x * sigmoid(x) + (sigmoid(5 * x) - sympy.Rational(1, 2)) ** 2
    assert row.parameters == {a: 5, c: sympy.Rational(1, 2)}
    assert get("swish").expr.subs(get("swish").parameters) == x * sigmoid(x)


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_is_a_formula_in_x_with_a_source_and_a_title(row: Formula) -> None:
    assert row.source.strip()
    assert row.title.strip()
    assert row.name.isidentifier()
    assert row.name == row.name.lower()
    assert row.expr.free_symbols == {x, *row.parameters}
    assert all(symbol.is_real for symbol in row.parameters)
    assert all(isinstance(default, sympy.Rational) for default in row.parameters.values())


def test_every_name_and_alias_is_there_once_and_resolves() -> None:
    listed = [name for row in CATALOGUE.values() for name in (row.name, *row.aliases)]
    assert sorted(listed) == list(names())
    for row in CATALOGUE.values():
        assert all(get(name) is get(name.upper()) is row and name.isidentifier() for name in (row.name, *row.aliases))
        if row.torch_name:
            assert get(row.torch_name) is row  # "LeakyReLU"
    for name in ("elu", "hardswish", "leaky_relu", "logsigmoid", "silu", "softshrink", "softsign", "threshold"):
        assert callable(getattr(nn.functional, name))
        assert get(name)


def test_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(CosnbError, match=r"unknown activation 'swich': did you mean 'swish'\?.*cos.*relu6"):
        get("swich")
    with pytest.raises(CosnbError, match=r"unknown activation 'qqqq': the catalogue has arctan, atan"):
        get("qqqq")


@pytest.mark.parametrize("name", [None, 3, ["cos"]])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(CosnbError, match="unknown activation"):
        get(name)  # type: ignore[arg-type]


def test_the_functions_know_their_derivatives_and_limits() -> None:
    assert sympy.diff(softplus(x), x) == sigmoid(x)
    assert sympy.diff(sigmoid(3 * x), x) == 3 * sigmoid(3 * x) * (1 - sigmoid(3 * x))
    assert (sigmoid(sympy.Integer(0)), sigmoid(sympy.oo), sigmoid(-sympy.oo)) == (sympy.Rational(1, 2), 1, 0)
    assert (softplus(sympy.oo), softplus(-sympy.oo)) == (sympy.oo, 0)
    assert sympy.limit(softplus(x) - x, x, sympy.oo) == 0


def test_erfc_keeps_gelu_s_left_tail() -> None:
    assert (erfc(sympy.Integer(0)), erfc(sympy.oo), erfc(-sympy.oo)) == (1, 0, 2)
    assert sympy.diff(erfc(-x), x) == 2 * sympy.exp(-(x**2)) / sympy.sqrt(sympy.pi)
    gelu = get("gelu").expr
    assert not gelu.has(sympy.Add)  # no 2 − erfc
    assert [sympy.limit(gelu, x, side) for side in (-sympy.oo, sympy.oo)] == [0, sympy.oo]
    assert math.isclose(sympy.lambdify(x, gelu, "math")(-20.0), -5.507248237212467e-88, rel_tol=1e-12)


def test_numpy_code_of_the_formulas_raises_no_overflow_warning() -> None:
    far: Tensor = POINTS * 1e3
    for function, own in ((sigmoid, torch.sigmoid), (softplus, nn.functional.softplus)):
        ours = sympy.lambdify(x, function(x), "numpy")(far.numpy())  # warnings are errors here
        torch.testing.assert_close(torch.from_numpy(ours), own(far), rtol=1e-7, atol=1e-15)

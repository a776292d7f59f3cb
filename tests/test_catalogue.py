"""The catalogue's formulas against PyTorch's own functions and against closed forms."""

from collections.abc import Callable

import pytest
import sympy
import torch
from mpmath import mp
from oracles import NAMES, oracle
from torch import Tensor, nn

from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import CATALOGUE, a, c, get, x
from cosnb.symbolic.functions import sigmoid, softplus

OWN: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": nn.functional.relu,
    "relu6": nn.functional.relu6,
    "swish": nn.functional.silu,
    "mish": nn.functional.mish,
}
POINTS = torch.cat([torch.linspace(-20, 20, 161), torch.tensor([-1e-9, 1e-9, 5.999999, 6.000001])]).double()


def exact(name: str, value: float, order: int = 0) -> sympy.Expr:
    """The catalogue's formula, differentiated by SymPy, at a point, to 30 digits."""
    row = get(name)
    return sympy.diff(row.expr.subs(row.parameters), x, order).subs(x, sympy.Float(value, 60)).evalf(30)


def test_the_catalogue_has_the_seven_functions_of_the_sources() -> None:
    assert set(CATALOGUE) == {*NAMES}


@pytest.mark.parametrize("name", OWN)
def test_formula_equals_pytorch_s_own_function(name: str) -> None:
    ours = torch.tensor([float(exact(name, value)) for value in POINTS.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ours, OWN[name](POINTS), rtol=4e-15, atol=1e-18)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_formula_and_its_derivatives_equal_the_closed_forms(name: str, order: int) -> None:
    with mp.workdps(40):
        for value in (-30.5, -6.0, -1.25, -0.125, 0.0, 0.125, 0.75, 2.5, 6.0, 30.5):
            ours = exact(name, value, order)._to_mpmath(120)
            reference = oracle(name, value, order)
            assert abs(ours - reference) <= 1e-28 * max(abs(reference), 1e-3)


def test_cos_is_the_book_s_reading_of_equation_5() -> None:
    row = get("cos")
    assert row.expr.subs(row.parameters) == x * sigmoid(x) + (sigmoid(5 * x) - sympy.Rational(1, 2)) ** 2
    assert row.parameters == {a: 5, c: sympy.Rational(1, 2)}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_is_a_formula_in_x_with_a_source_and_a_title(row) -> None:  # type: ignore[no-untyped-def]
    assert row.source.strip()
    assert row.title.lower() == row.name
    assert row.expr.free_symbols == {x, *row.parameters}


@pytest.mark.parametrize(
    ("alias", "name"), [("silu", "swish"), ("logistic", "sigmoid"), ("CoS", "cos"), ("ReLU", "relu")]
)
def test_aliases_and_capitals_find_the_row(alias: str, name: str) -> None:
    assert get(alias) is CATALOGUE[name]


def test_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(CosnbError, match=r"unknown activation 'swich': did you mean 'swish'\?.*cos.*relu6"):
        get("swich")
    with pytest.raises(CosnbError, match=r"unknown activation 'zzz': the catalogue has cos, logistic"):
        get("zzz")


@pytest.mark.parametrize("value", [None, 3, ["cos"]])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(CosnbError, match="unknown activation"):
        get(value)  # type: ignore[arg-type]


def test_sigmoid_and_softplus_know_their_derivatives_and_limits() -> None:
    assert sympy.diff(softplus(x), x) == sigmoid(x)
    assert sympy.diff(sigmoid(3 * x), x) == 3 * sigmoid(3 * x) * (1 - sigmoid(3 * x))
    assert (sigmoid(sympy.Integer(0)), sigmoid(sympy.oo), sigmoid(-sympy.oo)) == (sympy.Rational(1, 2), 1, 0)
    assert sympy.limit(softplus(x) - x, x, sympy.oo) == 0


def test_numpy_code_of_the_formulas_raises_no_overflow_warning() -> None:
    far = POINTS.numpy() * 1e3
    for function, own in ((sigmoid, torch.sigmoid), (softplus, nn.functional.softplus)):
        ours = sympy.lambdify(x, function(x), "numpy")(far)  # warnings are errors here
        torch.testing.assert_close(torch.from_numpy(ours), own(POINTS * 1e3), rtol=1e-7, atol=1e-15)

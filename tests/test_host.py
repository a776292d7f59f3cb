"""The engine as a browser has it, without NumPy, processes and threads: its arrays, its limits of time, its answers."""

import json
import math
import os
import subprocess
import sys
import time

import numpy
import pytest
import scipy.special

from cosnb import live
from cosnb.codegen.sources import TARGETS
from cosnb.host import arrays, deadline
from cosnb.host.rounded import Rounded
from cosnb.symbolic.catalogue import CATALOGUE

POINTS = [0.0, -0.0, 0.3, -0.3, 1.0, -1.0, 2.5, -7.0, 88.8, -104.0, 710.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
EXPONENTIALS = ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "tanh", "sinh", "cosh")
WAVES = ("sin", "cos", "tan", "arctan", "arcsin", "arccos", "arcsinh", "arccosh", "arctanh")
PLAIN = ("abs", "sign", "floor", "ceil", "square", "isnan", "isfinite", "signbit")
PAIRS = ("power", "minimum", "maximum", "logaddexp", "add", "subtract", "multiply", "divide", "less", "greater_equal")
OPERATORS = {"add": "__add__", "subtract": "__sub__", "multiply": "__mul__", "divide": "__truediv__"}
FORMATS = {"float32": 2.0**-22, "float64": 2.0**-51}  # two ulp of NumPy's own functions


def same(ours: list, theirs: list, tolerance: float) -> bool:
    return all(
        (a != a and b != b) or a == b or abs(a - b) <= max(tolerance * abs(b), 1e-44)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("name", [*EXPONENTIALS, *WAVES, *PLAIN])
@pytest.mark.parametrize("dtype", FORMATS)
def test_functions_are_numpys(name: str, dtype: str) -> None:
    ours = getattr(arrays, name)(arrays.array(POINTS).astype(getattr(arrays, dtype)))
    with numpy.errstate(all="ignore"):
        theirs = getattr(numpy, name)(numpy.array(POINTS).astype(dtype))
    assert same(ours.tolist(), theirs.tolist(), FORMATS[dtype])
    assert getattr(ours.dtype, "__name__", "") == str(theirs.dtype)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", FORMATS)
def test_functions_of_two_are_numpys(name: str, dtype: str) -> None:
    ours = arrays.array(POINTS).astype(getattr(arrays, dtype))
    with numpy.errstate(over="ignore"):
        theirs = numpy.array(POINTS).astype(dtype)
    for other in (-3.0, -1.0, 0.0, 1 / 3, 2.0, 1e30, math.inf, math.nan):  # 0.5 is NumPy's square root
        call = getattr(ours, OPERATORS[name]) if name in OPERATORS else lambda value: getattr(arrays, name)(ours, value)
        with numpy.errstate(all="ignore"):
            wanted = getattr(numpy, name)(theirs, other)
        assert same(call(other).tolist(), wanted.tolist(), FORMATS[dtype]), other


def test_error_functions_selections_and_shapes_are_numpys() -> None:
    x, y = arrays.array([-2.0, 0.5, 3.0]), numpy.array([-2.0, 0.5, 3.0])
    assert same(arrays.special.erf(x).tolist(), scipy.special.erf(y).tolist(), 1e-15)
    assert same(arrays.special.erfc(x).tolist(), scipy.special.erfc(y).tolist(), 1e-14)
    assert arrays.where(x < 0, 1.0, x).tolist() == numpy.where(y < 0, 1.0, y).tolist()
    assert (
        arrays.select([x < 0, x > 1], [x, 2 * x], 0.0).tolist()
        == numpy.select([y < 0, y > 1], [y, 2 * y], 0.0).tolist()
    )
    assert (~((x > 0) & (x < 1))).tolist() == (~((y > 0) & (y < 1))).tolist()
    assert arrays.broadcast_to(arrays.asarray(2.0), (3,)).tolist() == [2.0, 2.0, 2.0]
    assert arrays.max([x, -x], axis=0).tolist() == numpy.max([y, -y], axis=0).tolist()
    assert x[x > 0].tolist() == y[y > 0].tolist()
    assert arrays.linspace(-20, 4, 4000).tolist() == pytest.approx(numpy.linspace(-20, 4, 4000).tolist(), rel=1e-15)
    assert (x.astype(arrays.float32) * (1 / 3)).tolist() == (y.astype("float32") * (1 / 3)).tolist()


@pytest.mark.parametrize("exactly", [False, True])
def test_rounded_functions_are_the_nearest_numbers(exactly: bool) -> None:
    x = numpy.linspace(-5, 5, 201).astype("float32")
    for name in ("exp", "tanh", "arctan"):
        found = getattr(Rounded(numpy, exactly), name)(x)
        wanted = getattr(numpy, name)(x.astype(float)).astype("float32")
        assert found.dtype == "float32"
        assert (found == wanted).all()


def spin() -> None:
    def step() -> None:
        pass

    while True:
        try:
            step()
        except Exception:  # as algebra does that tries one way after the other
            raise AssertionError("the end was taken for a failure") from None


def test_a_call_is_ended_at_its_limit_and_the_next_one_is_not() -> None:
    start = time.perf_counter()
    with pytest.raises(deadline.Expired):
        deadline.within(0.2, spin)
    assert time.perf_counter() - start < 5
    assert deadline.within(5, sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        deadline.within(5, lambda: 1 / 0)


def test_an_inner_limit_ends_the_inner_call_alone() -> None:
    def outer() -> str:
        with pytest.raises(deadline.Expired):
            deadline.within(0.1, spin)
        return "went on"

    assert deadline.within(60, outer) == "went on"
    with pytest.raises(deadline.Expired):
        deadline.within(0.2, deadline.within, 60, spin)


BROWSER = """
import json, sys
for name in ("numpy", "scipy", "torch", "multiprocessing", "pooch"):
    sys.modules[name] = None  # an import of it fails
import subprocess, threading
subprocess.Popen = threading.Thread = None
from cosnb import live
for text in json.loads(sys.argv[1]):
    found = {part: live.answer(part, text, {}) for part in json.loads(sys.argv[2])}
    print(json.dumps(found, default=list))
"""
PARTS = ("curves", "properties", "form", *TARGETS)
SOON = ("relu", "mish", "elu", "x*sgmoid(x)")
SPECIAL = ("sin(x)/x", "x/(exp(x) - 1)", "(exp(x) - 1)/x", "log(1 + x)/x", "x*tanh(exp(x))")


@pytest.mark.parametrize(
    "texts", [SOON, pytest.param((*CATALOGUE, *SPECIAL), marks=pytest.mark.matrix)], ids=["few", "all"]
)
@pytest.mark.timeout(1800)
def test_answers_without_numpy_are_the_packages(texts: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", BROWSER, json.dumps(texts), json.dumps(PARTS)]
    with subprocess.Popen(
        command, env={**os.environ, "COSNB_HOST": "browser"}, stdout=subprocess.PIPE, text=True
    ) as run:
        for text, line in zip(texts, run.stdout, strict=True):
            found = json.loads(line)
            for part in PARTS:
                ours = live.answer(part, text, {})
                for order, other in zip(ours.get("orders", ()), found[part].get("orders", ()), strict=True):
                    if part == "curves":
                        assert same(list(order.pop("y")), other.pop("y"), 1e-9), text
                if part == "curves" and "x" in ours:
                    assert same(list(ours.pop("x")), found[part].pop("x"), 1e-15)
                assert found[part] == json.loads(json.dumps(ours)), (text, part)
    assert run.returncode == 0

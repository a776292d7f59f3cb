"""Every row of the catalogue on every target against mpmath: values in the two classes, limits, NaN.

The C functions of all rows are one library. `make check-all` adds the 16-bit formats and torch.compile.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import c_library
import matrix
import pytest
import torch
from torch import Tensor

from cosnb.accuracy import targets
from cosnb.activations import activation
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import CATALOGUE

ORDERS = (0, 1)
DEFAULT = 8.0  # ulp of f in class 1, of the largest term in class 2
ROUNDED = "half an ulp of the exponent u is |u|/2 ulp of e^u: |u| reaches 87 in float32 and 708 in float64"
CANCEL = "terms that cancel to 2⁻⁶ of the largest magnify its few ulp 64-fold; largest found on these points"
# (float32, float64), where the largest error of a row is more than 8 ulp.
LIMITS: dict[tuple[str, int], tuple[float, float, str]] = {
    ("cos", 0): (64, 64, CANCEL),
    ("cos", 1): (64, 64, CANCEL),
    ("gelu", 0): (48, 360, ROUNDED),
    ("gelu", 1): (32, 64, CANCEL),
    ("gelu_tanh", 0): (48, 360, ROUNDED),
    ("gelu_tanh", 1): (64, 360, ROUNDED),
    ("quick_gelu", 0): (80, 600, ROUNDED),
    ("quick_gelu", 1): (80, 600, ROUNDED),
    ("phish", 0): (48, 360, ROUNDED),
    ("serf", 1): (12, 12, CANCEL),
    ("tanhexp", 1): (32, 32, CANCEL),
    ("tanhshrink", 0): (12, 12, CANCEL),
    ("softsign", 1): (32, 32, CANCEL),
    ("squareplus", 0): (12, 12, CANCEL),
    ("squareplus", 1): (32, 32, CANCEL),
    ("isru", 1): (48, 64, CANCEL),
    ("isrlu", 1): (48, 64, CANCEL),
    ("snake", 1): (48, 64, CANCEL),
    ("sinlu", 1): (256, 400, "1 + cos(x) is a factor, so what cancels in it is no term: 131 ulp at x = 1e5"),
}
# Steps of the subnormals: outside the normal form a factor that is subnormal itself has lost its digits before it is
# multiplied by x, up to 103 in float32 and 745 in float64.
TAIL = 1.5
LONG_TAIL = {"tanhexp": (64, 400), "serf": (110, 600), "logish": (110, 600), "sinlu": (110, 600)}
# The C functions' reduction of sin and cos ends there, see codegen.elementary; torch's own loses digits near 1e308.
PERIODIC = {"sinlu", "snake", "gcu", "sinusoid"}
REACH = {torch.float32: 2.0**48, torch.float64: 2.0**48}
REACH_OF_OTHERS = 1e100
# 16-bit formats, where the largest error of a row is more than 0.51 ulp.
HALVES = {
    # f′ has the factor 1 + cos(x), whose digits are lost in float32 next to odd multiples of π.
    ("sinlu", torch.float16): (0.8, "0.73 at 15.7"),
    ("sinlu", torch.bfloat16): (16, "15.4, once"),
    ("arctan", torch.bfloat16): (
        32.5,
        "x² overflows in float32 from 2⁶⁴ on, and f′, there below 2⁻¹²⁷, comes out as 0",
    ),
}
# Inductor's own erf of float32 on a CPU is a formula with an absolute error of 1.5e-7: no digit of erf(1e-10) is right.
# What is left is an error relative to |x|, or to 1 where |x| is less; measured: 3.0e-7.
ABSOLUTE_ERF, ERF_ERROR = {"serf"}, 4e-7
Function = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Function]:
    if cpu.compiler() is None:
        pytest.skip("no C compiler")
    programs = {f"{name}_{order}": activation(name).program(order) for name in CATALOGUE for order in ORDERS}
    return c_library.build(programs, tmp_path_factory.mktemp("c"))


def functions(name: str, order: int, library: dict[str, Function]) -> Iterator[tuple[str, torch.dtype, Function]]:
    row = activation(name)
    for dtype in (torch.float32, torch.float64):
        yield "c", dtype, library[f"{name}_{order}"]
        yield "pytorch", dtype, row.elementwise(order)
        yield "numpy", dtype, targets.function(row, "numpy", order)


def complaints(name: str, order: int, target: str, dtype: torch.dtype, function: Function) -> list[str]:
    """Return what is wrong with the values at the row's points."""
    x = matrix.points(name, dtype)
    if name in PERIODIC:
        x = x[x.abs() <= (REACH[dtype] if target == "c" else REACH_OF_OTHERS)]
    errors = matrix.errors(name, order, x, function(x), dtype)
    wide = dtype == torch.float64
    limit = LIMITS.get((name, order), (DEFAULT, DEFAULT, ""))[wide]
    tail = LONG_TAIL.get(name, (TAIL, TAIL))[wide]
    found = [f"{errors.lost} NaN or inf, at {errors.lost_at}"] if errors.lost else []
    for kind, largest in errors.classes.items():
        allowed = tail if kind == "subnormal" else limit
        if largest.error > allowed:
            found.append(f"class {kind}: {largest.error:.4g} at {largest.at!r}, allowed {allowed}")
    return [f"{target}, {str(dtype).removeprefix('torch.')}: {line}" for line in found]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_values_are_right_in_both_classes(name: str, order: int, library: dict[str, Function]) -> None:
    wrong = []
    for target, dtype, function in functions(name, order, library):
        wrong += complaints(name, order, target, dtype, function)
    assert wrong == []


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_infinities_give_the_limits_and_nan_gives_nan(name: str, order: int, library: dict[str, Function]) -> None:
    wrong = []
    for target, dtype, function in functions(name, order, library):
        low, high, nothing = function(torch.tensor([-math.inf, math.inf, math.nan], dtype=dtype)).tolist()
        for side, got in ((-1, low), (1, high)):
            limit = matrix.limit(name, order, side)
            if limit is not None and got != pytest.approx(limit, rel=4 * torch.finfo(dtype).eps, abs=0):
                wrong.append(f"{target}, {dtype}: f({side * math.inf}) = {got}, expected {limit}")
        if not math.isnan(nothing):
            wrong.append(f"{target}, {dtype}: f(NaN) = {nothing}")
    assert wrong == []


def test_the_limits_are_recognised() -> None:
    assert [matrix.limit("cos", order, side) for order in (0, 1) for side in (-1, 1)] == [0.25, math.inf, 0, 1]
    assert [matrix.limit("symlog", 0, side) for side in (-1, 1)] == [-math.inf, math.inf]
    assert matrix.limit("gcu", 0, 1) is None


@pytest.mark.parametrize("name", CATALOGUE)
def test_second_derivative(name: str, tmp_path: Path) -> None:
    row = activation(name)
    library = c_library.build({f"{name}_2": row.program(2)}, tmp_path)
    wrong = []
    for target, dtype, function in functions(name, 2, library):
        found = complaints(name, 2, target, dtype, function)
        wrong += [line for line in found if "NaN" in line]  # f″ has no bound but that it is a number
    assert wrong == []


# The full matrix: make check-all


@pytest.mark.matrix
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_16_bit_value(name: str, dtype: torch.dtype) -> None:
    from cosnb.accuracy import measure

    wrong = []
    format = str(dtype).removeprefix("torch.")
    if name in PERIODIC and dtype == torch.bfloat16:  # float16 ends long before the reach of sin and cos does
        return bfloat16_within_reach(name)
    limit, _ = HALVES.get((name, dtype), (0.51, ""))
    for measured in measure(activation(name), ["c", "pytorch"], [format], ORDERS):
        for kind, largest in measured.errors.classes.items():
            if largest.error > limit:
                wrong.append(f"{measured.target}, f^({measured.order}), class {kind}: {largest.error} at {largest.at}")
        if measured.errors.lost:
            wrong.append(f"{measured.target}, f^({measured.order}): NaN or inf at {measured.errors.lost_at}")
    assert wrong == []


def bfloat16_within_reach(name: str) -> None:
    x = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    x = x[x.isfinite() & (x.abs() <= REACH[torch.float32])]
    wrong = []
    for order in ORDERS:
        for target in ("c", "pytorch"):
            errors = matrix.errors(name, order, x, targets.function(activation(name), target, order)(x), x.dtype)
            wrong += [f"{target}, f^({order}): {errors.lost} NaN or inf"] * bool(errors.lost)
            largest = max(found.error for found in errors.classes.values())
            wrong += [f"{target}, f^({order}): {largest}"] * (largest > HALVES.get((name, x.dtype), (0.51, ""))[0])
    assert wrong == []


@pytest.mark.matrix
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # PyTorch's own, while it compiles
@pytest.mark.parametrize("name", CATALOGUE)
def test_compiled_operations(name: str) -> None:
    wrong = []
    for order in ORDERS:
        compiled = torch.compile(activation(name).elementwise(order), fullgraph=True, dynamic=True)
        for dtype in (torch.float32, torch.float64):
            if name in ABSOLUTE_ERF and dtype == torch.float32:
                x = matrix.points(name, dtype)
                off = (compiled(x) - activation(name).elementwise(order)(x)).abs() / x.abs().clamp_min(1)
                wrong += [f"compiled, float32: {off.max():.3g}, relative to x"] * bool((off > ERF_ERROR).any())
            else:
                wrong += complaints(name, order, "compiled", dtype, compiled)
    assert wrong == []

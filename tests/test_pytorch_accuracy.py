"""The printed PyTorch code against high-precision values: limits, tails, kinks and rounding."""

import math

import mpmath
import pytest
import torch
from mpmath import mp, mpf
from oracles import NAMES, SMOOTH, oracle, terms
from torch import Tensor

from cosnb.activations import activation

CASES = [(name, order) for name in NAMES for order in (0, 1, 2)]
SMOOTH_CASES = [case for case in CASES if case[0] in SMOOTH]
TYPES = (torch.float32, torch.float64)

# Largest error found on 2,500 points with the first form of the code, in units in the last place of the sum of the
# terms' sizes (float32, float64); now up to 1.0 more or less, which the margin bears.
# That sum is |f| where f is one term. Near a root of swish′ its terms σ(x) and x·σ′(x) cancel, and half an ulp of x
# moves f as far, so an error relative to |f| would measure the grid's distance from the root. (In ulp of |f| itself,
# away from roots, the largest is CoS's 101 in float32, at −0.6, where −0.2127 and 0.2049 are added.)
ULP = {
    ("sigmoid", 0): (1.80, 1.78),
    ("sigmoid", 1): (3.31, 2.99),
    ("sigmoid", 2): (4.27, 4.42),
    ("tanh", 0): (2.41, 2.46),
    ("tanh", 1): (3.09, 3.30),
    ("tanh", 2): (4.08, 4.31),
    ("swish", 0): (2.05, 1.88),
    ("swish", 1): (2.55, 3.09),
    ("swish", 2): (3.44, 3.69),
    ("mish", 0): (2.28, 2.22),
    ("mish", 1): (3.06, 3.49),
    ("mish", 2): (5.96, 5.15),
    ("cos", 0): (4.03, 3.71),
    # By e^(−|x|) itself 3.10 and 3.47. It is the square of e^(−|x|/2)·2⁵⁰ now, which doubles the exponential's error
    # and keeps the tail: one subnormal step where there were up to 26 ulp.
    ("cos", 1): (4.16, 3.80),
    ("cos", 2): (5.47, 4.36),
}
MARGIN = 1.0  # another CPU's vector exp may round otherwise: each has an error of up to 1 ulp


def grid(dtype: torch.dtype) -> Tensor:
    """Both signs: the bend, the tails down to the smallest normal e^(−|x|), the smallest and the largest numbers."""
    info = torch.finfo(dtype)
    generator = torch.Generator().manual_seed(0)
    tail = torch.rand(60, generator=generator, dtype=torch.float64) * -math.log(info.tiny)
    small = torch.logspace(math.log10(info.tiny) + 1, -1, 30, dtype=torch.float64)
    large = torch.tensor([1e4, 1e30, info.max], dtype=torch.float64)
    half = torch.cat([torch.linspace(0.05, 12, 120, dtype=torch.float64), tail, small, large])
    return torch.cat([half, -half]).to(dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(("name", "order"), SMOOTH_CASES)
def test_error_in_ulp(name: str, order: int, dtype: torch.dtype) -> None:
    points, info, worst = grid(dtype), torch.finfo(dtype), 0.0
    values = activation(name).elementwise(order)(points)
    assert values.dtype == dtype
    with mp.workdps(60):
        for point, value in zip(points.tolist(), values.tolist(), strict=True):
            size = mp.fsum(map(abs, terms(name, point, order)))
            if size < info.tiny:
                continue  # subnormal: see the test of the far tail
            ulp = mpf(2) ** (mp.frexp(size)[1] - 1) * info.eps
            worst = max(worst, float(abs(mpf(value) - oracle(name, point, order)) / ulp))
    assert worst <= ULP[name, order][dtype == torch.float64] + MARGIN


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(("name", "order"), SMOOTH_CASES)
def test_far_tail_keeps_its_digits(name: str, order: int, dtype: torch.dtype) -> None:
    # t or a power of it is subnormal there (beyond |x| = 87.3 in float32, 43.6 for t²), the value often is not.
    # (PyTorch's silu gives −0 from −90 on.)
    info = torch.finfo(dtype)
    end = -math.log(info.tiny)
    points = torch.linspace(0.45 * end, 1.3 * end, 60, dtype=torch.float64)
    points = torch.cat([points, -points]).to(dtype)
    step = info.tiny * info.eps  # the smallest subnormal
    for point, value in zip(points.tolist(), activation(name).elementwise(order)(points).tolist(), strict=True):
        reference = oracle(name, point, order)
        assert abs(mpf(value) - reference) <= step + 8 * info.eps * abs(reference)


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_kinks_take_the_left_piece_and_both_sides_are_exact(name: str) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        for kink in (0.0, 6.0):
            at = torch.tensor(kink, dtype=dtype)
            points = torch.stack([at, torch.nextafter(at, at + 1), torch.nextafter(at, at - 1), at + 1, at - 1])
            for order in (0, 1, 2):
                values = activation(name).elementwise(order)(points)
                assert values.dtype == dtype
                assert values.tolist() == [float(oracle(name, p, order)) for p in points.tolist()]


@pytest.mark.parametrize(("name", "order"), CASES)
def test_zero_and_infinities_give_the_limits(name: str, order: int) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        points = torch.tensor([0.0, -0.0, math.inf, -math.inf], dtype=dtype)
        values = activation(name).elementwise(order)(points)
        limits = torch.tensor([float(oracle(name, p, order)) for p in points.tolist()], dtype=torch.float64).to(dtype)
        torch.testing.assert_close(values, limits, rtol=torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize(("name", "order"), CASES)
def test_nothing_overflows_at_any_finite_x(name: str, order: int) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        largest = torch.finfo(dtype).max
        powers = torch.logspace(-4, math.log2(largest), 200, base=2.0, dtype=torch.float64)
        points = torch.cat([powers, -powers]).clamp(-largest, largest).to(dtype)
        values = activation(name).elementwise(order)(points)
        assert values.isfinite().all()


@pytest.mark.parametrize(("name", "order"), CASES)
def test_nan_gives_nan(name: str, order: int) -> None:
    assert activation(name).elementwise(order)(torch.tensor([math.nan, 1.0])).isnan().tolist() == [True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "order"), CASES)
def test_16_bit_values_are_computed_in_float32_and_rounded_once(name: str, order: int, dtype: torch.dtype) -> None:
    function = activation(name).elementwise(order)
    points = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)  # every one there is
    ours, single = function(points), function(points.float())
    assert ours.dtype == dtype
    assert torch.equal(ours.nan_to_num(nan=7), single.to(dtype).nan_to_num(nan=7))
    # Against float64, which the test above bounds: all but a few in a thousand are the nearest there is.
    exact = function(points.double())
    finite = points.isfinite()
    nearest = exact.to(dtype)
    normal = finite & (exact.abs() >= torch.finfo(dtype).tiny)
    assert (ours == nearest)[normal].sum() >= 0.998 * normal.sum()
    step = torch.nextafter(nearest.abs(), torch.full_like(nearest, math.inf)).double() - nearest.abs().double()
    single_error = (
        8 * torch.finfo(torch.float32).eps * (exact.abs() + 3)
    )  # no term that cancels is larger than 3.2 (CoS″)
    assert ((ours.double() - exact).abs() <= 0.5 * step + single_error)[finite].all()


def test_a_slope_outside_the_normal_form_s_class_has_its_limit_too() -> None:
    # x·σ(x)·(1 − σ(x)) printed head by head is ∞·0
    act = activation("cos", a="0.3333")
    far = torch.tensor([-math.inf, -1e38, 1e38, math.inf], dtype=torch.float64)
    assert act.elementwise(0)(far).tolist() == [0.25, 0.25, 1e38, math.inf]
    assert act.elementwise(1)(far).tolist() == [0, 0, 1, 1]
    assert act.elementwise(1)(torch.tensor(math.nan)).isnan()


def test_mpmath_and_torch_agree_on_what_a_unit_in_the_last_place_is() -> None:
    for value in (1.0, 0.3, 1e-20):
        one = torch.tensor(value, dtype=torch.float32)
        above = torch.nextafter(one, one + 1)
        assert mpmath.frexp(one.item())[1] - 24 == math.log2(above.item() - one.item())

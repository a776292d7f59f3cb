"""Numbers survive: infinities, NaN, subnormals, any layout and size, meta and fake tensors, equal bits twice."""

import math
from collections.abc import Iterator

import matrix
import psutil
import pytest
import test_triton as triton
import torch
from counting import Tally
from test_tensors import VIEWS
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cosnb import activation
from cosnb.accuracy import ends, targets
from cosnb.kernels import cpu, operators
from cosnb.symbolic.catalogue import CATALOGUE

ITEM = "5 numbers"
pytestmark = pytest.mark.drill  # 40 s of processor time
FLOATS = (torch.float32, torch.float64)
TARGETS = [target for target in ("c", "pytorch", "numpy") if target in targets.available()]
LIMIT = 8.0  # ulp, that of tests/test_targets.py


def forward_and_backward(name: str, x: Tensor, dy: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return f(x) and dy·f′(x) as a user gets them; dy = 1 where none is given."""
    leaf = x.detach().requires_grad_()
    y = activation(name)(leaf)
    (dx,) = torch.autograd.grad(y, leaf, torch.ones_like(y) if dy is None else dy)
    return y.detach(), dx


def same(a: Tensor, b: Tensor) -> bool:
    """Say whether the bits are equal, NaN where NaN is."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(7), b.nan_to_num(7))


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_ends_are_the_limits(name: str, tally: Tally) -> None:
    tried, wrong = ends.check(activation(name), TARGETS, list(targets.FORMATS))
    for dtype in targets.FORMATS.values():  # and as autograd gives them
        x = torch.tensor([-math.inf, math.inf, math.nan], dtype=dtype)
        for order, got in enumerate(forward_and_backward(name, x)):
            format = str(dtype).removeprefix("torch.")
            limits = ends.limits(activation(name), order)
            wrong += ends.differences(
                f"{format}, autograd: {name}{chr(8242) * order}", ends.Ends(*got.tolist()), limits, format
            )
            tried += 3
    tally(tried, wrong)


def test_the_limits_are_those_that_far_values_show(tally: Tally) -> None:
    wrong = []
    for name in CATALOGUE:
        for order in (0, 1):
            found = ends.limits(activation(name), order)
            for side, limit in ((-1, found.left), (1, found.right)):
                far = matrix.limit(name, order, side)
                if (limit is None) != (far is None) or (limit is not None and not math.isclose(limit, far or 0.0)):
                    wrong.append(f"{name}{chr(8242) * order}, side {side}: {limit}, far values say {far}")
    tally(4 * len(CATALOGUE), wrong)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # PyTorch's own, while it compiles
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_ends_are_the_limits_compiled(name: str, tally: Tally) -> None:
    tally(*ends.check(activation(name), ["compiled"], list(targets.FORMATS)))


@triton.needs_triton
def test_the_ends_are_the_limits_in_triton_kernels(tally: Tally, tmp_path) -> None:  # type: ignore[no-untyped-def]
    x = torch.tensor([-math.inf, math.inf, math.nan])
    cases = [(*triton.programs(name), [(torch.ones(3), x), (torch.ones(3).double(), x.double())]) for name in CATALOGUE]
    wrong, tried = [], 0
    for name, results in zip(CATALOGUE, triton.work("run", cases, tmp_path, TRITON_INTERPRET="1"), strict=True):
        for values, format in zip(results, ("float32", "float64"), strict=True):
            for order, got in enumerate(values):
                expected = ends.limits(activation(name), order)
                title = f"{format}: {name}{chr(8242) * order}"
                wrong += ends.differences(title, ends.Ends(*got.tolist()), expected, format)
                tried += 3
    tally(tried, wrong)


def subnormals(dtype: torch.dtype) -> Tensor:
    """Return the smallest and the largest subnormal number, powers of 2 and random ones between, of both signs."""
    info = torch.finfo(dtype)
    digits = round(-math.log2(info.eps))
    generator = torch.Generator().manual_seed(0)
    steps = torch.cat([2 ** torch.arange(digits), torch.randint(2, 2**digits, (20,), generator=generator)])
    steps = torch.cat([steps, torch.tensor([2**digits - 1])])
    positive = steps.double() * (info.tiny * info.eps)
    return torch.cat([positive, -positive]).to(dtype)


@pytest.mark.parametrize("name", CATALOGUE)
def test_subnormal_inputs_are_numbers_like_others(name: str, tally: Tally) -> None:
    wrong, tried = [], 0
    for dtype in FLOATS:
        x = subnormals(dtype)
        assert (x != 0).all()
        for target in TARGETS:
            for order in (0, 1):
                got = targets.function(activation(name), target, order)(x)
                errors = matrix.errors(name, order, x, got, dtype)
                largest = max((found.error for found in errors.classes.values()), default=0.0)
                tried += len(x)
                if errors.lost or largest > LIMIT:
                    wrong.append(f"{name}{chr(8242) * order}, {target}, {dtype}: {errors.lost} lost, {largest:.3g} ulp")
    tally(tried, wrong)


@pytest.fixture
def flushing() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers to zero")
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("flushing")
def test_flushing_subnormals_to_zero_costs_them_and_nothing_else(tally: Tally) -> None:
    wrong = []
    x = torch.cat([torch.linspace(-120, 120, 4801), torch.tensor([0.0, math.inf, -math.inf])])
    tiny = torch.finfo(torch.float32).tiny
    for name in CATALOGUE:
        flushed = forward_and_backward(name, x)
        torch.set_flush_denormal(False)
        kept = forward_and_backward(name, x)
        for order, (a, b) in enumerate(zip(flushed, kept, strict=True)):
            near = torch.isclose(a, b, rtol=1e-5, atol=256 * tiny, equal_nan=True)
            wrong += [f"{name}{chr(8242) * order} at {x[i]:g}: {a[i]:g}, not {b[i]:g}" for i in (~near).nonzero()[:1]]
        torch.set_flush_denormal(True)
    tally(2 * len(CATALOGUE) * len(x), wrong)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_layout_makes_no_difference(name: str, tally: Tally) -> None:
    wrong, tried = [], 0
    generator = torch.Generator().manual_seed(1)
    for dtype in targets.FORMATS.values():
        whole = (torch.randn(2, 6, 4, 4, generator=generator) * 4).to(dtype)
        tensors = {view: change(whole) for view, change in VIEWS.items()}
        tensors |= {"0-dim": whole[0, 0, 0, 0], "empty": whole[:0], "one, expanded": whole[0, 0, 0, 0].expand(5, 7)}
        for view, x in tensors.items():
            dy = torch.randn(x.shape, generator=generator).to(dtype)
            plain = forward_and_backward(name, x.clone(memory_format=torch.contiguous_format), dy)
            for order, (a, b) in enumerate(zip(forward_and_backward(name, x, dy), plain, strict=True)):
                tried += 1
                if not same(a, b):
                    wrong.append(f"{name}{chr(8242) * order}, {view}, {dtype}")
    tally(tried, wrong)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_value_does_not_depend_on_its_place(name: str, tally: Tally) -> None:
    # vectors, what is left at their end, and the parts of two threads
    wrong, tried = [], 0
    for dtype in targets.FORMATS.values():
        x = (torch.randn(70_001, generator=torch.Generator().manual_seed(2)) * 6).to(dtype)
        whole = forward_and_backward(name, x)
        for start, count in ((0, 1), (0, 15), (1, 16), (3, 33), (34_990, 40), (69_999, 2)):
            cut = slice(start, start + count)
            tried += 2
            for a, b in zip(forward_and_backward(name, x[cut].clone()), whole, strict=True):
                if not same(a, b[cut]):
                    wrong.append(f"{name}, {dtype}, {count} from {start}")
    tally(tried, wrong)


@pytest.mark.parametrize("name", CATALOGUE)
def test_deterministic_mode_gives_equal_bits_twice(name: str, tally: Tally) -> None:
    tried, wrong = 0, []
    torch.use_deterministic_algorithms(True)
    try:
        for dtype in targets.FORMATS.values():
            x = (torch.randn(3, 40_000, generator=torch.Generator().manual_seed(3)) * 6).to(dtype)
            first, second = (forward_and_backward(name, x) for _ in range(2))
            tried += 2
            wrong += [f"{name}, {dtype}" for a, b in zip(first, second, strict=True) if not same(a, b)]
    finally:
        torch.use_deterministic_algorithms(False)
    tally(tried, wrong)


@pytest.mark.parametrize("name", CATALOGUE)
def test_meta_and_fake_tensors(name: str, tally: Tally) -> None:
    wrong = []
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(torch.zeros(2, 0, 3))
    for x in (torch.empty(4, 5, device="meta"), torch.empty(0, device="meta"), fake):
        for dtype in targets.FORMATS.values():
            y, dx = forward_and_backward(name, x.to(dtype))
            if not (y.shape == dx.shape == x.shape and y.dtype == dx.dtype == dtype and y.device == x.device):
                wrong.append(f"{name}, {x.device}, {dtype}")
    tally(3 * len(targets.FORMATS), wrong)


@pytest.mark.parametrize("name", ["relu", "swish", "cos"])
def test_more_than_2_31_elements(name: str, tally: Tally) -> None:
    count = 2**31 + 4099
    if psutil.virtual_memory().available < 2.5 * 2 * count:
        pytest.skip("less than 11 GB of memory are free")
    if cpu.compiler() is None:
        pytest.skip("no C compiler, and PyTorch's operations would need several times the memory")
    x = torch.empty(count, dtype=torch.bfloat16)
    pattern = (torch.randn(4099, generator=torch.Generator().manual_seed(4)) * 4).to(torch.bfloat16)
    x[: 2**31].view(-1, 4096).copy_(pattern[:4096])
    x[2**31 :] = pattern
    wrong, kernel = [], activation(name).kernel()
    for order, run in enumerate((operators.forward, lambda x, kernel: operators.backward(x, x, kernel))):
        small = run(pattern, kernel)
        whole = run(x, kernel)
        if not bool((whole[: 2**31].view(-1, 4096) == small[:4096]).all()):
            wrong.append(f"{name}{chr(8242) * order}: below 2³¹")
        if not torch.equal(whole[2**31 :], small):
            wrong.append(f"{name}{chr(8242) * order}: beyond 2³¹")
        del whole
    tally(2 * count, wrong)

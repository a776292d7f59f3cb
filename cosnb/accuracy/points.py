"""Inputs of a measurement: every 16-bit number; for wider formats random ones and critical neighbourhoods.

Numbers of a format are counted in order by integers, so that neighbours differ by one: see `ordinal`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy
import sympy
import torch
from sympy.core.relational import Relational
from torch import Tensor

from cosnb.accuracy.balls import evaluate
from cosnb.accuracy.truth import Truth
from cosnb.codegen.program import CONSTANTS, Program

_BITS = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
}
_TAIL = {torch.float64: 760.0, torch.float32: 110.0}  # where e^(−|x|) is 0 beyond
_ANCHORS = 256  # at most: their neighbourhoods share half of the points


def ordinal(x: Tensor) -> Tensor:
    """Return the place of each number in its format's order, int64; 0 for 0, −n for the negative of the n-th."""
    bits = x.view(_BITS[x.dtype]).to(torch.int64)
    return torch.where(bits < 0, torch.iinfo(_BITS[x.dtype]).min - bits, bits)


def number(place: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the numbers at the given places: the inverse of `ordinal`, but for −0."""
    bits = torch.where(place < 0, torch.iinfo(_BITS[dtype]).min - place, place)
    return bits.to(_BITS[dtype]).view(dtype)


def every(
    dtype: torch.dtype, device: torch.device | str = "cpu", chunk: int = 1 << 24, stride: int = 1
) -> Iterator[Tensor]:
    """Yield every finite number of a format of at most 32 bits, −0 too, in pieces of `chunk`; or every stride-th."""
    last = int(ordinal(torch.tensor(torch.finfo(dtype).max, dtype=dtype)))
    zero = torch.tensor([-0.0], dtype=dtype, device=device)  # not alone: for size 1 Inductor compiles once more
    for begin in range(-last, last + 1, chunk * stride):
        piece = number(torch.arange(begin, min(begin + chunk * stride, last + 1), stride, device=device), dtype)
        yield piece if begin > -last else torch.cat([zero, piece])


def grid() -> Tensor:
    """Return 2,017 float32 points: 0, every octave from 2⁻³² to 2¹³ on both sides, and [−20, 20] evenly."""
    octaves = numpy.exp2(numpy.linspace(-32, 13, 504))
    even = numpy.linspace(-20, 20, 1008)
    return torch.from_numpy(numpy.concatenate([-octaves, octaves, even, [0]]).astype(numpy.float32))


def sample(truth: Truth, programs: Sequence[Program], dtype: torch.dtype, count: int) -> Tensor:
    """Return about `count` finite numbers of the format, ascending, each once, with both zeros.

    A quarter each at random over the format's order, at random over ±110 (float64: ±760) and over ±10; the last quarter
    consecutive numbers around 0, the powers of 2, the largest, zeros of f, branch points of formula and program, and
    the places where f overflows or underflows.
    """
    last = int(ordinal(torch.tensor(torch.finfo(dtype).max, dtype=dtype)))
    generator = torch.Generator().manual_seed(0)
    everywhere = torch.randint(-last, last + 1, (count // 4,), generator=generator)
    spread = [
        ordinal(((2 * torch.rand(count // 4, generator=generator, dtype=torch.float64) - 1) * size).to(dtype))
        for size in (_TAIL[dtype], 10.0)
    ]
    base = torch.cat([everywhere, *spread]).unique()
    powers = ordinal(_powers(dtype))
    found = torch.cat([_constants(programs, dtype), _crossings(truth, base[:: max(1, len(base) >> 15)], dtype)])
    ends = torch.tensor([0, last, -last, _tiny(dtype), -_tiny(dtype)])
    anchors = torch.cat([ends, found.unique()[:_ANCHORS]])
    near = count // 8 // len(anchors)
    powers = powers[:: -(-3 * len(powers) * 8 // count)]  # all but where count is small
    close = count // 8 // len(powers)
    places = torch.cat([base, _around(anchors, near), _around(powers, close)])
    places = places[places.abs() <= last].unique()
    return torch.cat([number(places, dtype), torch.tensor([-0.0], dtype=dtype)])


def _around(places: Tensor, width: int) -> Tensor:
    return (places[:, None] + torch.arange(-(width // 2), width // 2 + 1)).flatten()


def _tiny(dtype: torch.dtype) -> int:
    return int(ordinal(torch.tensor(torch.finfo(dtype).tiny, dtype=dtype)))


def _powers(dtype: torch.dtype) -> Tensor:
    info = torch.finfo(dtype)
    steps = torch.tensor([info.tiny * info.eps, info.max], dtype=torch.float64).log2()
    positive = torch.exp2(torch.arange(round(float(steps[0])), int(steps[1]) + (dtype == torch.float32)).double())
    return torch.cat([positive, -positive]).to(dtype)


def _constants(programs: Sequence[Program], dtype: torch.dtype) -> Tensor:
    """Return the places of the numbers that a program compares with or holds x at, of both signs."""
    values: set[float] = set()
    for program in programs:
        for index in program.live():
            step = program.steps[index]
            if step.op in CONSTANTS:
                values.add(float(step.values[-1 if dtype == torch.float64 else 0]))
    both = torch.tensor([sign * value for value in sorted(values) for sign in (1, -1)], dtype=torch.float64).to(dtype)
    return ordinal(both[both.isfinite()])


def _crossings(truth: Truth, base: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the places where f, or the difference of a condition's sides, or |f| less an edge, changes its sign."""
    info = torch.finfo(dtype)
    x, functions = truth.x, [truth.expr]
    relations = [r for piece in truth.expr.atoms(sympy.Piecewise) for r in piece.atoms(Relational)]
    functions += sorted({r.args[0] - r.args[1] for r in relations}, key=sympy.default_sort_key)

    def values(expr: sympy.Expr, edge: float | None, place: Tensor) -> Tensor:
        value = evaluate(expr, x, number(place, dtype).double()).value
        return value if edge is None else value.abs() - edge

    edges = (info.max, info.tiny, info.tiny * info.eps / 2) if dtype != torch.float64 else (info.max, info.tiny)
    cases = [(expr, None) for expr in functions] + [(truth.expr, edge) for edge in edges]
    return torch.cat([_bisect(partial(values, expr, edge), base) for expr, edge in cases])


def _bisect(function: Callable[[Tensor], Tensor], base: Tensor) -> Tensor:
    positive = function(base) > 0
    change = (positive[1:] != positive[:-1]).nonzero().flatten()[:_ANCHORS]
    low, high, rising = base[change], base[change + 1], positive[change + 1]
    while len(low) and bool((high - low > 1).any()):
        middle = low + (high - low) // 2
        above = (function(middle) > 0) == rising
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return low

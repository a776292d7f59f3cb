"""Arrays of floating-point numbers in plain Python: the part of NumPy that the engine tries its programs with.

For a browser, where NumPy is no part of Pyodide's npm package. Names and results are NumPy's: IEEE arithmetic without
exceptions, float32 where an operand is and none is float64 (Python's own numbers take the array's type). A float32
function is that of float64, rounded, so that the last digit may differ from NumPy's. One dimension, or none.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import reduce
from types import SimpleNamespace
from typing import Any

from cosnb.host.ndarray import divide as divide
from cosnb.host.ndarray import elementwise, float32, float64, format_of, ndarray
from cosnb.host.ndarray import power as power

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e


_INFO = {
    float64: SimpleNamespace(max=float.fromhex("0x1.fffffffffffffp+1023"), minexp=-1022, nmant=52, tiny=2.0**-1022),
    float32: SimpleNamespace(max=float.fromhex("0x1.fffffep+127"), minexp=-126, nmant=23, tiny=2.0**-126),
}


def finfo(dtype: Any) -> Any:
    """Return max, minexp, nmant, tiny and eps of a format."""
    found = _INFO[dtype]
    found.eps = 2.0**-found.nmant
    return found


def _or_else(function: Callable[[float], float], overflow: Callable[[float], float], domain: Any = None) -> Any:
    """Return `function` with its values where math raises OverflowError or ValueError."""

    def careful(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return overflow(value)
        except ValueError:
            return nan if domain is None else float(domain(value))

    return careful


def _below(edge: float, limit: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: limit(value) if abs(value) == edge else nan


def _unary(name: str, overflow: float | Callable[[float], float] = inf, domain: Any = None) -> Callable[..., Any]:
    function = getattr(math, name)
    high = overflow if callable(overflow) else lambda value: overflow
    return elementwise(function, _or_else(function, high, domain))


exp, expm1, cosh = _unary("exp"), _unary("expm1"), _unary("cosh")
sinh = _unary("sinh", lambda value: math.copysign(inf, value))
log = _unary("log", domain=_below(0, lambda value: -inf))
log2 = _unary("log2", domain=_below(0, lambda value: -inf))
log1p = _unary("log1p", domain=lambda value: -inf if value == -1 else nan)
arctanh = _unary("atanh", domain=_below(1, lambda value: math.copysign(inf, value)))
sqrt, tanh, sin, cos, tan = (_unary(name) for name in ("sqrt", "tanh", "sin", "cos", "tan"))
arcsin, arccos, arctan, arcsinh, arccosh = (_unary(name) for name in ("asin", "acos", "atan", "asinh", "acosh"))
cbrt, exp2 = _unary("cbrt"), _unary("exp2")
special = SimpleNamespace(erf=_unary("erf"), erfc=_unary("erfc"))


def _whole(function: Callable[[float], int]) -> Callable[..., Any]:
    def rounded(value: float) -> float:
        return float(function(value)) if math.isfinite(value) else value

    return elementwise(rounded, rounded)


def _simple(function: Callable[..., Any], dtype: Any = None) -> Callable[..., Any]:
    return elementwise(function, function, dtype)


floor, ceil = _whole(math.floor), _whole(math.ceil)
abs_, square = _simple(abs), _simple(lambda value: value * value)
sign = _simple(lambda value: value if value != value else float((value > 0) - (value < 0)))
isnan, isfinite = _simple(math.isnan, bool), _simple(math.isfinite, bool)
signbit = _simple(lambda value: math.copysign(1.0, value) < 0, bool)
minimum = _simple(lambda a, b: a if a != a or a < b else b)
maximum = _simple(lambda a, b: a if a != a or a > b else b)
where = _simple(lambda chosen, value, otherwise: value if chosen else otherwise)
heaviside = _simple(lambda value, at: at if value == 0 else value if value != value else float(value > 0))


def _log_sum(a: float, b: float) -> float:
    high, low = (a, b) if a > b else (b, a)
    if high != high or low != low or math.isinf(high):
        return nan if low != low else high
    return high + math.log1p(math.exp(low - high))


logaddexp = _simple(_log_sum)


def _nan_to_num(value: float, of_nan: float, positive: float, negative: float) -> float:
    return of_nan if value != value else value if math.isfinite(value) else positive if value > 0 else negative


def nan_to_num(values: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    """Return the values with others for NaN and ±inf."""
    return _simple(_nan_to_num)(values, nan, posinf, neginf)


less, less_equal, greater, greater_equal, equal, not_equal = (
    _simple(getattr(operator, name), bool) for name in ("lt", "le", "gt", "ge", "eq", "ne")
)
logical_not = _simple(operator.not_, bool)


def _joined(function: Callable[[Any, Any], Any]) -> SimpleNamespace:
    both = _simple(function, bool)
    return SimpleNamespace(reduce=lambda parts: reduce(both, parts))


logical_and = _joined(lambda a, b: bool(a) and bool(b))
logical_or = _joined(lambda a, b: bool(a) or bool(b))


def select(conditions: Sequence[Any], values: Sequence[Any], default: Any) -> Any:
    """Return the value of the first condition that holds, else `default`."""
    chosen = default
    for condition, value in zip(reversed(conditions), reversed(values), strict=True):
        chosen = where(condition, value, chosen)
    return chosen


def asarray(values: Any, dtype: Any = None) -> ndarray:
    """Return an array of numbers, a list or one number, of a format (default: the numbers' own)."""
    dtype = {float: float64, complex: float64}.get(dtype, dtype)
    if isinstance(values, ndarray):
        return values if dtype is None else values.astype(dtype)
    if not isinstance(values, Iterable):
        return ndarray([float(values)], dtype or format_of(values), ())
    numbers = list(values)
    if dtype is None:
        dtype = bool if numbers and all(isinstance(value, bool) for value in numbers) else float64
    return ndarray([dtype(value) for value in numbers], dtype)


array = asarray


def arange(start: float, stop: float | None = None, step: float = 1.0) -> ndarray:
    """Return the numbers from `start` (0 where it is alone) up to `stop`, which is left out."""
    first, last = (0.0, start) if stop is None else (start, stop)
    return ndarray([first + k * step for k in range(math.ceil((last - first) / step))], float64)


def linspace(start: float, stop: float, count: int) -> ndarray:
    """Return `count` numbers at equal distances, both ends among them."""
    step = (stop - start) / (count - 1)
    return ndarray([*(start + k * step for k in range(count - 1)), float(stop)], float64)


def concatenate(parts: Sequence[ndarray]) -> ndarray:
    """Return one array after the other."""
    return ndarray([value for part in parts for value in part], format_of(*parts))


def broadcast_to(values: Any, shape: tuple[int, ...]) -> ndarray:
    """Return the array, or as many of its one number as `shape` says."""
    given = asarray(values)
    return given if given.shape == shape else ndarray(given.values * shape[0], given.dtype)


def full_like(x: ndarray, value: float) -> ndarray:
    """Return an array like `x`, all of one value."""
    return ndarray([float(value)] * len(x), x.dtype, x.shape)


def ones_like(x: ndarray) -> ndarray:
    """Return an array like `x` of ones."""
    return full_like(x, 1.0)


def flatnonzero(values: ndarray) -> list[int]:
    """Return the places of the values that are not 0."""
    return [place for place, value in enumerate(values) if value]


def max(values: Any, *, axis: int | None = None, initial: float = -inf) -> Any:
    """Return the largest number, or with `axis` 0 of several arrays the largest at each place; NaN where one is."""
    return reduce(maximum, values) if axis == 0 else reduce(maximum, values, initial)


def min(values: Any, *, axis: int | None = None, initial: float = inf) -> Any:
    """Return the smallest, as `max` does the largest."""
    return reduce(minimum, values) if axis == 0 else reduce(minimum, values, initial)


def sum(values: ndarray) -> Any:
    """Return the sum."""
    return math.fsum(values)


def isclose(got: float, wanted: float, rtol: float, atol: float, equal_nan: bool) -> bool:
    """Say whether two numbers are equal, or differ by `atol` and `rtol` of the second at most."""
    if got != got or wanted != wanted:
        return equal_nan and got != got and wanted != wanted
    return got == wanted or (math.isfinite(wanted) and math.fabs(got - wanted) <= atol + rtol * math.fabs(wanted))


def errstate(**_: str) -> nullcontext[None]:
    """Return a context that does nothing: there are no warnings here."""
    return nullcontext()


log10 = _unary("log10", domain=_below(0, lambda value: -inf))
# What SymPy's printer for NumPy and SciPy calls by these names.
_PRINTED = (
    "exp expm1 exp2 log log1p log2 log10 logaddexp sqrt cbrt power sign heaviside floor ceil where select minimum "
    "maximum sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh nan inf pi e "
    "less less_equal greater greater_equal equal not_equal logical_and logical_or logical_not"
)
NAMES: dict[str, Any] = {name: globals()[name] for name in _PRINTED.split()}
NAMES |= {"abs": abs_, "amax": max, "amin": min, "erf": special.erf, "erfc": special.erfc}


def __getattr__(name: str) -> Any:
    if name in ("abs", "absolute"):  # Python's own is used above
        return abs_
    raise AttributeError(f"cosnb.host.arrays has no {name}, which NumPy may have")

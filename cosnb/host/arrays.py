"""Arrays of floating-point numbers in plain Python: the part of NumPy that the engine tries its programs with.

For a browser, where NumPy is no part of Pyodide's npm package. Names and results are NumPy's: IEEE arithmetic without
exceptions, float32 where an operand is and none is float64 (Python's own numbers take the array's type). A float32
function is that of float64, rounded, so that the last digit may differ from NumPy's. One dimension, or none.
"""

import math
import operator
from array import array as _packed
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import reduce
from types import SimpleNamespace
from typing import Any, ClassVar

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e


class float64(float):  # noqa: N801  (NumPy's name)
    """A number that makes an array float64."""

    type: ClassVar[Any]


class float32(float):  # noqa: N801
    """A number rounded to 24 bits, which makes an array float32."""

    type: ClassVar[Any]

    def __new__(cls, value: float = 0.0) -> "float32":
        return super().__new__(cls, _packed("f", [value])[0])


float64.type, float32.type = float64, float32
_INFO = {
    float64: SimpleNamespace(max=float.fromhex("0x1.fffffffffffffp+1023"), minexp=-1022, nmant=52, tiny=2.0**-1022),
    float32: SimpleNamespace(max=float.fromhex("0x1.fffffep+127"), minexp=-126, nmant=23, tiny=2.0**-126),
}


def finfo(dtype: Any) -> Any:
    """Return max, minexp, nmant, tiny and eps of a format."""
    found = _INFO[dtype]
    found.eps = 2.0**-found.nmant
    return found


class ndarray:  # noqa: N801
    """A list of numbers with the format that they are rounded to: float64, float32 or bool. `shape` is (n,) or ()."""

    __slots__ = ("dtype", "shape", "values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: list[Any], dtype: Any, shape: tuple[int, ...] | None = None) -> None:
        self.values = _packed("f", values).tolist() if dtype is float32 else values
        self.dtype, self.shape = dtype, (len(values),) if shape is None else shape

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, ndarray):
            return ndarray([value for value, kept in zip(self.values, key.values, strict=True) if kept], self.dtype)
        return ndarray(self.values[key], self.dtype) if isinstance(key, slice) else self.values[key]

    def tolist(self) -> list[Any]:
        return list(self.values)

    def astype(self, dtype: Any, **_: Any) -> "ndarray":
        return asarray(self, dtype)

    def any(self) -> bool:
        return any(self.values)

    def all(self) -> bool:
        return all(self.values)

    @property
    def real(self) -> "ndarray":
        return self

    @property
    def imag(self) -> "ndarray":
        return ndarray([0.0] * len(self), self.dtype, self.shape)

    def __neg__(self) -> "ndarray":
        return ndarray([-value for value in self.values], self.dtype, self.shape)

    def __invert__(self) -> "ndarray":
        return ndarray([not value for value in self.values], bool, self.shape)

    def __pow__(self, other: Any) -> "ndarray":
        return power(self, other)

    def __rpow__(self, other: Any) -> "ndarray":
        return power(other, self)


def _format(*operands: Any) -> Any:
    """Return the format of a result: float32 where one operand has it and none has float64."""
    found = {part.dtype if isinstance(part, ndarray) else type(part) for part in operands}
    return float32 if float32 in found and float64 not in found else float64


def _spread(*operands: Any) -> tuple[list[Sequence[Any]], tuple[int, ...]]:
    """Return the operands' numbers, as many of each as the longest has, and the shape."""
    shape = next((part.shape for part in operands if isinstance(part, ndarray) and part.shape), ())
    count = shape[0] if shape else 1
    return [
        (part.values if part.shape == shape else part.values * count) if isinstance(part, ndarray) else [part] * count
        for part in operands
    ], shape


def _elementwise(function: Callable[..., Any], careful: Callable[..., Any], dtype: Any = None) -> Callable[..., Any]:
    """Return `function` of arrays and numbers; `careful` is it where Python raises what IEEE has a value for."""

    def apply(*operands: Any) -> Any:
        operands = tuple(asarray(part) if isinstance(part, (list, tuple)) else part for part in operands)
        if not any(isinstance(part, ndarray) for part in operands):
            value = careful(*operands)
            return value if dtype is bool else _format(*operands)(value)
        columns, shape = _spread(*operands)
        try:
            values = list(map(function, *columns))
        except (ArithmeticError, ValueError):
            values = list(map(careful, *columns))
        return ndarray(values, dtype or _format(*operands), shape)

    return apply


def _divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return nan if a == 0 or a != a else math.copysign(inf, a) * math.copysign(1.0, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -inf if a < 0 and b % 2 == 1 else inf
    except ValueError:  # 0 to a negative power, or a negative number to one that is not whole
        if a == 0:
            return math.copysign(inf, a) if b % 2 == 1 else inf
        return nan


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
    return _elementwise(function, _or_else(function, high, domain))


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

    return _elementwise(rounded, rounded)


def _simple(function: Callable[..., Any], dtype: Any = None) -> Callable[..., Any]:
    return _elementwise(function, function, dtype)


floor, ceil = _whole(math.floor), _whole(math.ceil)
abs_, square = _simple(abs), _simple(lambda value: value * value)
absolute = abs_
sign = _simple(lambda value: value if value != value else float((value > 0) - (value < 0)))
isnan, isfinite = _simple(math.isnan, bool), _simple(math.isfinite, bool)
signbit = _simple(lambda value: math.copysign(1.0, value) < 0, bool)
minimum = _simple(lambda a, b: a if a != a or a < b else b)
maximum = _simple(lambda a, b: a if a != a or a > b else b)
power, divide = _elementwise(math.pow, _power), _elementwise(operator.truediv, _divide)
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


def _install(name: str, function: Callable[[Any, Any], Any], careful: Any = None, dtype: Any = None) -> None:
    """Give arrays an operator, and the one for an array on the right."""
    both = _elementwise(function, careful or function, dtype)
    setattr(ndarray, f"__{name}__", lambda self, other: both(self, other))
    setattr(ndarray, f"__r{name}__", lambda self, other: both(other, self))


for _name in ("add", "sub", "mul"):
    _install(_name, getattr(operator, _name))
_install("truediv", operator.truediv, _divide)
for _name in ("and", "or"):
    _install(_name, getattr(operator, f"{_name}_"), dtype=bool)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _install(_name, getattr(operator, _name), dtype=bool)
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
        same = dtype is None or dtype is values.dtype
        return values if same else ndarray([dtype(value) for value in values], dtype, values.shape)
    if not isinstance(values, Iterable):
        return ndarray([float(values)], dtype or _format(values), ())
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
    return ndarray([value for part in parts for value in part], _format(*parts))


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


# What SymPy's printer for NumPy and SciPy calls by these names.
NAMES = {name: value for name, value in globals().items() if not name.startswith("_")}
NAMES |= {"abs": abs_, "amax": max, "amin": min, "erf": special.erf, "erfc": special.erfc, "log10": _unary("log10")}


def __getattr__(name: str) -> Any:
    if name == "abs":  # Python's own is used above
        return abs_
    raise AttributeError(f"cosnb.host.arrays has no {name}, which NumPy may have")

"""An array of floating-point numbers in plain Python, with IEEE arithmetic: what `arrays` is about."""

import math
import operator
from array import array as _packed
from collections.abc import Callable, Iterator, Sequence
from math import inf, nan
from typing import Any, ClassVar


class float64(float):  # noqa: N801  (NumPy's name)
    """A number that makes an array float64."""

    type: ClassVar[Any]


class float32(float):  # noqa: N801
    """A number rounded to 24 bits, which makes an array float32."""

    type: ClassVar[Any]

    def __new__(cls, value: float = 0.0) -> "float32":
        return super().__new__(cls, _packed("f", [value])[0])


float64.type, float32.type = float64, float32


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
        wanted = {float: float64, complex: float64}.get(dtype, dtype)
        return self if wanted is self.dtype else ndarray([wanted(value) for value in self.values], wanted, self.shape)

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


def format_of(*operands: Any) -> Any:
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


def _listed(operand: Any) -> Any:
    return ndarray([float(value) for value in operand], float64) if isinstance(operand, list | tuple) else operand


def elementwise(function: Callable[..., Any], careful: Callable[..., Any], dtype: Any = None) -> Callable[..., Any]:
    """Return `function` of arrays and numbers; `careful` is it where Python raises what IEEE has a value for."""

    def apply(*operands: Any) -> Any:
        operands = tuple(map(_listed, operands))
        if not any(isinstance(part, ndarray) for part in operands):
            value = careful(*operands)
            return value if dtype is bool else format_of(*operands)(value)
        if format_of(*operands) is float32:  # a number is rounded before it meets the array
            operands = tuple(float32(part) if type(part) is float else part for part in operands)
        columns, shape = _spread(*operands)
        try:
            values = list(map(function, *columns))
        except (ArithmeticError, ValueError):
            values = list(map(careful, *columns))
        return ndarray(values, dtype or format_of(*operands), shape)

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


power, divide = elementwise(math.pow, _power), elementwise(operator.truediv, _divide)


def _install(name: str, function: Callable[[Any, Any], Any], careful: Any = None, dtype: Any = None) -> None:
    """Give arrays an operator, and the one for an array on the right."""
    both = elementwise(function, careful or function, dtype)
    setattr(ndarray, f"__{name}__", lambda self, other: both(self, other))
    setattr(ndarray, f"__r{name}__", lambda self, other: both(other, self))


for _name in ("add", "sub", "mul"):
    _install(_name, getattr(operator, _name))
_install("truediv", operator.truediv, _divide)
for _name in ("and", "or"):
    _install(_name, getattr(operator, f"{_name}_"), dtype=bool)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _install(_name, getattr(operator, _name), dtype=bool)

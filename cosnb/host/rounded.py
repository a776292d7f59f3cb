"""Elementary functions whose values depend on no processor and no library, for decisions that must not either.

NumPy's float32 functions differ by an ulp or two between processors, and so do C libraries' in float64: a radius
measured with them was 1.14 on one host and 0.66 on the other.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
from mpmath import mp

from cosnb.host import IN_BROWSER, numpy

_BITS = 100
_BY_NUMPY = {"arctan": "atan", "arcsinh": "asinh", "power": "power", "logaddexp": ""}
_NAMES = {name: name for name in ("exp", "expm1", "log", "log1p", "tanh", "sinh", "cosh", "sin", "cos", "tan", "cbrt")}
_NAMES |= {name: name for name in ("erf", "erfc")} | _BY_NUMPY


class Rounded:
    """A module of NumPy's functions, the elementary ones computed in float64 and rounded to their array's format.

    `exactly`: rounded once, from mpmath's values; some 10 µs a number.
    """

    def __init__(self, module: Any, exactly: bool = False) -> None:
        self._module, self._exactly = module, exactly

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if name not in _NAMES:
            return function
        if self._exactly and _NAMES[name]:
            return partial(_exact, function, getattr(mpmath, _NAMES[name]))
        return function if IN_BROWSER else partial(_through_double, function)  # whose float32 is made so


def _through_double(function: Callable[..., Any], *arguments: Any) -> Any:
    kept = next((part.dtype for part in arguments if hasattr(part, "dtype")), None)
    if kept != numpy.float32:
        return function(*arguments)
    wide = [part.astype(numpy.float64) if hasattr(part, "dtype") else part for part in arguments]
    return function(*wide).astype(numpy.float32)


def _exact(function: Callable[..., Any], truth: Callable[..., Any], *arguments: Any) -> Any:
    rough = function(*arguments)
    if not hasattr(rough, "tolist") or not hasattr(rough.tolist(), "__len__"):
        return rough
    found = rough.tolist()
    columns = [part.tolist() if hasattr(part, "tolist") else part for part in arguments]
    columns = [column if isinstance(column, list) else [column] * len(found) for column in columns]
    with mp.workprec(_BITS):
        for place, value in enumerate(found):
            at = [column[place] for column in columns]
            # Elsewhere it is a limit or NaN, or no digit is lost.
            if value not in (0.0, 1.0, -1.0) and all(-1e300 < part < 1e300 for part in (value, *at)):
                exact = truth(*map(mpmath.mpf, at))
                found[place] = value if isinstance(exact, mpmath.mpc) else float(exact)
    return numpy.array(found).astype(rough.dtype)

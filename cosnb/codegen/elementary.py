"""Elementary functions in C99 for generated headers: branch-free, without tables, vectorised by the compiler.

The C text is in elementary.h and selections.h, templates for float and double, and for what the formats do
differently in elementary_float.h and elementary_double.h; the polynomials in coefficients.json, from tools.minimax.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cosnb.errors import CosnbError

_HERE = Path(__file__).parent

# What the text of `definitions` needs at the head of its file.
INCLUDES = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"

# The words in capitals of the templates. ROUND is 1.5·2^(digits − 1) plus the exponent's bias, INTEGERS 2^(digits − 1)
# plus the bias less 1; LN2_HIGH has so few digits that its product with any n of a reduction is exact; EXP_LOWEST,
# EXP_HIGHEST, SINH_HIGHEST and ERFC_HIGHEST lie just past the points where the result rounds to 0 or to infinity.
_WORDS: dict[str, dict[str, str]] = {
    "float": {
        "REAL": "float",
        "BITS": "uint32_t",
        "SIGN": "0x80000000u",
        "BIT_1_TO_SIGN": "30",
        "SIGN_PLACE": "31",
        "MANTISSA_BITS": "23",
        "MANTISSA": "0x7fffffu",
        "BIAS": "127u",
        "ROUND": "12583039.0f",
        "INTEGERS": "8388734.0f",
        "BITS_OF_INTEGERS": "0x4b000000u",
        "MANTISSA_OF_TWO_THIRDS": "0x2aaaabu",
        "SMALLEST_NORMAL": "0x1p-126f",
        "TO_NORMAL": "0x1p+24f",
        "FROM_NORMAL": "0x1p-12f",
        "CBRT_FROM_NORMAL": "0x1p-8f",
        "THIRD": "0x1.555556p-2f",
        "TWO_NINTHS": "0x1.c71c72p-3f",
        "LOG2_TO_NORMAL": "24.0f",
        "TINY": "0x1p-60f",
        "LOG2E": "0x1.715476p+0f",
        "LN2": "0x1.62e43p-1f",
        "LN2_HIGH": "0x1.62e4p-1f",
        "LN2_LOW": "0x1.7f7d1cp-20f",
        "EXP_LOWEST": "-104.0f",
        "EXP_HIGHEST": "89.0f",
        "EXPM1_LOWEST": "-20.0f",
        "SINH_HIGHEST": "89.5f",
        "ROOT": "sqrtf",
        "ROOT_GUESS": "0x5f3759dfu",
        "ERFC_HIGHEST": "10.2f",
        "ERFC_CENTRE": "2.0f",
        "ERFC_FIT": "erfc_float",
        "HALF_PI": "0x1.921fb6p+0f",
        "HALF_PI_REST": "-0x1.777a5cp-25f",
        "REACH": "0x1p+48f",
        "WIDE_FMA": "fma",
        "WIDE_ROUND": "0x1.8p+52",
        "WIDE_TWO_OVER_PI": "0x1.45f306dc9c883p-1",
        "WIDE_HALF_PI_1": "0x1.921fb54442d18p+0",
        "WIDE_HALF_PI_2": "0x1.1a62633145c07p-54",
    },
    "double": {
        "REAL": "double",
        "BITS": "uint64_t",
        "SIGN": "0x8000000000000000u",
        "BIT_1_TO_SIGN": "62",
        "SIGN_PLACE": "63",
        "MANTISSA_BITS": "52",
        "MANTISSA": "0xfffffffffffffu",
        "BIAS": "1023u",
        "ROUND": "6755399441056767.0",
        "INTEGERS": "4503599627371518.0",
        "BITS_OF_INTEGERS": "0x4330000000000000u",
        "MANTISSA_OF_TWO_THIRDS": "0x5555555555555u",
        "SMALLEST_NORMAL": "0x1p-1022",
        "TO_NORMAL": "0x1p+54",
        "FROM_NORMAL": "0x1p-27",
        "CBRT_FROM_NORMAL": "0x1p-18",
        "THIRD": "0x1.5555555555555p-2",
        "TWO_NINTHS": "0x1.c71c71c71c71cp-3",
        "LOG2_TO_NORMAL": "54.0",
        "TINY": "0x1p-100",
        "LOG2E": "0x1.71547652b82fep+0",
        "LN2": "0x1.62e42fefa39efp-1",
        "LN2_HIGH": "0x1.62e42fefa38p-1",
        "LN2_LOW": "0x1.ef35793c7673p-45",
        "EXP_LOWEST": "-746.0",
        "EXP_HIGHEST": "710.0",
        "EXPM1_LOWEST": "-40.0",
        "SINH_HIGHEST": "710.5",
        "ROOT": "sqrt",
        "ROOT_GUESS": "0x5fe6eb50c7b537a9u",
        "ERFC_HIGHEST": "27.3",
        "ERFC_CENTRE": "4.0",
        "ERFC_FIT": "erfc_double",
        "HALF_PI": "0x1.921fb54442d18p+0",
        "HALF_PI_REST": "0x1.1a62633145c07p-54",
        "HALF_PI_END": "-0x1.f1976b7ed8fbcp-110",
        "REACH": "0x1p+48",
        "WIDE_ROUND": "0x1.8p+52",
        "TWO_OVER_PI": "0x1.45f306dc9c883p-1",
    },
}

# Domain, method, and the largest error in ulp: of float on every float of the domain (sin, cos, tan: up to 2³⁰), of
# double on 10⁶ points (erf, erfc: 10⁴). An ulp is at least the distance of two subnormals. NaN gives NaN everywhere.
FUNCTIONS: dict[str, str] = {
    "exp_nonpositive": "e^y, −87 ≤ y ≤ 0 (double −700): y = n·ln 2 + r, e^r by a polynomial. 1.04 ulp; 1.01 ulp.",
    "exp_scaled": "2¹⁰⁰·e^y, −110 ≤ y ≤ 0 (double −760), a normal number; as exp_nonpositive. 1.04 ulp; 1.01 ulp.",
    "one_minus_exp": "1 − e^y for y of either; of ±0 it is +0. 1.0 ulp; 1.2 ulp.",
    "exp": "e^y for every y, subnormal results too: 2^n as two factors. 1.04 ulp; 1.01 ulp.",
    "expm1": "e^y − 1 for every y: half of it is computed, then doubled. 1.6 ulp; 2.0 ulp.",
    "exp_product": "e^(u·h), h given as high + low: c^u for h = log c. 1.0 ulp; 1.1 ulp.",
    "log1p_unit": "log(1 + t), 0 ≤ t ≤ 1: one polynomial. 1.2 ulp; 1.1 ulp.",
    "log": "log y for every y: y = 2^n·m, 2/3 ≤ m < 4/3. 1.0 ulp; 1.2 ulp.",
    "log1p": "log(1 + y) for every y: 1 + y scaled to [2/3, 4/3] with one rounding. 1.6 ulp; 1.8 ulp.",
    "pow": "y^a for every y, a given as high + low, |a| ≤ 32: log y in two words; NaN for y < 0. 1.1 ulp; 1.4 ulp.",
    "cbrt": "y^(1/3) for every y; NaN for y < 0. 0.51 ulp; 0.51 ulp.",
    "tanh": "For every x, from e^(−2|x|). 2.7 ulp; 2.6 ulp.",
    "sinh": "For every x, from e^|x| − 1. 2.3 ulp; 2.4 ulp.",
    "cosh": "For every x, from e^|x|. 1.6 ulp; 1.5 ulp.",
    "sigmoid": "1 / (1 + e^−y) for every y, relative accuracy in the left tail. 2.5 ulp; 2.3 ulp.",
    "softplus": "log(1 + e^y) for every y, relative accuracy in the left tail. 1.9 ulp; 1.8 ulp.",
    "asinh": "For every x, by log1p and a square root from Newton's method. 2.0 ulp; 2.1 ulp.",
    "erf": "For every x: polynomials below and above 1; double above 1 by erfc. 1.1 ulp; 0.9 ulp.",
    "erfc": "For every x, relative accuracy until it underflows: e^(−x²), a² with its low part. 3.8 ulp; 4.3 ulp.",
    "sin": "For |x| ≤ REACH; any number beyond that; NaN at ±inf. 1.6 ulp; 1.2 ulp.",
    "cos": "For |x| ≤ REACH; any number beyond that; NaN at ±inf. 1.6 ulp; 1.2 ulp.",
    "tan": "sin x / cos x, same limit. 3.2 ulp; 2.7 ulp.",
    "atan": "For every x: atan a = π/2 − atan(1/a) for a > 1, one polynomial. 1.4 ulp; 1.5 ulp.",
}

# Arguments of those that take more than one; operations that are calls of another's function.
ARGUMENTS = {"exp_product": 3, "pow": 3}
DEFINED_BY = {"power": "pow", "power_of": "exp_product"}

# Those with a limit. sin_everywhere, in selections.h, has none: beyond it a call of the C library, so not for vectors.
PERIODIC = frozenset(("sin", "cos", "tan"))
REACH = 2.0**48

# What selections.h adds for a Program's other operations.
SELECTIONS = ("mask", "negative", "signed", "choose", "min", "max", "sign", "sqrt")

_FUNCTION = re.compile(r"(?:^/\*(?:(?!\*/).)*\*/\n)?^static inline \w+ cosnb_(\w+)\(.*?^}\n", re.DOTALL | re.MULTILINE)
# A number with a point or a binary exponent is of the format, and so is each function.
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d+|0x[0-9a-f.]+p[+-]?\d+)(?![\w.])")
_NAME = re.compile(r"\b(cosnb_\w+|fma|fabs)\b")
_SUFFIX = {"float": "f", "double": ""}
_POLYNOMIAL = re.compile(r"^( +)REAL (\w+) = POLY\((\w+), (\w+)\);\n", re.MULTILINE)


def definitions(names: Iterable[str], dtype: str) -> str:
    """Return C text that defines the functions `names` and all they use, each once, each before its first use.

    `names`: of FUNCTIONS and SELECTIONS; `dtype`: "float" or "double". In C, `exp` is cosnb_expf for float and
    cosnb_exp for double. The file around the text begins with INCLUDES. Raises CosnbError for another name or dtype.
    """
    if dtype not in _WORDS:
        raise CosnbError(f"no elementary functions for {dtype!r}: expected float or double")
    blocks = _blocks(dtype)
    wanted: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in blocks:
            raise CosnbError(f"no elementary function {name!r} in C; known: {', '.join(FUNCTIONS)}")
        if name not in wanted:
            wanted.add(name)
            todo += set(re.findall(rf"\bcosnb_(\w+){_SUFFIX[dtype]}\(", blocks[name])) - {name}
    return "\n".join(block for name, block in blocks.items() if name in wanted)


def arguments(name: str) -> str:
    """Return the arguments of one of FUNCTIONS as a template: "{0}", or "{0}, {1}, {2}"."""
    return ", ".join(f"{{{index}}}" for index in range(ARGUMENTS.get(name, 1)))


@cache
def _blocks(dtype: str) -> dict[str, str]:
    """Return {name: C text of the function}, in an order in which each stands after those that it uses."""
    text = "".join(
        (_HERE / name).read_text(encoding="utf-8") for name in ("elementary.h", f"elementary_{dtype}.h", "selections.h")
    )
    polynomials = json.loads((_HERE / "coefficients.json").read_text(encoding="utf-8"))[dtype]
    text = text.replace("ERFC_FIT", _WORDS[dtype]["ERFC_FIT"])
    text = _POLYNOMIAL.sub(lambda match: _horner(match[1], match[2], match[4], polynomials[match[3]]), text)
    if dtype == "float":
        text = _NAME.sub(r"\1f", _NUMBER.sub(r"\1f", text))
    text = re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda match: _WORDS[dtype].get(match[0], match[0]), text)
    return {match[1].removesuffix(_SUFFIX[dtype]): match[0] for match in _FUNCTION.finditer(text)}


def _horner(indent: str, result: str, x: str, coefficients: list[str]) -> str:
    """Return C that sets `result` to the polynomial in `x`, two steps a line."""
    head, *rest = [_shorten(c) for c in reversed(coefficients)]
    lines = [f"REAL {result} = {head};"]
    if len(rest) % 2:
        lines = [f"REAL {result} = fma({head}, {x}, {rest.pop(0)});"]
    for first, second in zip(rest[::2], rest[1::2], strict=True):
        lines.append(f"{result} = fma(fma({result}, {x}, {first}), {x}, {second});")
    return "".join(f"{indent}{line}\n" for line in lines)


def _shorten(number: str) -> str:
    """Return a hexadecimal number without trailing zeros: 0x1.8p+0 for 0x1.8000000000000p+0."""
    mantissa, exponent = number.split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" if "." in mantissa else number

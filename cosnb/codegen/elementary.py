"""Elementary functions in C99 for generated headers: branch-free, without tables, vectorised by the compiler.

The C text stands in elementary.h, a template for float and double, and for what the formats do differently in
elementary_float.h and elementary_double.h; the polynomials in coefficients.json, which cosnb.codegen.minimax computes.
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

# The words in capitals of the template. LN2_HIGH has so few digits that its product with any n of the reduction is
# exact; EXP_LOWEST and EXP_HIGHEST lie just past the points where e^y rounds to 0 and to infinity.
_WORDS: dict[str, dict[str, str]] = {
    "float": {
        "REAL": "float",
        "BITS": "uint32_t",
        "SIGN": "0x80000000u",
        "MANTISSA_BITS": "23",
        "BIAS": "127u",
        "ROUND": "12583039.0",
        "LOG2E": "0x1.715476p+0",
        "LN2_HIGH": "0x1.62e4p-1",
        "LN2_LOW": "0x1.7f7d1cp-20",
        "EXP_LOWEST": "-104.0",
        "EXP_HIGHEST": "89.0",
        "EXPM1_LOWEST": "-20.0",
        "TINY": "0x1p-60",
    },
    "double": {
        "REAL": "double",
        "BITS": "uint64_t",
        "SIGN": "0x8000000000000000u",
        "MANTISSA_BITS": "52",
        "BIAS": "1023u",
        "ROUND": "6755399441056767.0",
        "LOG2E": "0x1.71547652b82fep+0",
        "LN2_HIGH": "0x1.62e42fefa38p-1",
        "LN2_LOW": "0x1.ef35793c7673p-45",
        "EXP_LOWEST": "-746.0",
        "EXP_HIGHEST": "710.0",
        "EXPM1_LOWEST": "-40.0",
        "TINY": "0x1p-100",
    },
}

# Domain, method and the worst error measured, in ulp, float then double.
FUNCTIONS: dict[str, str] = {
    "exp_nonpositive": "e^y for −87 ≤ y ≤ 0 (double: −700); NaN gives NaN.",
    "expm1_nonpositive": "e^y − 1 for −87 ≤ y ≤ 0 (double: −700); NaN gives NaN.",
    "exp": "e^y for every y.",
    "expm1": "e^y − 1 for every y.",
}

_FUNCTION = re.compile(r"(?:^/\*(?:(?!\*/).)*\*/\n)?^static inline \w+ cosnb_(\w+)\(.*?^}\n", re.DOTALL | re.MULTILINE)
_POLYNOMIAL = re.compile(r"^( +)REAL (\w+) = POLY\((\w+), (\w+)\);\n", re.MULTILINE)


def definitions(names: Iterable[str], dtype: str) -> str:
    """Return C text that defines the functions `names` and all they use, each once, each before its first use.

    `names`: keys of FUNCTIONS; `dtype`: "float" or "double". In C, `exp` is cosnb_expf for float and cosnb_exp for
    double. The file around the text begins with INCLUDES. Raises CosnbError for another name or dtype.
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
            todo += set(re.findall(r"\bcosnb_(\w+)\(", blocks[name])) - {name}
    text = "\n".join(block for name, block in blocks.items() if name in wanted)
    return re.sub(r"\b(cosnb_\w+|fma|fabs)\b", r"\1f", text) if dtype == "float" else text


@cache
def _blocks(dtype: str) -> dict[str, str]:
    """Return {name: C text of the function}, in an order in which each stands after those that it uses."""
    text = "".join((_HERE / name).read_text(encoding="utf-8") for name in ("elementary.h", f"elementary_{dtype}.h"))
    polynomials = json.loads((_HERE / "coefficients.json").read_text(encoding="utf-8"))[dtype]
    suffix = "f" if dtype == "float" else ""
    text = _POLYNOMIAL.sub(lambda match: _horner(*match.groups(), polynomials[match[3]]), text)
    text = re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda match: _WORDS[dtype].get(match[0], match[0]), text)
    # Every number with a point or a binary exponent is of the format.
    text = re.sub(r"(?<![\w.])(\d+\.\d+|0x[0-9a-f.]+p[+-]?\d+)(?![\w.])", rf"\1{suffix}", text)
    return {match[1]: match[0] for match in _FUNCTION.finditer(text)}


def _horner(indent: str, result: str, _name: str, x: str, coefficients: list[str]) -> str:
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

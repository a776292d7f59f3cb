"""A self-contained C99 header of one activation: f and f′ as functions and as loops, for float and double.

Every loop becomes vector instructions under plain `cc -std=c99 -O3 -ffp-contract=off`: selections are masks, which
need no -fno-trapping-math, and the square root is the project's own where the C library's would have to set errno.
Each helper stands behind its own #ifndef, so that headers can be included together; the text is C++17 as well.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from cosnb.codegen.elementary import FUNCTIONS, INCLUDES, definitions
from cosnb.codegen.printing import Target, assignments, check_name
from cosnb.codegen.program import COMPARISONS, Program
from cosnb.codegen.targets import c

_HOW = """/* C99 or C++17. Fast with -O3 -march=native (it needs fused multiply-add), the same bits everywhere with
   -ffp-contract=off; never with -ffast-math. */
"""
FORMATS = {"f32": "float", "f64": "double"}
_SUFFIX = {"float": "f", "double": ""}
_FUNCTION = re.compile(r"(?:^/\*(?:(?!\*/).)*\*/\n)?^static inline \w+ (\w+)\(.*?^}\n", re.DOTALL | re.MULTILINE)
# Compilers stop inlining where a file grows, and a loop that calls a function is no vector loop.
_MACROS = """#ifndef COSNB_INLINE
#ifdef __GNUC__
#define COSNB_INLINE static inline __attribute__((always_inline))
#else
#define COSNB_INLINE static inline
#endif
#endif

#ifndef COSNB_RESTRICT
#ifdef __cplusplus
#define COSNB_RESTRICT __restrict
#else
#define COSNB_RESTRICT restrict
#endif
#endif
"""
# The selections of codegen.c, spelled out one function each.
_SMALL = {
    "mask": """/* All bits set where the condition holds. */
static inline BITS cosnb_mask(int condition) {
  return (BITS)0 - (BITS)condition;
}
""",
    "negative": """/* All bits set where the sign is. */
static inline BITS cosnb_negative(REAL x) {
  return (BITS)0 - (cosnb_bits(x) >> TO_SIGN);
}
""",
    "choose": """/* a where the mask's bits are set, else b. */
static inline REAL cosnb_choose(BITS mask, REAL a, REAL b) {
  return cosnb_from_bits((cosnb_bits(a) & mask) | (cosnb_bits(b) & ~mask));
}
""",
    "min": """/* The smaller of both; a NaN in a stays. */
static inline REAL cosnb_min(REAL a, REAL b) {
  return cosnb_select(a > b, b, a);
}
""",
    "max": """/* The larger of both; a NaN in a stays. */
static inline REAL cosnb_max(REAL a, REAL b) {
  return cosnb_select(a < b, b, a);
}
""",
    "sign": """/* 1, −1, or a itself: 0 and NaN. */
static inline REAL cosnb_sign(REAL a) {
  return cosnb_select(a > 0, 1, cosnb_select(a < 0, -1, a));
}
""",
    # E is the exponent's field; (E + BIAS) / 2 is that of the root of 2^n rounded down to an even power.
    "sqrt": """/* √w. The library's may set errno, which keeps a loop from becoming vector instructions; this one, by
   Newton's method on w scaled to [1, 4), differs from it by at most one unit in the last place. */
static inline REAL cosnb_sqrt(REAL w) {
#ifdef __NO_MATH_ERRNO__
  return ROOT(w);
#else
  const int small = w < SMALLEST_NORMAL;
  const BITS bits = cosnb_bits(cosnb_select(small, w * TO_NORMAL, w));
  const BITS sum = (bits >> MANTISSA_BITS) + BIAS;
  const REAL scaled = cosnb_from_bits((bits & MANTISSA) | ((BIAS + (sum & 1u)) << MANTISSA_BITS));
  const REAL half = cosnb_from_bits((sum >> 1) << MANTISSA_BITS);
  const REAL root = cosnb_root(scaled) * half * cosnb_select(small, FROM_NORMAL, 1);
  return cosnb_select((w > 0) & (w < INFINITY), root, cosnb_select(w < 0, NAN, w));
#endif
}
""",
}
_WORDS = {
    "float": {
        "REAL": "float",
        "BITS": "uint32_t",
        "ROOT": "sqrtf",
        "SMALLEST_NORMAL": "0x1p-126f",
        "TO_NORMAL": "0x1p+24f",
        "FROM_NORMAL": "0x1p-12f",
        "TO_SIGN": "31",
        "MANTISSA_BITS": "23",
        "MANTISSA": "0x7fffffu",
        "BIAS": "127u",
    },
    "double": {
        "REAL": "double",
        "BITS": "uint64_t",
        "ROOT": "sqrt",
        "SMALLEST_NORMAL": "0x1p-1022",
        "TO_NORMAL": "0x1p+54",
        "FROM_NORMAL": "0x1p-27",
        "TO_SIGN": "63",
        "MANTISSA_BITS": "52",
        "MANTISSA": "0xfffffffffffffu",
        "BIAS": "1023u",
    },
}


def header(name: str, programs: Sequence[Program], order: int = 0, comment: str = "") -> str:
    """Return the text of a header with act_<name>_f32, act_<name>_d1_f32, the loops over them, and the same for _f64.

    `programs`: those of the derivatives `order` and `order` + 1; for order 1 the names are act_<name>_d1 and
    act_<name>_d2. forward(x, y, n): y[i] = f(x[i]); backward(dy, x, dx, n): dx[i] = dy[i]·f′(x[i]); n elements, arrays
    that do not overlap. Raises CosnbError for a name that is no identifier.
    """
    check_name(name)
    names = [f"act_{name}" + (f"_d{n}" if n else "") for n in (order, order + 1)]
    guard = f"COSNB_{names[0].upper()}_H"
    parts = [
        _comment(comment) + _HOW,
        f"#ifndef {guard}\n#define {guard}\n",
        INCLUDES + "#include <stddef.h>\n",
        _MACROS,
    ]
    parts += [part for dtype in FORMATS.values() for part in _helpers(programs, dtype)]
    for suffix, dtype in FORMATS.items():
        parts += [_function(p, f"{n}_{suffix}", dtype) for p, n in zip(programs, names, strict=True)]
        parts += [_loops(names, suffix, dtype)]
    return "\n".join([*parts, f"#endif /* {guard} */\n"])


def _comment(text: str) -> str:
    lines = text.replace("*/", "* /").replace("/*", "/ *").splitlines()
    return "/* " + "\n   ".join(lines) + " */\n" if lines else ""


def _target(dtype: str) -> Target:
    table = c.target(dtype)
    return replace(table, templates={**table.templates, "sqrt": f"cosnb_sqrt{_SUFFIX[dtype]}({{0}})"})


def _function(program: Program, name: str, dtype: str) -> str:
    lines, result = assignments(program, _target(dtype))
    unused = [] if any(program.steps[index].op == "input" for index in program.live()) else ["(void)x;"]
    body = [*unused, *(f"const {dtype} {left} = {right};" for left, right in lines), f"return {result};"]
    return "\n".join([f"COSNB_INLINE {dtype} {name}({dtype} x) {{", *(f"  {line}" for line in body), "}\n"])


def _helpers(programs: Sequence[Program], dtype: str) -> list[str]:
    """Return the elementary functions that the programs call, and what those call, each behind its #ifndef."""
    f = _SUFFIX[dtype]
    ops = {program.steps[index].op for program in programs for index in program.live()}
    ops |= {"mask"} if ops & COMPARISONS.keys() else set()
    ops |= {"choose"} if "where" in ops else set()
    names = [op for op in FUNCTIONS if op in ops] + ["root"] * ("sqrt" in ops) + ["select"] * bool(ops & _SMALL.keys())
    texts = {match[1]: match[0] for match in _FUNCTION.finditer(definitions(names, dtype))}
    for op, text in _SMALL.items():
        if op in ops:
            text = re.sub(r"\b[A-Z_]+\b", lambda match: _WORDS[dtype].get(match[0], match[0]), text)
            texts[f"cosnb_{op}{f}"] = re.sub(r"\b(cosnb_\w+)\(", rf"\1{f}(", text)
    return [_guarded(f"{name.upper()}_H", text) for name, text in texts.items()]


def _guarded(guard: str, text: str) -> str:
    text = text.replace("static inline", "COSNB_INLINE")
    return f"#ifndef {guard}\n#define {guard}\n{text}#endif\n"


def _loops(names: Sequence[str], suffix: str, dtype: str) -> str:
    value, slope = (f"{name}_{suffix}" for name in names)
    given, written = f"const {dtype} *COSNB_RESTRICT", f"{dtype} *COSNB_RESTRICT"
    return f"""/* y[i] = f(x[i]) for n elements; x and y do not overlap. */
static inline void {names[0]}_forward_{suffix}({given} x, {written} y, size_t n) {{
  for (size_t i = 0; i < n; i++) y[i] = {value}(x[i]);
}}

/* dx[i] = dy[i] * f'(x[i]) for n elements; dx does not overlap dy or x. */
static inline void {names[0]}_backward_{suffix}({given} dy, {given} x, {written} dx, size_t n) {{
  for (size_t i = 0; i < n; i++) dx[i] = dy[i] * {slope}(x[i]);
}}
"""

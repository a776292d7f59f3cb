"""Self-contained C99 header of one activation: f and f′ as functions and as loops, for float and double.

Every loop becomes vector instructions under plain `cc -std=c99 -O3 -ffp-contract=off`: selections are masks, which
need no -fno-trapping-math, and the square root is the project's own where the C library's would have to set errno.
Sine, cosine and tangent of numbers beyond 2^48 are the C library's, which loops call only where they meet such numbers.
Each helper stands behind its own #ifndef, so that headers can be included together; the text is C++17 as well.
"""

import re
from collections.abc import Sequence

from cosnb.codegen.elementary import INCLUDES
from cosnb.codegen.printing import check_name
from cosnb.codegen.program import Program
from cosnb.codegen.targets import c

_HOW = """/* C99 or C++17. Fast with -O3 -march=native (it needs fused multiply-add), the same bits everywhere with
   -ffp-contract=off; never with -ffast-math. */
"""
FORMATS = {"f32": "float", "f64": "double"}
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
_IN_DOUBLE = """/* In double: its terms cancel, and float has too few digits. */
COSNB_INLINE float {name}_f32(float x) {{
  return (float){name}_f64((double)x);
}}
"""


def header(name: str, programs: Sequence[Program], order: int = 0, comment: str = "") -> str:
    """Return the text of a header with act_<name>_f32, act_<name>_d1_f32, the loops over them, and the same for _f64.

    `programs`: those of the derivatives `order` and `order` + 1; for order 1 the names are act_<name>_d1 and
    act_<name>_d2. forward(x, y, n): y[i] = f(x[i]); backward(dy, x, dx, n): dx[i] = dy[i]·f′(x[i]); n elements, arrays
    that do not overlap. Under the kernels' flags the loops give the kernels' bits. Raises CosnbError for a name that is
    no identifier.
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
    value, slope = programs
    wide = [c.computes_in_double(program, "f32") for program in (value, slope.times("dy"))]
    single = [program for program, is_wide in zip(programs, wide, strict=True) if not is_wide]
    parts += [*_helpers(single, "float"), *_helpers(programs, "double")]
    for suffix in ("f64", "f32"):
        for program, n, is_wide in zip(programs, names, wide, strict=True):
            parts += _functions(program, n, suffix, is_wide and suffix == "f32")
    far = [c.reaches_far(program) for program in programs]
    parts += [_loops(names, suffix, far, wide[1]) for suffix in FORMATS]
    return "\n".join([*parts, f"#endif /* {guard} */\n"])


def _comment(text: str) -> str:
    lines = text.replace("*/", "* /").replace("/*", "/ *").splitlines()
    return "/* " + "\n   ".join(lines) + " */\n" if lines else ""


def _functions(program: Program, name: str, suffix: str, wide: bool) -> list[str]:
    """Return the function `name`; where its sines need it also the one for vectors, and where that one is wrong."""
    if wide:  # of the normal form, which has no sines
        return [_IN_DOUBLE.format(name=name)]
    dtype = FORMATS[suffix]
    texts = [c.function(program, f"{name}_{suffix}", dtype, everywhere=True)]
    if c.reaches_far(program):
        texts += [c.function(program, f"{name}_near_{suffix}", dtype), c.far(program, f"{name}_far_{suffix}", dtype)]
    return [text.replace("static inline", "COSNB_INLINE") for text in texts]


def _helpers(programs: Sequence[Program], dtype: str) -> list[str]:
    """Return the functions that the programs call, and what those call, each behind its #ifndef."""
    return [_guarded(f"{match[1].upper()}_H", match[0]) for match in _FUNCTION.finditer(c.helpers(programs, dtype))]


def _guarded(guard: str, text: str) -> str:
    text = text.replace("static inline", "COSNB_INLINE")
    return f"#ifndef {guard}\n#define {guard}\n{text}#endif\n"


def _loops(names: Sequence[str], suffix: str, far: Sequence[bool], wide: bool) -> str:
    """Return the loops over the functions `names`; `wide`: whether the derivative's product is computed in double."""
    dtype = FORMATS[suffix]
    given, written = f"const {dtype} *COSNB_RESTRICT", f"{dtype} *COSNB_RESTRICT"
    product = f"dy[i] * {{0}}_{suffix}(x[i])"
    if wide and suffix == "f32":  # one rounding
        product = "(float)((double)dy[i] * {0}_f64((double)x[i]))"
    return f"""/* y[i] = f(x[i]) for n elements; x and y do not overlap. */
static inline void {names[0]}_forward_{suffix}({given} x, {written} y, size_t n) {{
{_each("y[i] = {0}_" + suffix + "(x[i])", names[0], suffix, far[0])}}}

/* dx[i] = dy[i] * f'(x[i]) for n elements; dx does not overlap dy or x. */
static inline void {names[0]}_backward_{suffix}({given} dy, {given} x, {written} dx, size_t n) {{
{_each("dx[i] = " + product, names[1], suffix, far[1])}}}
"""


def _each(statement: str, name: str, suffix: str, far: bool) -> str:
    """Return the loop of a statement, and one that repeats it where an argument of a sine is far."""
    if not far:
        return f"  for (size_t i = 0; i < n; i++) {statement.format(name)};\n"
    return f"""  uint{suffix[1:]}_t far = 0;
  for (size_t i = 0; i < n; i++) {{
    far |= {name}_far_{suffix}(x[i]);
    {statement.format(name + "_near")};
  }}
  for (size_t i = 0; far && i < n; i++)
    if ({name}_far_{suffix}(x[i])) {statement.format(name)};
"""

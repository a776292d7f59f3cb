"""Self-contained C99 header of one activation: f and f′ as functions and as loops, for float and double.

Every loop becomes vector instructions under plain `cc -std=c99 -O3 -ffp-contract=off`: selections are masks, which
need no -fno-trapping-math, and the square root is the project's own where the C library's would have to set errno.
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
    parts += [_function(program, f"{n}_f64", "double") for program, n in zip(programs, names, strict=True)]
    parts += [
        _IN_DOUBLE.format(name=n) if is_wide else _function(program, f"{n}_f32", "float")
        for program, n, is_wide in zip(programs, names, wide, strict=True)
    ]
    slopes = {"f64": f"dy[i] * {names[1]}_f64(x[i])", "f32": f"dy[i] * {names[1]}_f32(x[i])"}
    if wide[1]:  # one rounding
        slopes["f32"] = f"(float)((double)dy[i] * {names[1]}_f64((double)x[i]))"
    parts += [_loops(names[0], suffix, dtype, slopes[suffix]) for suffix, dtype in FORMATS.items()]
    return "\n".join([*parts, f"#endif /* {guard} */\n"])


def _comment(text: str) -> str:
    lines = text.replace("*/", "* /").replace("/*", "/ *").splitlines()
    return "/* " + "\n   ".join(lines) + " */\n" if lines else ""


def _function(program: Program, name: str, dtype: str) -> str:
    return c.function(program, name, dtype).replace("static inline", "COSNB_INLINE")


def _helpers(programs: Sequence[Program], dtype: str) -> list[str]:
    """Return the functions that the programs call, and what those call, each behind its #ifndef."""
    return [_guarded(f"{match[1].upper()}_H", match[0]) for match in _FUNCTION.finditer(c.helpers(programs, dtype))]


def _guarded(guard: str, text: str) -> str:
    text = text.replace("static inline", "COSNB_INLINE")
    return f"#ifndef {guard}\n#define {guard}\n{text}#endif\n"


def _loops(name: str, suffix: str, dtype: str, product: str) -> str:
    given, written = f"const {dtype} *COSNB_RESTRICT", f"{dtype} *COSNB_RESTRICT"
    return f"""/* y[i] = f(x[i]) for n elements; x and y do not overlap. */
static inline void {name}_forward_{suffix}({given} x, {written} y, size_t n) {{
  for (size_t i = 0; i < n; i++) y[i] = {name}_{suffix}(x[i]);
}}

/* dx[i] = dy[i] * f'(x[i]) for n elements; dx does not overlap dy or x. */
static inline void {name}_backward_{suffix}({given} dy, {given} x, {written} dx, size_t n) {{
  for (size_t i = 0; i < n; i++) dx[i] = {product};
}}
"""

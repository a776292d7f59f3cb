"""The C target's elementary functions: error against mpmath, edges, vectorisation, coefficients."""

import ctypes
import json
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

from cosnb.codegen import elementary
from cosnb.codegen.elementary import ARGUMENTS, FUNCTIONS, INCLUDES, definitions
from cosnb.errors import CosnbError
from tools import minimax

FLAGS = ["-O3", "-Wall", "-Wextra", "-Werror", "-std=c99", "-ffp-contract=off", "-march=native"]
if platform.machine() == "x86_64":
    FLAGS.append("-mprefer-vector-width=512")
DTYPES = {"float": np.float32, "double": np.float64}
INF = math.inf

# Per function: the truth; the domain for float and for double; the bounds in ulp, which are the errors measured
# (FUNCTIONS states them) and a margin of about a tenth; the values at inf and −inf, None where outside.
Row = tuple[Callable, tuple[float, float], tuple[float, float], tuple[float, float], tuple[float | None, float | None]]
ROWS: dict[str, Row] = {
    "exp_nonpositive": (mpmath.exp, (-87, 0), (-700, 0), (1.05, 1.1), (None, None)),
    "exp_scaled": (lambda y: mpmath.exp(y) * 2**100, (-110, 0), (-760, 0), (1.05, 1.1), (None, None)),
    "one_minus_exp": (lambda y: -mpmath.expm1(y), (-110, 0), (-760, 0), (1.1, 1.3), (None, None)),
    "exp": (mpmath.exp, (-110, 92), (-750, 715), (1.1, 1.1), (INF, 0)),
    "expm1": (mpmath.expm1, (-110, 92), (-750, 715), (1.7, 2.2), (INF, -1)),
    "exp_product": (lambda u: mpmath.mpf(10) ** u, (-46, 39), (-325, 309), (1.1, 1.2), (INF, 0)),
    "log1p_unit": (mpmath.log1p, (0, 1), (0, 1), (1.3, 1.2), (None, None)),
    "log": (mpmath.log, (0, 3.4e38), (0, 1.79e308), (1.1, 1.3), (INF, math.nan)),
    "log1p": (mpmath.log1p, (-0.9999999, 3.4e38), (-0.9999999, 1.79e308), (1.7, 2.0), (INF, math.nan)),
    "pow": (lambda y: y ** (mpmath.mpf(53) / 10), (0, 4.6e7), (0, 3.6e58), (1.2, 1.3), (INF, math.nan)),
    "cbrt": (mpmath.cbrt, (0, 3.4e38), (0, 1.79e308), (0.51, 0.51), (INF, math.nan)),
    "tanh": (mpmath.tanh, (-50, 50), (-50, 50), (2.9, 2.8), (1, -1)),
    "sinh": (mpmath.sinh, (-90, 90), (-711, 711), (2.5, 2.6), (INF, -INF)),
    "cosh": (mpmath.cosh, (-90, 90), (-711, 711), (1.7, 1.7), (INF, INF)),
    "sigmoid": (lambda y: 1 / (1 + mpmath.exp(-y)), (-110, 100), (-750, 100), (2.7, 2.5), (1, 0)),
    "softplus": (lambda y: mpmath.log1p(mpmath.exp(y)), (-110, 100), (-750, 100), (2.0, 2.0), (INF, 0)),
    "asinh": (mpmath.asinh, (-3.4e38, 3.4e38), (-1.79e308, 1.79e308), (2.1, 2.3), (INF, -INF)),
    "erf": (mpmath.erf, (-5, 5), (-7, 7), (1.2, 1.1), (1, -1)),
    "erfc": (mpmath.erfc, (-5, 11), (-7, 28), (4.1, 4.7), (0, 2)),
    "sin": (mpmath.sin, (-(2.0**48), 2.0**48), (-(2.0**48), 2.0**48), (1.7, 1.3), (math.nan, math.nan)),
    "cos": (mpmath.cos, (-(2.0**48), 2.0**48), (-(2.0**48), 2.0**48), (1.7, 1.3), (math.nan, math.nan)),
    "tan": (mpmath.tan, (-(2.0**48), 2.0**48), (-(2.0**48), 2.0**48), (3.5, 3.0), (math.nan, math.nan)),
    "atan": (mpmath.atan, (-1e30, 1e30), (-1e300, 1e300), (1.5, 1.6), (math.pi / 2, -math.pi / 2)),
}

# All floats of exp_nonpositive's domain: above −2^−26 e^y rounds to 1, which needs no exponential for comparison.
EXHAUSTIVE = """
double worst_exp(void) {
  static float x[4096], y[4096];
  double worst = 0.0;
  for (uint32_t from = 0; from <= 0x42ae0000u; from += 4096u) {
    for (uint32_t i = 0; i < 4096u; i++) x[i] = cosnb_from_bitsf((from + i) | 0x80000000u);
    if (from + 4095u > 0x42ae0000u) for (uint32_t i = 1; i < 4096u; i++) x[i] = -87.0f;
    loop_exp_nonpositive_float(x, y, 4096);
    if (from + 4096u <= 0x32000000u) {
      for (int i = 0; i < 4096; i++) if (y[i] != 1.0f) worst = INFINITY;
      continue;
    }
    for (int i = 0; i < 4096; i++) {
      double truth = exp((double)x[i]);
      int place;
      frexp(truth, &place);
      double error = fabs(y[i] - truth) * ldexp(1.0, 24 - place);
      if (error > worst) worst = error;
    }
  }
  return worst;
}
"""


def words(name: str, dtype: str) -> list[str]:
    """Return the arguments after the first: a number of the format, and what it lacks of the exact one."""
    if name not in ARGUMENTS:
        return []
    with mpmath.workdps(60):
        exact = {"exp_product": mpmath.log(10), "pow": mpmath.mpf(53) / 10}[name]
        high = float(DTYPES[dtype](float(exact)))
        return [f"({dtype}){number.hex()}" for number in (high, float(exact - high))]


def loops() -> str:
    """Return a C file with `void loop_NAME_DTYPE(x, y, n)` for each function and dtype."""
    text = INCLUDES
    for dtype in DTYPES:
        text += definitions(FUNCTIONS, dtype)
        for name in FUNCTIONS:
            call = f"cosnb_{name}{'f' if dtype == 'float' else ''}({', '.join(['x[i]', *words(name, dtype)])})"
            text += f"void loop_{name}_{dtype}(const {dtype} *x, {dtype} *y, long n);\n"
            text += f"void loop_{name}_{dtype}(const {dtype} *x, {dtype} *y, long n) {{\n"
            text += f"  for (long i = 0; i < n; i++) y[i] = {call};\n}}\n"
    return text


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler: cc is not on the PATH")
    return found


@pytest.fixture(scope="module")
def library(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("elementary")
    (folder / "loops.c").write_text(loops() + "double worst_exp(void);\n" + EXHAUSTIVE)
    command = [compiler, *FLAGS, "-shared", "-fPIC", "-o", "loops.so", "loops.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return ctypes.CDLL(str(folder / "loops.so"))


def evaluate(library: ctypes.CDLL, name: str, dtype: str, points: np.ndarray) -> np.ndarray:
    x = np.ascontiguousarray(points, DTYPES[dtype])
    y = np.empty_like(x)
    loop = getattr(library, f"loop_{name}_{dtype}")
    loop(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_long(x.size))
    return y


def points_of(name: str, dtype: str, count: int) -> np.ndarray:
    """Return points over the domain: evenly, of all and of ordinary orders of magnitude, at the reductions' edges."""
    rng = np.random.default_rng(sum(map(ord, name + dtype)))
    low, high = ROWS[name][1 if dtype == "float" else 2]
    info = np.finfo(DTYPES[dtype])
    reach = max(-low, high)
    orders = rng.uniform(math.log2(float(info.smallest_subnormal)), math.log2(reach), count)
    ordinary = rng.uniform(-20, min(math.log2(reach), 7), 2 * count)
    sizes = 2.0 ** np.concatenate([orders, ordinary])
    periodic = name in ("sin", "cos", "tan")
    edges = rng.integers(-200, 200, count) * (math.pi / 4 if periodic else math.log(2) / 2)
    steps = np.array([1, 2, 1.5, 2 / 3, 4 / 3, 1 / 3, 0.5, 4, 2.0**-60, 2.0**60, info.tiny, info.smallest_subnormal])
    turns = np.rint(rng.uniform(low, high, count) / (math.pi / 2)) if periodic else np.array([])
    ends = [low, high, *steps, *-steps, *steps * (1 + 1e-6), *-steps * (1 - 1e-6)]
    with np.errstate(over="ignore", under="ignore"):
        even = rng.uniform(low / reach, high / reach, count) * reach
        x = np.concatenate([even, sizes, -sizes, edges, turns * (math.pi / 2), ends]).astype(DTYPES[dtype])
    return np.unique(x[(x >= low) & (x <= high)])


def ulp_error(got: float, exact: mpmath.mpf, dtype: str) -> float:
    """Return |got − exact| in ulp of the exact value; an infinite `got` stands for the first number too large."""
    info = np.finfo(DTYPES[dtype])
    if math.isnan(got):
        return INF
    if math.isinf(got):
        first = mpmath.ldexp(1, info.maxexp)
        if abs(exact) >= first:
            return 0.0 if (exact > 0) == (got > 0) else INF
        got = math.copysign(1, got) * first
    place = int(mpmath.frexp(exact)[1]) if exact else -2000
    return float(abs(mpmath.mpf(got) - exact) / mpmath.ldexp(1, max(place, info.minexp + 1) - info.nmant - 1))


def test_every_function_has_a_row() -> None:
    assert ROWS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error(library: ctypes.CDLL, name: str, dtype: str) -> None:
    truth, *_, bounds, _ = ROWS[name]
    points = points_of(name, dtype, 500 if name in ("erf", "erfc") else 1500)
    values = evaluate(library, name, dtype, points)
    with mpmath.workprec(200):
        errors = [
            ulp_error(value, truth(mpmath.mpf(x)), dtype)
            for x, value in zip(points.tolist(), values.tolist(), strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= bounds[list(DTYPES).index(dtype)], f"at {points[worst]!r}: {values[worst]!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_edges(library: ctypes.CDLL, name: str, dtype: str) -> None:
    quiet = {"float": np.uint32, "double": np.uint64}[dtype]
    # Not-a-numbers whose last bits, too, are set: those bits are where the exponentials put their exponent.
    odd = (np.array([INF], DTYPES[dtype]).view(quiet) + np.array([0x12345, 0x2FFFFF], quiet)).view(DTYPES[dtype])
    assert np.isnan(evaluate(library, name, dtype, np.array([math.nan, -math.nan]))).all()
    assert np.isnan(evaluate(library, name, dtype, odd)).all()
    expected = ROWS[name][-1]
    for x, value in zip((INF, -INF), expected, strict=True):
        if value is not None:
            got = evaluate(library, name, dtype, np.array([x]))[0]
            np.testing.assert_equal(got, DTYPES[dtype](value))


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_and_poles(library: ctypes.CDLL, dtype: str) -> None:
    zeros = np.array([0.0, -0.0])
    for name in ("expm1", "log1p", "tanh", "sinh", "asinh", "erf", "sin", "tan", "atan", "log1p_unit"):
        got = evaluate(library, name, dtype, zeros)
        assert (got == 0).all(), name
        assert name == "log1p_unit" or np.signbit(got).tolist() == [False, True], name
    for name in ("exp", "exp_nonpositive", "cosh", "cos"):
        assert (evaluate(library, name, dtype, zeros) == 1).all(), name
    assert (evaluate(library, "log", dtype, zeros) == -INF).all()
    assert evaluate(library, "log1p", dtype, np.array([-1.0]))[0] == -INF
    assert np.isnan(evaluate(library, "log", dtype, np.array([-1e-30, -1.0]))).all()
    assert np.isnan(evaluate(library, "log1p", dtype, np.array([-1.5]))).all()


def test_exp_nonpositive_for_every_float(library: ctypes.CDLL) -> None:
    library.worst_exp.restype = ctypes.c_double
    assert library.worst_exp() <= 1.05  # measured: 1.031


def test_every_loop_is_vectorised(compiler: str, tmp_path: Path) -> None:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    if "Free Software Foundation" not in version:
        pytest.skip("the report of vectorised loops is gcc's; cc is another compiler")
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or "avx2" not in cpu.read_text():
        pytest.skip("no AVX2 here: no instruction for the shifts and fma of the functions")
    text = loops()
    (tmp_path / "loops.c").write_text(text)
    command = [compiler, *FLAGS, "-c", "-fopt-info-vec-optimized", "-o", "loops.o", "loops.c"]
    report = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120).stderr
    vectorised = {int(line) for line in re.findall(r"loops\.c:(\d+):\d+: optimized: loop vectorized", report)}
    lines = enumerate(text.splitlines(), 1)
    missed = [line for number, line in lines if line.startswith("  for (long i") and number not in vectorised]
    assert not missed


@pytest.mark.parametrize("dtype", DTYPES)
def test_definitions_stand_alone(compiler: str, dtype: str) -> None:
    for name in FUNCTIONS:
        text = INCLUDES + definitions([name], dtype)
        command = [compiler, *FLAGS, "-fsyntax-only", "-x", "c", "-"]
        subprocess.run(command, input=text, text=True, check=True, timeout=20)
        calls = set(re.findall(r"\b(\w+)\(", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)))
        assert {call for call in calls if not call.startswith("cosnb_")} <= {"fma", "fmaf", "fabs", "fabsf", "memcpy"}


def test_definitions_once_and_in_order() -> None:
    text = definitions(["sigmoid", "exp", "sigmoid"], "float")
    assert text.count("static inline float cosnb_expf(") == 1
    assert text.index("cosnb_exp_reducedf(") < text.index("cosnb_expf(") < text.index("cosnb_sigmoidf(")
    assert "cosnb_tanhf" not in text


def test_unknown_names_are_refused() -> None:
    with pytest.raises(CosnbError, match="no elementary function 'gamma'"):
        definitions(["gamma"], "float")
    with pytest.raises(CosnbError, match="expected float or double"):
        definitions(["exp"], "half")


@pytest.mark.parametrize(("name", "dtype"), [("exp", "float"), ("exp", "double"), ("sin", "float"), ("cos", "double")])
def test_coefficients_are_those_of_minimax(name: str, dtype: str) -> None:
    stored = json.loads((Path(elementary.__file__).parent / "coefficients.json").read_text(encoding="utf-8"))
    coefficients, _ = minimax.fit(minimax.FITS[name], dtype)
    assert stored[dtype][name] == [c.hex() for c in coefficients]

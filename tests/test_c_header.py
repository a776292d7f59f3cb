"""The C header through the compiler: no warning, every loop vectorised, values against mpmath, headers together."""

import ctypes
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest
import sympy
import torch
from truth import truth

from cosnb import CosnbError, activation
from cosnb.codegen.lower import lower
from cosnb.codegen.sources import c_header
from cosnb.codegen.targets import header
from cosnb.kernels import compiler, cpu
from cosnb.symbolic.catalogue import CATALOGUE, x
from cosnb.symbolic.functions import softplus

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not here")
STRICT = ["-Wall", "-Wextra", "-Werror", "-std=c99", "-ffp-contract=off"]
FAST = [*STRICT, "-O3", "-march=native"]
TYPES = {"f32": "float", "f64": "double"}
GRID = [0.0, 1e-8, 1e-3, 0.3, 0.7, 1.0, 1.5, 2.9, 3.0, 5.5, 6.5, 12.0, 30.0, 87.5, 104.0, 300.0]
POINTS = numpy.array([-value for value in reversed(GRID)] + GRID)
FEW = ("cos", "mish", "relu", "gelu", "squareplus", "sinlu")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[:3000]
    return done.stderr + done.stdout


def write(folder: Path, name: str, text: str | None = None) -> None:
    (folder / f"{name}.h").write_text(text or activation(name).source("c"), encoding="utf-8")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with every row's header and one library of all of them; what the compiler said about loops."""
    folder = tmp_path_factory.mktemp("headers")
    code = ""
    for name in CATALOGUE:
        write(folder, name)
        code += f'#include "{name}.h"\n'
        for suffix, dtype in TYPES.items():
            code += (
                f"void {name}_{suffix}(const {dtype} *dy, const {dtype} *x, {dtype} *y, {dtype} *dx, size_t n) {{\n"
                f"act_{name}_forward_{suffix}(x, y, n); act_{name}_backward_{suffix}(dy, x, dx, n); }}\n"
            )
    (folder / "all.c").write_text(code)
    # Equal functions (hardshrink's and softshrink's derivative) must not be made one, or one is not reported.
    flags = [*FAST, "-fno-ipa-icf", "-fopt-info-vec-optimized", "-fPIC", "-shared"]
    return folder, run(folder, "gcc", *flags, "all.c", "-o", "all.so", "-lm")


@pytest.mark.long
def test_every_loop_of_every_row_is_vectorised(catalogue: tuple[Path, str]) -> None:
    folder, said = catalogue
    reported = set(re.findall(r"(\w+)\.h:(\d+):\d+: optimized: loop vectorized", said))
    for name in CATALOGUE:
        lines = (folder / f"{name}.h").read_text(encoding="utf-8").splitlines()
        loops = [number for number, line in enumerate(lines, 1) if "for (" in line and "; far && i < n" not in line]
        assert len(loops) == 4
        assert {(name, str(number)) for number in loops} <= reported, name


@pytest.mark.parametrize("name", FEW)
def test_loops_are_vectorised_in_a_file_of_their_own_and_at_full_width(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    calls = "".join(
        f"void f_{s}(const {t} *x, {t} *y, size_t n) {{ act_{name}_forward_{s}(x, y, n); }}\n" for s, t in TYPES.items()
    )
    (tmp_path / "one.c").write_text(f'#include "{name}.h"\n{calls}')
    wide = ["-mprefer-vector-width=512"] if "x86" in run(tmp_path, "gcc", "-dumpmachine") else []
    said = run(tmp_path, "gcc", *FAST, *wide, "-fopt-info-vec-optimized", "-c", "one.c")
    assert len(set(re.findall(r"\.h:(\d+):\d+: optimized: loop vectorized", said))) == 2


@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_headers_and_kernels_give_the_same_bits(
    catalogue: tuple[Path, str], dtype: torch.dtype, tmp_path_factory: pytest.TempPathFactory
) -> None:
    built = tmp_path_factory.getbasetemp() / "as_kernels.so"  # once for both formats
    if not built.exists():
        # Each fma is written out: the same bits.
        flags = ["-O1" if flag == "-O3" else flag for flag in compiler.flags()]
        run(catalogue[0], "gcc", *flags, "all.c", "-o", str(built), "-lm")
    library = ctypes.CDLL(str(built))
    near = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    octaves = torch.exp2(torch.linspace(-140, 120, 2001, dtype=torch.float64))
    edges = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan])
    points = torch.cat([near, octaves, -octaves, edges]).to(dtype)
    dy = torch.linspace(-2, 2, len(points), dtype=dtype)
    suffix, bits = ("f32", torch.int32) if dtype == torch.float32 else ("f64", torch.int64)
    for name in CATALOGUE:
        y, dx = torch.empty_like(points), torch.empty_like(points)
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (dy, points, y, dx)]
        getattr(library, f"{name}_{suffix}")(*pointers, ctypes.c_size_t(len(points)))
        kernel = activation(name).kernel(0).native()
        for got, expected in ((y, kernel.forward(points)), (dx, kernel.backward(dy, points))):
            same = (got.view(bits) == expected.view(bits)) | (got.isnan() & expected.isnan())
            assert same.all(), (name, points[~same][:5], got[~same][:5], expected[~same][:5])


# In units of epsilon, relative to the largest term, and 64 subnormals: the C functions are within 5 ulp, a derivative
# multiplies several of them, and the tails carry e^(−y) of a rounded y (GELU at −30 in double: y = 450).
@pytest.mark.parametrize(("suffix", "bound"), [("f32", 64), ("f64", 500)])
def test_every_row_against_mpmath(catalogue: tuple[Path, str], suffix: str, bound: float) -> None:
    library = ctypes.CDLL(str(catalogue[0] / "all.so"))
    points = POINTS.astype("float32" if suffix == "f32" else "float64")
    info = numpy.finfo(points.dtype)
    dy, y, dx = numpy.full_like(points, 1), numpy.empty_like(points), numpy.empty_like(points)
    for name in CATALOGUE:
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (dy, points, y, dx)]
        getattr(library, f"{name}_{suffix}")(*pointers, ctypes.c_size_t(points.size))
        for order, values in enumerate((y, dx)):
            exact, size = truth(activation(name).derivative(order), x, points)
            fine = abs(exact) <= float(info.max)
            allowed = bound * float(info.eps) * size + 64 * float(info.smallest_subnormal)
            assert (abs(values.astype(float) - exact) <= allowed)[fine].all(), (name, order)


def test_edges(catalogue: tuple[Path, str]) -> None:
    library = ctypes.CDLL(str(catalogue[0] / "all.so"))
    points = numpy.array([-numpy.inf, numpy.inf, numpy.nan, -3e38, 3e38], "float32")
    dy, y, dx = numpy.full_like(points, 1), numpy.empty_like(points), numpy.empty_like(points)
    limits = {
        "cos": ([0.25, numpy.inf], [0, 1]),
        "gelu": ([0, numpy.inf], [0, 1]),
        "squareplus": ([0, numpy.inf], [0, 1]),
    }
    for name, (values, slopes) in limits.items():
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (dy, points, y, dx)]
        getattr(library, f"{name}_f32")(*pointers, ctypes.c_size_t(points.size))
        numpy.testing.assert_array_equal(y[:2], values, err_msg=name)
        numpy.testing.assert_array_equal(dx[:2], slopes, err_msg=name)
        assert numpy.isnan([y[2], dx[2]]).all()
        assert numpy.isfinite([y[3:], dx[3:]]).all()


def test_the_square_root_is_right_to_a_unit_in_the_last_place(tmp_path: Path) -> None:
    root = [lower(sympy.sqrt(x), x), lower(sympy.Integer(1), x)]
    write(tmp_path, "root", header.header("root", root))
    (tmp_path / "root.c").write_text(
        '#include "root.h"\n#include <stdio.h>\nint main(void) {\n'
        "for (uint32_t i = 0; i < 0x7f800001u; i += 997) { float w, a, b; memcpy(&w, &i, 4);\n"
        "a = cosnb_sqrtf(w); b = sqrtf(w); int32_t d = (int32_t)(cosnb_bitsf(a) - cosnb_bitsf(b));\n"
        'if (d < -1 || d > 1) { printf("%a %a %a\\n", w, a, b); return 1; } }\n'
        "for (uint64_t i = 0; i < 0x7ff0000000000000u; i += 0xfedcba98765u) { double w, a, b; memcpy(&w, &i, 8);\n"
        "a = cosnb_sqrt(w); b = sqrt(w); int64_t d = (int64_t)(cosnb_bits(a) - cosnb_bits(b));\n"
        'if (d < -1 || d > 1) { printf("%a %a %a\\n", w, a, b); return 1; } }\n'
        "return !(isnan(cosnb_sqrtf(-1)) && isnan(cosnb_sqrtf(NAN)) && cosnb_sqrtf(INFINITY) == INFINITY\n"
        "&& cosnb_sqrt(0) == 0 && signbit(cosnb_sqrt(-0.0)) && isnan(cosnb_sqrt(-INFINITY))); }\n"
    )
    run(tmp_path, "gcc", *FAST, "root.c", "-o", "root", "-lm")
    run(tmp_path, "./root")


def test_headers_are_included_together_twice_in_two_files_and_in_cpp(tmp_path: Path) -> None:
    for name in FEW:
        write(tmp_path, name)
    includes = "".join(f'#include "{name}.h"\n' for name in (*FEW, *reversed(FEW)))
    (tmp_path / "one.c").write_text(
        includes + "float other(float);\nint main(void) { return other(1) != act_cos_f32(1); }\n"
    )
    (tmp_path / "two.c").write_text(includes + "float other(float);\nfloat other(float v) { return act_cos_f32(v); }\n")
    run(tmp_path, "gcc", *STRICT, "-pedantic", "one.c", "two.c", "-o", "both", "-lm")  # without optimisation too
    run(tmp_path, "./both")
    if shutil.which("g++") is not None:
        run(tmp_path, "g++", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-std=c++17", "-O3", "-c", "one.c")


def test_the_head_has_formula_derivative_and_costs() -> None:
    text = activation("cos").source("c")
    assert text.startswith("/* CoS: f(x) = x*sigmoid(x) + (sigmoid(5*x) - 1/2)**2\n   f′(x) = ")
    assert "1 exponential," in text.partition("*/")[0]
    second = activation("swish").source("c", 1)
    assert "act_swish_d1_forward_f32(" in second
    assert "act_swish_d2_f32(" in second
    assert text == c_header(activation("cos"), "cos")


def test_a_comment_cannot_end_itself() -> None:
    text = header.header("f", [lower(softplus(x), x)] * 2, comment="a */ int b; /* c")
    assert text.startswith("/* a * / int b; / * c */\n")


@pytest.mark.parametrize("name", ["f(void)", "a b", "", "2f", "f\n#include", "class", "ƒ"])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(CosnbError, match="the name must be an identifier"):
        header.header(name, [lower(x, x)] * 2)

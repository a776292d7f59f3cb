"""The C target on the CPU: built once into the user's cache, run on torch's own threads.

The library has for each number format a forward loop y = f(x) and a backward loop dx = dy·f′(x). float16 and bfloat16
are converted, computed in float and rounded once; where a formula costs more than a look-up, in tables of all 65,536
values.
"""

import _ctypes
import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosnb.codegen.program import Program
from cosnb.codegen.targets import c
from cosnb.errors import CosnbError
from cosnb.kernels import store
from cosnb.kernels.layout import dense, matching, rows

# Trapping and errno would keep gcc from turning selections and square roots into vector instructions; no result
# depends on either. Contraction off: each fma is written out, so the bits do not depend on the compiler.
FLAGS = (
    "-std=c99",
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-tree-pre",  # it splits min(|x|, edge) into branches again: 2 instructions of 55
    "-fPIC",
    "-shared",
)
_WIDE = "-mprefer-vector-width=512"  # x86 compilers take 256 bits by themselves
_FORMATS = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}
_TIMEOUT = 120  # seconds a compiler may take
# Several loops call the same function: gcc would inline a long one in none of them, and vectorise none (GELU′: 38 × the
# time).
_INLINE = """#ifdef __GNUC__
#define inline inline __attribute__((always_inline))
#endif
"""
_SERIAL = 1 << 15  # elements below which one thread is faster, as in PyTorch's own elementwise loops
_PROCESS = os.getpid()  # in a process forked from this one OpenMP's threads are gone, and it waits for them for ever
_INSTEAD = "activations run as PyTorch operations, correct but several times slower"
_PROBE = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\nfloat cosnb(float x) { return fabsf(x); }\n"
_faults: list[str] = []  # what is wrong with the compiler
logger = logging.getLogger(__name__)


class Library:
    """The loops of one activation's programs, loaded."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        if hasattr(_ctypes, "dlclose"):  # what ctypes never does; 60 KB for each formula that is no longer used
            weakref.finalize(self, _ctypes.dlclose, self.library._handle).atexit = False
        self._forward = self._loops("forward", ())
        self._backward = self._loops("backward", (ctypes.c_size_t, ctypes.c_size_t))
        openmp = _openmp()
        if openmp is not None:
            self.library.cosnb_use_openmp(*(ctypes.cast(function, ctypes.c_void_p) for function in openmp))

    def _loops(self, name: str, rows: tuple[type, ...]) -> dict[torch.dtype, Any]:
        loops = {dtype: getattr(self.library, f"cosnb_{name}_{suffix}", None) for dtype, suffix in _FORMATS.items()}
        for loop in loops.values():
            if loop is not None:
                loop.argtypes = (ctypes.c_void_p,) * 3 + (ctypes.c_size_t, ctypes.c_uint, *rows)
                loop.restype = None
        return loops

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for a CPU tensor of any shape and strides."""
        x = dense(x)
        y = torch.empty_like(x)
        count = x.numel()
        self._forward[x.dtype](x.data_ptr(), None, y.data_ptr(), count, _threads(count))
        return y

    def backward(self, dy: Tensor, x: Tensor) -> Tensor:
        """Return dy·f′(x), laid out as x."""
        x = dense(x)
        dx = torch.empty_like(x)
        count = x.numel()
        columns = rows(dy, x) if dy.dtype == x.dtype and dy.shape == x.shape else None
        if columns is None:
            dy, columns = matching(dy, x), (count, count)
        self._backward[x.dtype](x.data_ptr(), dy.data_ptr(), dx.data_ptr(), count, _threads(count), *columns)
        return dx


def _threads(count: int) -> int:
    return torch.get_num_threads() if count > _SERIAL and os.getpid() == _PROCESS else 1


def supports(dtype: torch.dtype) -> bool:
    """Say whether the C target has the format, and the machine a compiler."""
    return dtype in _FORMATS and compiler() is not None


@lru_cache(maxsize=1)
def compiler() -> tuple[str, ...] | None:
    """Return the command of the C compiler (`$CC`, else cc, gcc or clang); None, told once in the log, if none works.

    That one does not is found out when it first fails.
    """
    if _faults:
        logger.warning("%s: %s", _faults[0], _INSTEAD)
        return None
    named = os.environ.get("CC")
    candidates = [shlex.split(named)] if named else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if command and shutil.which(command[0]):
            return tuple(command)
    logger.warning("no C compiler found (set CC): %s", _INSTEAD)
    return None


def _give_up(fault: str) -> CosnbError:
    """Have no compiler from now on, and return the error that says why."""
    _faults.append(fault)
    compiler.cache_clear()
    compiler()
    return CosnbError(fault)


@lru_cache(maxsize=1)
def _identity() -> str:
    """Return what a built library depends on besides its source: compiler and processor."""
    command = compiler()
    assert command is not None
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=_TIMEOUT).stdout
    return "\n".join((version, _processor(), platform.machine(), sysconfig.get_platform(), *_flags()[0]))


@lru_cache(maxsize=1)
def _processor() -> str:
    """Return the line of Linux that names the instructions the processor has; elsewhere nothing."""
    with suppress(OSError):
        return next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    return ""


@lru_cache(maxsize=1)
def _flags() -> tuple[tuple[str, ...], ...]:
    """Return the flags to compile with, and those to try where the compiler refuses them.

    Without fma instructions 1 Mi float32 elements of CoS take 20 ms, with them 0.7 and with all that the processor has
    0.55; PyTorch's operations 24.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return FLAGS, _without_native()
    has_fma = {"avx2", "fma"} <= set(_processor().split())
    return (*FLAGS, _WIDE), FLAGS, (*_without_native(), *(("-mavx2", "-mfma") if has_fma else ()))


def _without_native() -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if flag != "-march=native")


def goes_by_table(program: Program) -> bool:
    """Say whether f(x) of 16-bit numbers is looked up: where it has an exponential, a function or a division."""
    counts = program.operations()
    return counts["exponentials"] + counts["functions"] + counts["divisions"] > 0


def source(value: Program, product: Program | None) -> str:
    """Return the C source of a library with f from `value` and dy·f′ from `product`."""
    programs = [value] if product is None else [value, product]
    parts = ["#include <math.h>", "#include <stddef.h>", "#include <stdint.h>", "#include <string.h>", _INLINE]
    for dtype in ("float", "double"):
        suffix = "f32" if dtype == "float" else "f64"
        parts += [c.helpers(programs, dtype), c.function(value, f"value_{suffix}", dtype)]
        if product is not None:
            parts.append(c.function(product, f"product_{suffix}", dtype))
    if any(map(c.reaches_far, programs)):
        parts += ["#define COSNB_FAR", *_far("value", value)]
        parts += _far("product", product) if product is not None else []
    for name, program in (("VALUE", value), ("PRODUCT", product)):
        for format in ("f32", "f16"):
            if program is not None and c.computes_in_double(program, format):
                parts.append(f"#define COSNB_{name}_{format.upper()}_IN_DOUBLE")
    if goes_by_table(value):
        parts.append("#define COSNB_BY_TABLE")
    loops = files("cosnb.kernels").joinpath("loops.c").read_text()
    parts += ["#define COSNB_BACKWARD" if product is not None else "", loops]
    return "\n".join(parts)


def _far(name: str, program: Program) -> list[str]:
    """Return the functions that say where sine, cosine and tangent are beyond their limit, and compute f there."""
    parts = []
    for suffix, dtype in (("f32", "float"), ("f64", "double")):
        parts.append(c.far(program, f"{name}_far_{suffix}", dtype))
        parts.append(c.function(program, f"{name}_everywhere_{suffix}", dtype, everywhere=True))
    for format in _FORMATS.values():
        suffix = "f64" if format == "f64" else "f32"  # what float16 computes in double has no sines
        parts += [f"#define {name}_{kind}_in_{format} {name}_{kind}_{suffix}" for kind in ("far", "everywhere")]
    return parts


def build(value: Program, product: Program | None) -> Library:
    """Compile, or take from the cache, the library of two programs and load it.

    Raises CosnbError with the compiler's last line when it fails; where it fails for every program, or nothing that it
    builds can be loaded, there is no compiler from then on.
    """
    text = source(value, product)
    try:
        key = hashlib.sha256(f"{_identity()}\n{text}".encode()).hexdigest()[:32]
        path = store.get(key, ".so")
        if path is not None:
            with suppress(OSError):  # what was built for a machine that shares this home
                return Library(path)
        built = _compile(text)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _give_up(f"the C compiler does not work ({error})") from None
    try:
        return Library(store.put(key, ".so", built))
    except OSError as error:
        try:  # a cache that nothing is run from
            return Library(store.put_own(key, ".so", built, str(error)))
        except OSError:
            raise _give_up(f"what the C compiler builds cannot be loaded ({error})") from None


def _compile(text: str) -> bytes:
    """Return the built library; raises CosnbError for this text alone, or by `_give_up`."""
    for flags in _flags():
        built, message = _run(text, flags)
        if built is not None:
            return built
        if _run(_PROBE, flags)[0] is not None:
            raise CosnbError(f"the C compiler failed: {message}")
    raise _give_up(f"the C compiler {shlex.join(compiler() or ())} does not work ({message})")


def _run(text: str, flags: tuple[str, ...]) -> tuple[bytes | None, str]:
    """Return the library that the compiler builds, or None; and its last line with an error."""
    with tempfile.TemporaryDirectory(prefix="cosnb-build-") as folder:
        code, built = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
        code.write_text(text)
        run = [*(compiler() or ()), *flags, str(code), "-o", str(built), "-lm"]
        done = subprocess.run(run, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT)
        if done.returncode == 0 and built.exists():
            return built.read_bytes(), ""
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode} and no word"]
        return None, next((line for line in reversed(lines) if "error" in line), lines[-1])  # gcc ends with a caret


@lru_cache(maxsize=1)
def _openmp() -> Sequence[Any] | None:
    """Return GOMP_parallel, omp_get_thread_num and omp_get_num_threads of the OpenMP runtime that torch has loaded.

    A second runtime would bring a second pool of threads, which would wait beside torch's. Without one (macOS) loops
    run on one thread.
    """
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs", root.parent / "torch" / ".libs"):
        for path in sorted([*folder.glob("libgomp*.so*"), *folder.glob("libiomp5*.so*")]):
            try:
                runtime = ctypes.CDLL(str(path))
                return runtime.GOMP_parallel, runtime.omp_get_thread_num, runtime.omp_get_num_threads
            except (OSError, AttributeError):
                continue
    return None

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
import subprocess
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
from cosnb.kernels import compiler as compilers
from cosnb.kernels import store
from cosnb.kernels.compiler import compiler
from cosnb.kernels.layout import dense, matching, rows

_FORMATS = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}
# Several loops call the same function: gcc would inline a long one in none of them, and vectorise none (GELU′: 38 × the
# time).
_INLINE = """#ifdef __GNUC__
#define inline inline __attribute__((always_inline))
#endif
"""
_SERIAL = 1 << 15  # elements below which one thread is faster, as in PyTorch's own elementwise loops
_PROCESS = os.getpid()  # in a process forked from this one OpenMP's threads are gone, and it waits for them for ever
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
    loops = files("cosnb.kernels").joinpath("loops.c").read_text(encoding="utf-8")
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
    if compilers.compiler() is None:
        raise CosnbError("there is no C compiler that works")
    text = source(value, product)
    try:
        key = hashlib.sha256(f"{compilers.identity()}\n{text}".encode()).hexdigest()[:32]
        path = store.get(key, ".so")
        if path is not None:
            with suppress(OSError):  # what was built for a machine that shares this home
                return Library(path)
        built = compilers.build(text)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise compilers.give_up(f"the C compiler does not work ({error})") from None
    try:
        return Library(store.put(key, ".so", built))
    except OSError as error:
        try:  # a cache that nothing is run from
            return Library(store.put_own(key, ".so", built, str(error)))
        except OSError:
            raise compilers.give_up(f"what the C compiler builds cannot be loaded ({error})") from None


@lru_cache(maxsize=1)
def _openmp() -> Sequence[Any] | None:
    """Return GOMP_parallel, omp_get_thread_num and omp_get_num_threads of the OpenMP runtime that torch has loaded.

    A second runtime would bring a second pool of threads, which would wait beside torch's. Without one (macOS) loops
    run on one thread, told once in the log.
    """
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs", root.parent / "torch" / ".libs"):
        for path in sorted([*folder.glob("libgomp*.so*"), *folder.glob("libiomp5*.so*")]):
            try:
                runtime = ctypes.CDLL(str(path))
                return runtime.GOMP_parallel, runtime.omp_get_thread_num, runtime.omp_get_num_threads
            except (OSError, AttributeError):
                continue
    if torch.get_num_threads() > 1:
        logger.warning("PyTorch has no OpenMP runtime here that cosnb can use: activations run on one thread")
    return None

"""Many programs as one C library: one call of the compiler for a whole catalogue."""

import ctypes
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosnb.codegen.program import Program
from cosnb.codegen.targets import c
from cosnb.kernels import compiler as compilers

TYPES = {torch.float64: ("double", "f64"), torch.float32: ("float", "f32")}


def source(programs: Mapping[str, Program]) -> str:
    """Return C with a function and a loop for each program and number format, computed as the kernels do."""
    parts = ["#include <math.h>", "#include <stddef.h>", "#include <stdint.h>", "#include <string.h>"]
    for dtype, suffix in TYPES.values():
        parts.append(c.helpers(list(programs.values()), dtype))
        for name, program in programs.items():
            call = f"{name}_{suffix}(x[i])"
            if c.computes_in_double(program, suffix):
                call = f"(float){name}_f64((double)x[i])"
            else:
                parts.append(c.function(program, f"{name}_{suffix}", dtype, everywhere=True))
            parts.append(
                f"void loop_{name}_{suffix}(const {dtype} *x, {dtype} *y, size_t n)"
                f" {{ for (size_t i = 0; i < n; i++) y[i] = {call}; }}"
            )
    return "\n".join(parts)


def build(programs: Mapping[str, Program], folder: Path) -> dict[str, Callable[[Tensor], Tensor]]:
    """Compile the programs in one go; return a function of a float32 or float64 tensor for each."""
    command = compilers.compiler()
    if command is None:
        pytest.skip("no C compiler here")
    text, library = folder / "programs.c", folder / "programs.so"
    text.write_text(source(programs))
    # Each fma is written out and contraction is off, so -O1 gives the bits of the kernels' -O3 in half the time.
    # clang warns of inline functions that are not used, which a header's are for.
    flags = ["-O1" if flag == "-O3" else flag for flag in compilers.flags()]
    subprocess.run(
        [*command, *flags, "-Wall", "-Werror", "-Wno-unused-function", str(text), "-o", str(library), "-lm"],
        check=True,
        timeout=250,
    )
    loaded = ctypes.CDLL(str(library))
    return {name: _function(loaded, name) for name in programs}


def _function(library: ctypes.CDLL, name: str) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        loop = getattr(library, f"loop_{name}_{TYPES[x.dtype][1]}")
        loop(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_size_t(x.numel()))
        return y

    return call

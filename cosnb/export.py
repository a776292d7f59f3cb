"""Files that need no cosnb: an activation as one Python file for PyTorch and one C header, measured when written."""

import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosnb.accuracy.points import grid
from cosnb.accuracy.pointwise import Function, largest_errors
from cosnb.activations import Activation
from cosnb.codegen import sources
from cosnb.codegen.printing import check_name
from cosnb.codegen.targets import pytorch
from cosnb.errors import CosnbError
from cosnb.kernels import compiler, operators, timing
from cosnb.symbolic.catalogue import CATALOGUE

LICENCE = "Licence: MIT, copyright 2026 The cosnb founders; written by `cosnb export`."
_RESERVED = frozenset(sys.stdlib_module_names) | {"torch", "nn", "numpy", "scipy", "cosnb"}
_CALLS = """#include "{name}.h"
void value(const float *x, float *y, size_t n) {{ act_{name}_forward_f32(x, y, n); }}
void slope(const float *x, float *y, size_t n) {{ for (size_t i = 0; i < n; i++) y[i] = act_{name}_d1_f32(x[i]); }}
"""
_PYTHON = '''"""The function `{name}` and the module `{module}` for PyTorch; needs torch and nothing else."""

import torch
from torch import nn


{functions}

class _Value(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return _value(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return _Slope.apply(dy, x)


class _Slope(torch.autograd.Function):
    """dy·f′(x); its own derivatives are f′ and dy·f″, so that a gradient's gradient is right at x = 0 too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(dy, x):
        return _slope(dy, x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        dy, x = ctx.saved_tensors
        return _slope(g, x), _curvature(g * dy, x)


{recorded}

@torch.fx.wrap
def _apply(x):
    if not x.is_floating_point():
        raise TypeError(f"{name} expects a floating-point tensor, got {{x.dtype}}")
    return _recorded(x) if torch.jit.is_tracing() else _Value.apply(x)


def {name}(input):
    """Return f of each element: a tensor of any shape, float dtype and device; only `input` is kept for backward."""
    return _apply(input)


class {module}(nn.Module):
    """Applies `{name}` to each element; has no weights."""

    def forward(self, input):
        return _apply(input)
'''
_SLOPED = '''
def _recorded(x):
    """f for torch.jit.trace and ONNX, with a zero added through which autograd finds f′."""
    fixed = x.detach()
    y = _operations(fixed)
    if torch.onnx.is_in_onnx_export():
        return y
    finite = torch.where(x.isfinite(), x, torch.zeros_like(x))
    return y + (finite - finite.detach()) * _slope(torch.ones_like(x), fixed)
'''


def export(activation: Activation, folder: Path, name: str | None = None, force: bool = False) -> list[Path]:
    """Write <name>.py and <name>.h into `folder` and return their paths; `name` is the activation's where not given.

    Both open with formula, derivative, licence, and error and speed measured now on this machine; all else in them
    depends on the formula only. Raises CosnbError for a name that is no identifier or that a module of Python's own
    has, and for a file that exists, unless `force` is set.
    """
    name = activation.name if name is None else name
    check_name(name, _RESERVED)
    if name.startswith("_"):
        raise CosnbError(f"the name of an exported file must not start with an underscore, got {name!r}")
    paths = [folder / f"{name}.py", folder / f"{name}.h"]
    for path in paths:
        if path.exists() and not force:
            raise CosnbError(f"{path} exists: give another --name or --output, or --force to write over it")
    code = python_text(activation, name)
    texts = [
        python_text(activation, name, _measure_python(activation, code)),
        sources.c_header(activation, name, measured="\n".join([LICENCE, *_measure_header(activation, name)])),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def python_text(activation: Activation, name: str, measured: list[str] | None = None) -> str:
    """Return the text of the Python file, with the lines `measured` in its head."""
    programs = [activation.program(0), activation.program(1, product=True), activation.program(2, product=True)]
    names = ("_value", "_slope", "_curvature")
    head = [*sources.formulas(activation, 2), f"f: {sources.costs(activation.program(0))}"]
    head += [f"f′: {sources.costs(activation.program(1))}", LICENCE, *(measured or [])]
    functions = "\n\n".join(pytorch.source(p, n) for p, n in zip(programs, names, strict=True))
    body = _PYTHON.format(name=name, module=module_name(name), functions=functions, recorded=_recorded(activation))
    return "".join(f"# {line}\n" for line in head) + body


def _recorded(activation: Activation) -> str:
    """Return the text of the function that graphs are recorded by: in operations that ONNX has."""
    by_autograd = operators.autograd_finds_slope(activation.kernel(0), pytorch.ONNX)
    name = "_recorded" if by_autograd else "_operations"
    text = pytorch.source(activation.program(0), name, target=pytorch.ONNX)
    return text if by_autograd else f"{text}\n{_SLOPED}"


def module_name(name: str) -> str:
    """Return the class's name: from the title of the catalogue's row `name` (LeakyReLU), else from `name` itself."""
    title = CATALOGUE[name].title.replace("'", "") if name in CATALOGUE else name.replace("_", " ")
    text = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", title))
    return text + "Module" if text == name else text


def _measure_python(activation: Activation, code: str) -> list[str]:
    namespace: dict[str, Any] = {"__name__": "exported"}
    exec(compile(code, "<exported>", "exec"), namespace)
    value, slope = namespace["_apply"], namespace["_slope"]
    x = timing.speed_points()
    eager = timing.ratio(lambda: value(x), lambda: torch.nn.functional.silu(x))
    lines = _error_lines(activation, value, lambda x: slope(torch.ones_like(x), x))
    return [*lines, _speed_line(eager, "eager mode, operation by operation", torch.get_num_threads())]


def _measure_header(activation: Activation, name: str) -> list[str]:
    command = compiler.compiler()
    if command is None:
        return ["Error and speed: not measured, for the machine had no C compiler."]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{name}.h").write_text(sources.c_header(activation, name), encoding="utf-8")
        built = Path(folder) / "calls.so"
        try:
            built.write_bytes(compiler.build(_CALLS.format(name=name), folder))
        except (CosnbError, OSError, subprocess.TimeoutExpired):
            return [f"Error and speed: not measured, for {command[0]} failed on the machine that wrote this."]
        library = ctypes.CDLL(str(built))

    def through(function: Any) -> Function:
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t), None

        def call(x: Tensor) -> Tensor:
            y = torch.empty_like(x)
            function(x.data_ptr(), y.data_ptr(), x.numel())
            return y

        return call

    lines = _error_lines(activation, through(library.value), through(library.slope))
    x = timing.speed_points()
    y = torch.empty_like(x)
    with timing.one_thread():
        speed = timing.ratio(
            lambda: library.value(x.data_ptr(), y.data_ptr(), x.numel()),
            lambda: torch.ops.aten.silu.out(x, out=y),
        )
    return [*lines, _speed_line(speed, " ".join(compiler.flags()), 1)]


def _error_lines(activation: Activation, *functions: Function) -> list[str]:
    lines, points = [], grid()
    for order, function in enumerate(functions):
        found = largest_errors(function, activation.derivative(order), activation.x, points)
        near = max((found.classes[name] for name in ("1", "subnormal")), key=lambda largest: largest.error)
        parts = [
            f"{worst.error:.2f} ulp {where} (x = {worst.at:.6g})"
            for worst, where in (
                (near, "of it"),
                (found.classes["2"], "of its largest term where it is below 2^-6 of that"),
            )
            if worst.at is not None
        ]
        if found.lost:
            parts.append(
                f"but {found.lost:,} finite values come out as NaN or inf, the first at x = {found.lost_at:.6g}"
            )
        lines.append(
            f"Error of {sources.mark(order)}, float32, at {len(points):,} points against mpmath: at most "
            f"{', '.join(parts)}."
        )
    return lines


def _speed_line(ratio: float, how: str, threads: int) -> str:
    return (
        f"Speed of f, 1 Mi float32: {ratio:.2f} times PyTorch's SiLU, median of {timing.REPEATS} ({how}; "
        f"{threads} thread{'s' * (threads > 1)}; {timing.cpu_name()}; torch {torch.__version__})."
    )

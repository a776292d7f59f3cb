"""Runs kernels in a process of its own: under Triton's interpreter, or compiled without a GPU.

`python triton_worker.py TASK INPUTS OUTPUTS`, files of pickle. Triton chooses its interpreter when it is imported, by
TRITON_INTERPRET, for a whole process. Inputs: (value, product, more) a formula, its programs first. Outputs for each:

    run      for each pair (dy, x) of `more` (f(x), dy·f′(x))
    half     for each float32 x of `more` (f(x), f′(x)) in the arithmetic "half", before the rounding to 16 bits
    noisy    the same, the reciprocal off by up to 1 ulp and 2^y by up to 2, as a device's approximations may be
    compile  {(kernel, element type, arithmetic): (PTX, instructions an element)}
"""

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy
import torch

from cosnb.codegen.program import Program
from cosnb.codegen.targets import triton
from cosnb.kernels import cuda

ELEMENTS = (("fp32", "float"), ("bf16", "half"), ("fp16", "half"), ("fp64", "double"))
_NOISE = """
    bits = {0}.to(tl.int32, bitcast=True) * 1103515245
    noise = ((bits >> 16) & 1023).to(tl.float32) / 512.0 - 1.0
    r = {1} * (1.0 + noise * {2})
"""


def run(value: Program, product: Program, pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the results of the interpreted kernels."""
    library = cuda.build(value, product)
    with numpy.errstate(all="ignore"):  # the interpreter computes both sides of a selection in NumPy
        return [(library.forward(x), library.backward(dy, x)) for dy, x in pairs]


def half(value: Program, product: Program, inputs: list[Any]) -> list[tuple[Any, Any]]:
    """Return what the kernels for 16-bit tensors compute in float32; the interpreter would cut it off to bfloat16."""
    library = cuda.build(value, product)
    library._modules["float", False] = cuda.load(triton.source(value, product, "half", nvidia=False))
    with numpy.errstate(all="ignore"):
        return [(library.forward(x), library.backward(torch.ones_like(x), x)) for x in inputs]


def noisy(value: Program, product: Program, inputs: list[Any]) -> list[tuple[Any, Any]]:
    """Return what `half` does with approximations as bad as a device's may be, though no 2^y above 1 for y <= 0."""
    reciprocal = _NOISE.format("b", "(1.0 / b)", 2.0**-23) + "    return r\n"
    power = _NOISE.format("y", "tl.exp2(y)", 2.0**-22) + "    return tl.where(y <= 0, tl.minimum(r, 1.0), r)\n"
    for name, argument, body in (("cosnb_reciprocal", "b", reciprocal), ("cosnb_exp2", "y", power)):
        text = f"@triton.jit\ndef {name}({argument}):{body}"
        triton._APPROXIMATE[name] = (text, text)
    return half(value, product, inputs)


def compile(value: Program, product: Program, _: object) -> dict[tuple[str, str, str], tuple[str, float]]:
    """Return the kernels for compute capability 9.0; ptxas has assembled them, too."""
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    found = {}
    for element, arithmetic in ELEMENTS:
        module = cuda.load(triton.source(value, product, arithmetic))
        for name, pointers in (("forward", ("x_ptr", "y_ptr")), ("backward", ("dy_ptr", "x_ptr", "dx_ptr"))):
            source = ASTSource(
                fn=getattr(module, name),
                signature=dict.fromkeys(pointers, f"*{element}") | {"n": "i64", "BLOCK": "constexpr"},
                constexprs={"BLOCK": cuda.BLOCK},
                attrs={(place,): [["tt.divisibility", 16]] for place in range(len(pointers) + 1)},
            )
            options = {"num_warps": cuda.WARPS, "enable_fp_fusion": False}
            code = compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm
            found[name, element, arithmetic] = code["ptx"], instructions(code["sass"])
    return found


def instructions(sass: str) -> float:
    """Return the instructions an element of a kernel without loops, what pads its end not counted."""
    names = re.findall(r"\t(?:@!?U?P\w+ )?([A-Z][A-Z0-9_.]+)", sass)
    while names and names[-1] in ("NOP", "BRA"):
        names.pop()
    return len(names) * 32 * cuda.WARPS / cuda.BLOCK


if __name__ == "__main__":
    task, inputs, outputs = sys.argv[1:]
    work = {"run": run, "half": half, "noisy": noisy, "compile": compile}[task]
    Path(outputs).write_bytes(pickle.dumps([work(*case) for case in pickle.loads(Path(inputs).read_bytes())]))

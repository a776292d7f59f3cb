"""Runs kernels in a process of its own: under Triton's interpreter, or compiled to PTX without a GPU.

`python triton_worker.py run|compile INPUTS OUTPUTS`, files of pickle. Triton chooses its interpreter when it is
imported, by TRITON_INTERPRET, for a whole process. Inputs: (value, product, [(dy, x), …]) a formula, its programs
first. Outputs of run: for each pair (f(x), dy·f′(x)); of compile: {(kernel, element type, arithmetic): PTX}.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy

from cosnb.codegen import triton
from cosnb.codegen.program import Program
from cosnb.kernels import cuda

ELEMENTS = (("fp32", "float"), ("bf16", "float"), ("fp16", "float"), ("fp16", "double"), ("fp64", "double"))


def run(value: Program, product: Program, pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the results of the interpreted kernels."""
    library = cuda.build(value, product)
    with numpy.errstate(all="ignore"):  # the interpreter computes both sides of a selection in NumPy
        return [(library.forward(x), library.backward(dy, x)) for dy, x in pairs]


def compile(value: Program, product: Program, _: object) -> dict[tuple[str, str, str], str]:
    """Return the PTX of the kernels for compute capability 8.0; ptxas has assembled it, too."""
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
            found[name, element, arithmetic] = compile(source, target=GPUTarget("cuda", 80, 32), options=options).asm[
                "ptx"
            ]
    return found


if __name__ == "__main__":
    task, inputs, outputs = sys.argv[1:]
    work = {"run": run, "compile": compile}[task]
    Path(outputs).write_bytes(pickle.dumps([work(*case) for case in pickle.loads(Path(inputs).read_bytes())]))

"""NumPy: a function of one array, printed from a `Program`."""

from cosnb.codegen.evaluate import NUMPY, with_signed_zeros
from cosnb.codegen.printing import assignments, check_name, python_function
from cosnb.codegen.program import CONSTANTS, Program


def source(program: Program, name: str, comment: str = "") -> str:
    """Return Python source, imports included, of `def name(x)`.

    An array, or what `numpy.asarray` makes one of, in; an array of its shape out, a scalar for a scalar, as from
    NumPy's own functions. float16, float32 and float64 stay what they are, float16 computed in float32 and rounded
    once; integers give float64; a complex x is a TypeError. No warning at any x. Raises CosnbError for a name that is
    no identifier and for an operation that NumPy lacks.
    """
    check_name(name, reserved=("numpy", "scipy"))
    program = with_signed_zeros(program)
    lines, result = assignments(program, NUMPY)
    if program.steps[program.result].op in CONSTANTS:
        result = f"numpy.full_like(x, {result})"
    body = [
        "x = numpy.asarray(x)",
        "single = x.dtype.type in (numpy.float16, numpy.float32)",
        "kept = x.dtype.type if single else numpy.float64",
        'x = x.astype(numpy.float32 if single else numpy.float64, casting="safe", copy=False)',
        'with numpy.errstate(all="ignore"):',
        *(f"    {left} = {right}" for left, right in lines),
        f"    return numpy.asarray({result}).astype(kept, copy=False)[()]",
    ]
    imports = "import numpy\n" + ("import scipy.special\n" if "scipy.special." in "".join(body) else "")
    return python_function(f"{imports}\n\ndef {name}(x):", body, comment)

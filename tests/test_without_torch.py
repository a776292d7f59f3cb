"""Formulas without PyTorch: the same engine runs where there is none, in a browser for instance."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
sys.modules["torch"] = sys.modules["multiprocessing"] = None  # an import of either fails
for room in ("symbolic", "analysis", "codegen"):
    package = importlib.import_module(f"cosnb.{room}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        print(module.name)

from cosnb.analysis.calculus import properties
from cosnb.codegen import evaluate, lower
from cosnb.codegen.targets import numpy as target
from cosnb.symbolic.catalogue import get, x

expr = get("swish").expr.subs(get("swish").parameters)
slope = evaluate.compile_source(target.source(lower.lower(expr.diff(x), x), "slope"), "slope")
print("slope", slope(0.0), properties(expr, x)["minimum"].how)
"""


def test_formulas_are_analysed_and_compiled_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    *modules, last = done.stdout.splitlines()
    assert last == "slope 0.5 certified"
    assert len(modules) > 20
    assert {"cosnb.codegen.targets.pytorch", "cosnb.codegen.targets.triton", "cosnb.analysis.worker"} <= set(modules)

"""`cosnb export`: the files stand without cosnb, say what they are, and are refused where they would do harm."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from truth import truth

from cosnb import activation, cli
from cosnb.accuracy.pointwise import largest_errors
from cosnb.export import _error_lines, module_name, python_text
from cosnb.kernels import cpu, timing
from cosnb.symbolic.catalogue import CATALOGUE, x

POINTS = [-104.0, -30.0, -5.0, -0.3, 0.0, 1e-4, 0.7, 2.0, 40.0]
TRIAL = """
import json, sys, warnings
warnings.simplefilter("error")
sys.modules["cosnb"] = None  # an import of it fails
sys.path.insert(0, sys.argv[1])
import torch
import cos
from cos import CoS

x = torch.tensor(json.loads(sys.argv[2]), dtype=torch.float64, requires_grad=True)
y = cos.cos(x)
(slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
(second,) = torch.autograd.grad(slope.sum(), x)
print(json.dumps([y.tolist(), slope.tolist(), second.tolist()]))

module = CoS()
small = torch.tensor([-3.0, 0.0, 0.4], dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradcheck(module, (small,)) and torch.autograd.gradgradcheck(module, (small,))
assert not module.state_dict()

saved = []
with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
    module(torch.ones(1000, requires_grad=True))
assert saved == [4000], saved

for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
    for given in (torch.ones((), dtype=dtype), torch.ones(0, dtype=dtype), torch.ones(2, 3, dtype=dtype).T):
        out = module(given)
        assert (out.shape, out.dtype) == (given.shape, dtype)
edges = module(torch.tensor([-torch.inf, torch.inf, torch.nan]))
assert edges[0] == 0.25 and edges[1] == torch.inf and edges[2].isnan()
assert module(torch.empty(3, device="meta")).shape == (3,)
try:
    module(torch.ones(3, dtype=torch.int64))
except TypeError as error:
    assert "floating-point" in str(error)
else:
    raise AssertionError("integers must be refused")

at = torch.tensor([0.3, -1.2], dtype=torch.float64)
f2 = torch.vmap(torch.func.grad(torch.func.grad(cos.cos)))(at)
mine = at.clone().requires_grad_()
(g,) = torch.autograd.grad(cos.cos(mine).sum(), mine, create_graph=True)
assert torch.allclose(f2, torch.autograd.grad(g.sum(), mine)[0])

warnings.simplefilter("ignore")  # of torch's own
traced = torch.compile(module, fullgraph=True, backend="aot_eager")
mine = at.clone().requires_grad_()
traced(mine).sum().backward()
assert torch.allclose(mine.grad, g)
"""
PROGRAM = """#include "cos.h"
#include <stdio.h>
int main(void) {
  const double x[] = {%s};
  const size_t n = sizeof x / sizeof *x;
  double y[sizeof x / sizeof *x];
  act_cos_forward_f64(x, y, n);
  for (size_t i = 0; i < n; i++) printf("%%.17g %%.17g\\n", y[i], act_cos_d1_f64(x[i]));
  return 0;
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cosnb export cos` writes, twice; measured at few points to be quick."""
    root = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        for name in ("once", "again"):
            assert cli.main(["export", "cos", "--output", str(root / name)]) == 0
    return root


def quick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("cosnb.export.grid", lambda: torch.linspace(-20, 20, 41))
    patch.setattr(timing, "ELEMENTS", 1000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@pytest.mark.long
def test_the_python_file_stands_without_cosnb(folder: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-I", "-c", TRIAL, str(folder / "once"), json.dumps(POINTS)]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    for order, values in enumerate(json.loads(done.stdout.splitlines()[0])):
        exact, size = truth(activation("cos").derivative(order), x, POINTS)
        # e^(−y) of a rounded y (104/2 ulp), and what a second derivative multiplies
        assert (abs(numpy.array(values) - exact) <= 200 * 2.2e-16 * size).all(), order


@pytest.mark.skipif(shutil.which("cc") is None, reason="the C compiler cc is not here")
def test_the_header_stands_without_cosnb(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "once" / "cos.h", tmp_path)
    (tmp_path / "main.c").write_text(PROGRAM % ", ".join(map(repr, POINTS)))
    flags = ["-Wall", "-Wextra", "-Werror", "-std=c99", "-ffp-contract=off", "-O3", "-march=native"]
    subprocess.run(["cc", *flags, "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    values = numpy.array([line.split() for line in done.stdout.splitlines()], dtype=float)
    for order in (0, 1):
        exact, size = truth(activation("cos").derivative(order), x, POINTS)
        assert (abs(values[:, order] - exact) <= 200 * 2.2e-16 * size).all()


@pytest.mark.skipif(cpu.compiler() is None, reason="errors and speed are those of C, and no compiler is here")
def test_heads_say_what_it_is_and_how_good(folder: Path) -> None:
    for name in ("cos.py", "cos.h"):
        head = "\n".join((folder / "once" / name).read_text(encoding="utf-8").splitlines()[:12])
        assert "CoS: f(x) = x*sigmoid(x) + (sigmoid(5*x) - 1/2)**2" in head
        assert "f′(x) = " in head
        assert "Licence: MIT" in head
        assert re.search(r"Error of f, float32, at 41 points against mpmath: at most \d+\.\d\d ulp of it \(x = ", head)
        assert re.search(r"Error of f′, float32", head)
        assert re.search(r"Speed of f, 1 Mi float32: \d+\.\d\d times PyTorch's SiLU, median of 15 \(.*\)", head)


def test_but_for_the_measured_lines_two_exports_are_equal(folder: Path) -> None:
    for name in ("cos.py", "cos.h"):
        texts = [(folder / run / name).read_text(encoding="utf-8") for run in ("once", "again")]
        first, second = (re.sub(r".*(Error|Speed) of f.*\n", "", text) for text in texts)
        assert first == second
        assert "cosnb" in first  # the licence line's `cosnb export`
        assert not re.search(r"^\s*(import|from) cosnb|/(home|tmp|usr)/", first, re.MULTILINE)


def test_a_formula_with_parameters_under_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "export",
        "x*sigmoid(k*x)",
        "-p",
        "k=1/2",
        "--name",
        "half_swish",
        "--output",
        str(tmp_path / "new" / "one"),
    ]
    assert cli.main(arguments) == 0
    paths = [tmp_path / "new" / "one" / name for name in ("half_swish.py", "half_swish.h")]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    assert "class HalfSwish(nn.Module):" in paths[0].read_text(encoding="utf-8")
    assert "act_half_swish_forward_f32(" in paths[1].read_text(encoding="utf-8")


def test_nothing_is_written_over_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "relu.h").write_text("mine")
    assert cli.main(["export", "relu", "--output", str(tmp_path)]) == 2
    assert re.fullmatch(r"cosnb: .*relu\.h exists: .* --force to write over it\n", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["relu.h"]
    assert cli.main(["export", "relu", "--output", str(tmp_path), "--force"]) == 0
    assert "act_relu_f32" in (tmp_path / "relu.h").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kos"], "unknown activation 'kos': did you mean 'cos'?"),
        (["cos", "-p", "a"], "'a' sets no parameter: write it like a=5"),
        (["cos", "-p", "b=1"], "cos has no parameter 'b'"),
        (["cos", "-p", "formula=1"], "cos has no parameter 'formula'"),
        (["cos", "-p", "self=1"], "cos has no parameter 'self'"),
        (["cos", "-p", "a=__import__('os')"], "parameter a must be a finite number"),
        (["x*__import__('os')"], "column "),
        *(
            (["cos", "--name", name], "cannot print a function called ")
            for name in (
                "../up",
                "a/b",
                "/tmp/x",
                "",
                "c os",
                "cos;",
                "cos\n",
                "class",
                "os",
                "torch",
                "random",
                "ƒ",
                "a" + "'",
            )
        ),
        (["cos", "--name", "_Value"], "the name of an exported file must not start with an underscore"),
    ],
    ids=str,
)
def test_mistakes_are_said_and_nothing_is_written(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cosnb: {message}")
    assert list(tmp_path.iterdir()) == []


def test_every_row_has_a_class_and_compiles() -> None:
    names = [module_name(name) for name in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name not in CATALOGUE for name in names)
    assert module_name("leaky_relu") == "LeakyReLU"
    assert module_name("formula_ab12") == "FormulaAb12"
    assert module_name("Mine") == "MineModule"
    for name in ("relu", "gelu", "e_swish"):
        compile(python_text(activation(name), name), name, "exec")


def test_without_a_compiler_the_header_says_that_nothing_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosnb.kernels.compiler.compiler", lambda: None)
    assert cli.main(["export", "relu", "--output", str(tmp_path)]) == 0
    assert "not measured, for the machine had no C compiler" in (tmp_path / "relu.h").read_text(encoding="utf-8")


def test_errors_are_counted_in_the_two_classes() -> None:
    act, points = activation("cos"), torch.linspace(-20, 20, 41)
    right = torch.from_numpy(truth(act.expr, x, points.tolist())[0]).float()

    def wrong(points: torch.Tensor) -> torch.Tensor:
        # f(10) is about 10.25, whose ulp is 2^-20
        return torch.where(points == 10, right + 3 * 2**-20, right)

    found = largest_errors(wrong, act.expr, x, points)
    assert found.classes["1"].at == 10
    assert 2.5 <= found.classes["1"].error <= 3.5
    assert found.classes["2"].error <= 0.5
    assert found.lost == 0
    nothing = largest_errors(lambda p: torch.full_like(p, torch.nan), act.expr, x, points)
    assert nothing.lost == len(points)


def test_lost_values_stand_in_the_head() -> None:
    (line,) = _error_lines(activation("swish"), lambda p: torch.where(p > 15, torch.nan, p * torch.sigmoid(p)))
    points = torch.linspace(-20, 20, 41)  # of `quick`
    assert f"{int((points > 15).sum())} finite values come out as NaN or inf, the first at x = 16" in line

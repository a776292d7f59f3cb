"""The object that users hold: parameters, derivatives, copies, processes and threads, with and without a compiler."""

import copy
import gc
import io
import math
import os
import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy
import pytest
import sympy
import torch
from torch import Tensor, nn

from cosnb import Activation, CosnbError, activation
from cosnb.activations import ActivationModule
from cosnb.kernels import cpu, operators

# PyTorch's own
TRACED = pytest.mark.filterwarnings("ignore:.*should not be instantiated.*:DeprecationWarning")


def points(n: int) -> Tensor:
    return 3 * torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[1]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": paths} | environment,
    )


# Formulas and parameters


def test_parameters_of_cos_work() -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    for slope, shift in ((5, 0.5), (2, "1/4"), (-3, "7.5e-1"), (".5", "1.5/3"), (0, 0)):
        act = activation("cos", a=slope, c=shift)
        reference = x * torch.sigmoid(x) + (torch.sigmoid(float(slope) * x) - float(sympy.Rational(str(shift)))) ** 2
        torch.testing.assert_close(act(x), reference, rtol=1e-13, atol=1e-15)
    assert activation("cos", a="5.0", c=0.5) is activation("cos")
    assert repr(activation("cos", c="1/3")) == "activation('cos', a=5, c=1/3)"


def test_text_and_name_are_the_same_function() -> None:
    text = activation("x*sigmoid(x) + (sigmoid(a*x) - c)**2", a=5, c=0.5)
    assert text.expr == activation("cos").expr
    assert torch.equal(text(points(9)), activation("cos")(points(9)))


def test_unknown_names_and_parameters_are_named() -> None:
    with pytest.raises(CosnbError, match=r"cos has no parameter 'slope': its parameters are a, c"):
        activation("cos", slope=5)
    with pytest.raises(CosnbError, match=r"relu has no parameter 'beta': its parameters are none"):
        activation("relu", beta=1)
    with pytest.raises(CosnbError, match=r"did you mean 'swish'"):
        activation("swihs")
    with pytest.raises(CosnbError, match=r"by its name or its formula as text, got type"):
        activation(nn.ReLU)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["five", float("nan"), float("inf"), "1/0", "1e999999999", None, True, 2j, [5], "__import__('os')"]
)
def test_a_parameter_that_is_no_finite_number_is_refused_at_once(value: object) -> None:
    for formula in ("cos", "x*sigmoid(a*x)"):
        with pytest.raises(CosnbError, match="parameter a must be a finite number"):
            activation(formula, a=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, r"mish expects a tensor, got float: write torch.tensor\(0.5\)"),
        (numpy.zeros(3), r"got ndarray: write torch.from_numpy\(array\)"),
        (numpy.float32(1), "got float32: write torch.tensor"),
        ([0.5], "got list: write torch.tensor"),
        (None, "got NoneType: write torch.tensor"),
        (torch.zeros(3, dtype=torch.complex64), r"got torch.complex64: take its .real, .imag or .abs\(\)"),
        (
            torch.zeros(3).to(torch.float8_e4m3fn),
            r"16 bits or more, got torch.float8_e4m3fn: convert it with .bfloat16",
        ),
        (torch.zeros(3, dtype=torch.int32), r"got torch.int32: convert it with .float\(\)"),
    ],
)
def test_what_is_no_tensor_of_a_usual_format_is_answered_with_what_to_write(value: object, message: str) -> None:
    for function in (activation("mish"), activation("mish").module()):
        with pytest.raises(CosnbError, match=message):
            function(value)  # type: ignore[arg-type]
    with pytest.raises(CosnbError, match=message.replace("mish", "swish")):
        activation("swish").module(learnable=True)(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("softplus", {"beta": 0}), ("smelu", {"beta": 0}), ("snake", {"a": 0})],
)
def test_a_parameter_that_divides_by_0_is_named(name: str, parameters: dict[str, float]) -> None:
    ((key, value),) = parameters.items()
    with pytest.raises(CosnbError, match=f"{name} is no real number for any x with {key} = {value}"):
        activation(name, **parameters)


@pytest.mark.long
def test_a_formula_that_is_real_on_an_interval_is_nan_outside() -> None:
    x = torch.tensor([-2.0, -0.5, 0.5, 2.0, 1e10], dtype=torch.float64)
    for text, function in (
        ("log((1+x)/(1-x))/2", torch.atanh),
        ("asin(x)", torch.asin),
        ("acos(x)", torch.acos),
        ("atanh(x)", torch.atanh),
    ):
        torch.testing.assert_close(activation(text)(x), function(x), rtol=1e-14, atol=0, equal_nan=True)
        torch.testing.assert_close(activation(text)(x.float()), function(x.float()), rtol=4e-7, atol=0, equal_nan=True)
    values = activation("isru", alpha=-1)(x)
    torch.testing.assert_close(values, x / torch.sqrt(1 - x**2), rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_steps_are_those_of_pytorch(dtype: torch.dtype) -> None:
    x = torch.tensor([-2.5, -2.0, -1.75, -1.5, -0.5, -0.25, 0.0, 0.5, 1.0, 1.5, 2.25, 2.5, 3.5, 1e4], dtype=dtype)
    for name in ("floor", "ceil", "round", "trunc"):
        assert torch.equal(activation(name)(x), getattr(torch, name)(x))
        assert torch.equal(activation(name).elementwise(1)(x), torch.zeros_like(x))
    assert torch.equal(activation("x % 3")(x), torch.remainder(x, 3))
    assert torch.isnan(activation("floor(x)")(torch.tensor([math.nan], dtype=dtype))).all()
    with pytest.raises(CosnbError, match="its steps have no end"):
        activation("round(x)").properties()


def test_numbers_that_float32_cannot_hold() -> None:
    x = torch.tensor([-2.0, -1e-10, 0.0, 1e-10, 1e-3, 2.0])
    assert torch.equal(activation("1e40*x")(x.double()), 1e40 * x.double())
    torch.testing.assert_close(activation("1e40*x")(x), (1e40 * x.double()).float(), rtol=2e-7, atol=0)
    assert torch.equal(activation("tanh(1e30*x)")(x), torch.sign(x))
    assert torch.equal(activation("tanh(1e30*x)")(x.double()), torch.sign(x.double()))


@pytest.mark.parametrize("exponent", [0.2, 1 / 3, 0.7312, 1.5, -0.25, 3])
def test_an_exponent_that_is_given_is_a_number(exponent: float) -> None:
    x = torch.tensor([0.0625, 0.5, 1.0, 7.0], dtype=torch.float64)
    act = activation("x**a", a=exponent)
    torch.testing.assert_close(act(x), x**exponent, rtol=1e-14, atol=0)
    module, base = act.module(learnable=True), x.clone().requires_grad_()
    module(base).sum().backward()
    (power,) = module.parameters()
    torch.testing.assert_close(base.grad, power.item() * x ** (power.item() - 1), rtol=1e-6, atol=0)
    torch.testing.assert_close(power.grad.double(), (x**exponent * x.log()).sum(), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("base", [2, 3, 0.1, "1/3"])
def test_a_number_to_the_power_x(base: float | str) -> None:
    x = torch.tensor([-30.0, -0.5, 0.0, 0.75, 11.0], dtype=torch.float64)
    number = float(sympy.Rational(str(base)))
    torch.testing.assert_close(activation("b**x", b=base)(x), number**x, rtol=2e-14, atol=0)
    torch.testing.assert_close(
        activation("b**x", b=base).elementwise(1)(x), number**x * math.log(number), rtol=2e-14, atol=0
    )
    module = activation("b**x", b=base).module(learnable=True)
    torch.testing.assert_close(module(x), number**x, rtol=1e-5, atol=0)


def test_derivative_source_and_order() -> None:
    act = activation("swish")
    assert act.derivative(0) == act.expr
    assert sympy.simplify(act.derivative(2) - sympy.diff(act.expr, act.x, 2)) == 0
    code = act.source(order=1)
    assert code.startswith("# Swish: f(x) = x*sigmoid(x)\n# f′(x) = ")
    assert "\ndef swish_d1(input):\n" in code
    with pytest.raises(CosnbError, match=r"order of a derivative must be 0 or more, got -1"):
        act.derivative(-1)
    with pytest.raises(CosnbError, match=r"unknown target 'cobol': the targets are pytorch, triton, c, numpy, "):
        act.source("cobol")


def test_properties_cannot_be_changed() -> None:
    act = activation("swish")
    with pytest.raises(TypeError):
        act.properties()["limits"] = None  # type: ignore[index]
    assert act.properties()["limits"].value == (0, sympy.oo)


# Copies


@pytest.mark.parametrize("name", ["relu", "cos"])
def test_module_copies_pickles_and_saves(name: str) -> None:
    x = points(5)
    net = nn.Sequential(nn.Linear(5, 5).double(), activation(name).module())
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(buffer, weights_only=False)]
    for other in copies:
        assert isinstance(other[1], ActivationModule)
        assert repr(other[1]) == repr(net[1])
        assert torch.equal(other(x), net(x))


def test_an_activation_copies_with_its_parameters() -> None:
    act = activation("cos", a=3, c="1/3")
    for other in (pickle.loads(pickle.dumps(act)), copy.copy(act)):
        assert isinstance(other, Activation)
        assert (other.expr, repr(other), other.source(order=1)) == (act.expr, repr(act), act.source(order=1))
        assert torch.equal(other(points(5)), act(points(5)))
    assert copy.deepcopy(act) is act


def test_a_module_is_unpickled_in_a_new_process(tmp_path: Path) -> None:
    net = nn.Sequential(
        activation("cos", a=3).module(), activation("x*sigmoid(b*x)", b=2).module(), activation("swish").module(True)
    ).double()
    net(points(3)).sum().backward()
    (tmp_path / "net.pickle").write_bytes(pickle.dumps(net))
    code = f"""
import pickle, torch
net = pickle.load(open({str(tmp_path / "net.pickle")!r}, "rb"))
x = torch.tensor([0.25, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
net(x).sum().backward()
print(*net(x).tolist(), *x.grad.tolist())
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    x = torch.tensor([0.25, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
    y = net(x)
    y.sum().backward()
    assert x.grad is not None
    assert [float(word) for word in done.stdout.split()] == [*y.tolist(), *x.grad.tolist()]


@TRACED
def test_an_unpickled_module_can_be_traced() -> None:
    torch._dynamo.reset()
    module = pickle.loads(pickle.dumps(activation("swish").module()))
    x = torch.ones(2, requires_grad=True)
    torch.compile(module, fullgraph=True, backend="aot_eager")(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, activation("swish").elementwise(1)(torch.ones(2)))


@TRACED
def test_a_module_that_was_traced_still_pickles() -> None:
    torch._dynamo.reset()
    for module in (activation("cos").module(), activation("cos").module(learnable=True)):
        torch.compile(module, fullgraph=True, backend="aot_eager")(torch.ones(2))
        assert torch.equal(pickle.loads(pickle.dumps(module))(torch.ones(2)), module(torch.ones(2)))


def test_state_dict_is_empty_so_weights_move_between_activations() -> None:
    one = nn.Sequential(nn.Linear(3, 3), activation("cos").module())
    two = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    assert activation("cos").module().state_dict() == {}
    two.load_state_dict(one.state_dict())
    buffer = io.BytesIO()
    torch.save(one.state_dict(), buffer)
    buffer.seek(0)
    one.load_state_dict(torch.load(buffer, weights_only=True))


# Threads and processes


def test_two_threads_may_call_first_at_once() -> None:
    for number in range(3):
        act = activation(f"x*sigmoid(x) + tanh(x)/{number + 700}")  # new to this process
        start = Barrier(2)

        def first(start: Barrier = start, act: Activation = act) -> Tensor:
            x = points(50).requires_grad_()
            start.wait()
            return torch.autograd.grad(act(x).sum(), x)[0]

        with ThreadPoolExecutor(2) as pool:
            one, other = (task.result() for task in [pool.submit(first) for _ in range(2)])
        assert torch.equal(one, other)
        torch.testing.assert_close(one, act.elementwise(1)(points(50)), rtol=1e-13, atol=1e-15)


@pytest.mark.skipif(not hasattr(os, "fork") or cpu.compiler() is None, reason="PyTorch's own operations hang there")
def test_a_forked_process_goes_on() -> None:
    # OpenMP's threads do not survive a fork: a loop that asked for them would wait for ever.
    code = """
import os, torch, cosnb
torch.set_num_threads(2)
act, x = cosnb.activation("swish"), torch.ones(1 << 20)
y = act(x)
child = os.fork()
if child == 0:
    again, other = act(x), cosnb.activation("relu")(x)
    os._exit(0 if again[-1] == y[-1] and other[-1] == other[0] else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(act(x), y)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler_pytorch_operations_do_it_and_that_is_said_once() -> None:
    code = """
import torch, cosnb
x = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
for name in ("relu", "swish"):
    act = cosnb.activation(name)
    y = act(x)
    (dx,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (ddx,) = torch.autograd.grad(dx.sum(), x)
    with torch.no_grad():
        assert torch.equal(y, act.elementwise()(x))
        torch.testing.assert_close(dx, act.elementwise(1)(x), rtol=1e-14, atol=1e-16)
        torch.testing.assert_close(ddx, act.elementwise(2)(x), rtol=1e-14, atol=1e-15)
"""
    done = run(code, CC="/nonexistent/cc")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no C compiler found (set CC)") == 1


def test_formats_that_c_lacks_run_as_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    act, x = activation("cos"), points(9)
    by_c = act(x)
    monkeypatch.setattr(cpu, "supports", lambda dtype: False)
    torch.testing.assert_close(act(x), by_c, rtol=1e-14, atol=1e-16)
    linear = activation("x/2 + x/2")  # f(x) = x: an operator must not return its argument itself
    y = linear(x)
    assert torch.equal(y, x)
    assert y.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", ["swish", "mish", "cos"])
def test_operations_are_counted_before_and_after(name: str, order: int) -> None:
    counts = activation(name).operations(order)
    assert counts["after"]["exponentials"] == counts["after"]["divisions"] == 1
    assert counts["before"]["exponentials"] > 1 or (name, order) == ("swish", 0)


def test_kernels_of_formulas_that_are_no_longer_used_go() -> None:
    made = [activation(f"x*sigmoid({number}*x + 1)").kernel(0).key for number in range(300)]
    gc.collect()
    assert len(set(made)) == 300
    assert len(set(made) & set(operators._KERNELS)) <= 256  # as many activations as are kept by their texts


@pytest.mark.skipif(not Path("/proc/self/maps").exists() or cpu.compiler() is None, reason="Linux, with a C compiler")
def test_a_library_that_is_no_longer_used_is_unloaded() -> None:
    library = cpu.build(activation("x*sigmoid(x/3)").program(0), None)
    path = library.library._name
    assert path in Path("/proc/self/maps").read_text()
    weak = weakref.ref(library)
    del library
    gc.collect()
    assert weak() is None
    assert path not in Path("/proc/self/maps").read_text()

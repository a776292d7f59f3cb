"""Float32 code next to roots where terms cancel, and `precise`, which computes in double there."""

import pickle

import numpy as np
import pytest
import sympy
import torch
from mpmath import mp, mpf

import cosnb
from cosnb import CosnbError, activation
from cosnb.analysis.numeric import numeric
from cosnb.codegen import roots
from cosnb.codegen.evaluate import trial
from cosnb.codegen.targets import c
from cosnb.kernels import compiler

needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="needs a C compiler")
ULP = {"swish": 4.5, "mish": 8.0, "eswish": 4.5, "smish": 8.0}  # measured: 4.2, 7.5, 4.3, 6.8


def slopes(act: cosnb.Activation, points: torch.Tensor) -> torch.Tensor:
    x = points.clone().requires_grad_()
    return torch.autograd.grad(act(x), x, torch.ones_like(x))[0]


def off(act: cosnb.Activation, points: np.ndarray) -> np.ndarray:
    """Return the errors of the compiled derivative in ulp of the value that the program has in float64."""
    exact = trial(act.program(1), np.float64)(points.astype(float))
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(float)
    return np.abs(slopes(act, torch.from_numpy(points)).double().numpy() - exact) / unit


@needs_compiler
@pytest.mark.parametrize("name", ULP)
def test_the_derivative_keeps_its_digits_up_to_its_root(name: str) -> None:
    act = activation(name)
    assert roots.single(act.program(1)) is not None
    points = np.linspace(-16, 16, 1_000_003, dtype=np.float32)
    assert off(act, points).max() < ULP[name]
    assert off(activation(name, precise=True), points).max() < 0.501
    f = numeric(act.derivative(1), act.x)
    with mp.workprec(200):
        root = mp.findroot(lambda x: mp.re(f(x)), (-1.4, -0.5), solver="anderson")
        near = np.float32(float(root)) + np.arange(-8, 9, dtype=np.float32) * np.float32(2**-23)
        for point, got in zip(near, slopes(act, torch.from_numpy(near)), strict=True):
            value = mp.re(f(mpf(float(point))))
            assert abs(mpf(float(got)) - value) <= 1.5 * 2**-23 * abs(value)


def test_what_has_several_roots_or_loses_digits_elsewhere_is_left_alone() -> None:
    assert roots.single(activation("swish").program(2)) is None  # two roots
    assert roots.single(activation("quick_gelu").program(1)) is None  # its tail is 19 ulp off
    assert roots.single(activation("relu").program(1)) is None
    many = sympy.prod(sympy.Symbol("x") + k for k in range(1, 14))
    assert roots._sum(many) == many  # 8,192 terms
    assert roots._sum(activation("dsilu").expr).is_Add
    for name in ("cos", "swish"):
        assert c.computes_in_double(activation(name, precise=True).program(1, product=True), "f32")
    assert not c.computes_in_double(activation("swish").program(1, product=True), "f32")
    assert c.computes_in_double(activation("swish").program(1, product=True), "f16")
    assert not c.computes_in_double(activation("sigmoid", precise=True).program(0), "f32")  # nothing cancels


@needs_compiler
def test_precise_is_right_to_half_an_ulp_where_float_is_not() -> None:
    points = torch.linspace(-4, 4, 100_001)
    exact = activation("cos")(points.double()).numpy()
    unit = np.spacing(np.abs(exact).astype(np.float32))
    errors = [np.abs(activation("cos", precise=way)(points).double().numpy() - exact) / unit for way in (True, False)]
    assert np.nanmax(errors[0]) < 0.501
    assert np.nanmax(errors[1]) > 10


def test_a_precise_activation_is_one_of_its_own() -> None:
    precise, plain = activation("swish", precise=True), activation("swish")
    assert precise != plain
    assert precise is activation("swish", precise=True) is pickle.loads(pickle.dumps(precise))
    assert repr(precise) == "activation('swish', beta=1, precise=True)"
    assert precise.source() == plain.source()
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(2, 2), precise.module()))
    assert torch.equal(graph(torch.ones(3, 2)), graph(torch.ones(3, 2)))
    net = torch.nn.Sequential(torch.nn.ReLU())
    assert cosnb.swap(net, torch.nn.ReLU, "swish", precise=True) == 1
    assert net[0].activation is precise
    with pytest.raises(CosnbError, match="precise is True or False"):
        activation("swish", precise="yes")  # type: ignore[arg-type]

"""Names of torch.nn, jax.nn, keras.activations, timm and Transformers: each known, with its library's formula.

The formulas are written by hand in mpmath from each library's documentation and source, with its default arguments.
Where two libraries differ, PyTorch's meaning is the name's: jax.nn.gelu is gelu_tanh here, Keras's leaky_relu has
negative_slope=0.2.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mpmath import mp, mpf
from torch import nn

from cosnb import activation

F = Callable[[mpf], Any]


def clip(v: mpf, low: float, high: float) -> mpf:
    return min(max(v, mpf(low)), mpf(high))


def sigmoid(v: mpf) -> mpf:
    return 1 / (1 + mp.exp(-v))


def softplus(v: mpf) -> mpf:
    return mp.log1p(mp.exp(v))


def gelu_tanh(v: mpf) -> mpf:
    return v * sigmoid(mp.sqrt(8 / mp.pi) * (v + mpf("0.044715") * v**3))  # (1 + tanh(y)) / 2 is sigmoid(2y)


def selu(v: mpf) -> mpf:
    scale, alpha = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
    return scale * (v if v > 0 else alpha * mp.expm1(v))


def xielu(v: mpf) -> mpf:
    return mpf("0.8") * v**2 + v / 2 if v > 0 else mpf("0.8") * (mp.expm1(v) - v) + v / 2


FORMULAS: dict[str, F] = {
    "celu": lambda v: v if v > 0 else mp.expm1(v),
    "elu": lambda v: v if v > 0 else mp.expm1(v),
    "exponential": mp.exp,
    "gelu": lambda v: v * mp.ncdf(v),
    "gelu_10": lambda v: clip(v * mp.ncdf(v), -10, 10),
    "gelu_tanh": gelu_tanh,
    "hard_mish": lambda v: v / 2 * clip(v + 2, 0, 2),
    "hard_sigmoid": lambda v: clip(v + 3, 0, 6) / 6,
    "hard_swish": lambda v: v * clip(v + 3, 0, 6) / 6,
    "hard_shrink": lambda v: v if abs(v) > 0.5 else mpf(0),
    "hard_tanh": lambda v: clip(v, -1, 1),
    "identity": lambda v: v,
    "laplace": lambda v: mp.ncdf((v - mpf("0.707107")) / mpf("0.282095")),
    "leaky_relu": lambda v: v if v > 0 else v / 100,
    "log1mexp": lambda v: mp.log(-mp.expm1(-v)),
    "log_sigmoid": lambda v: -softplus(-v),
    "mish": lambda v: v * mp.tanh(softplus(v)),
    "prelu": lambda v: v if v > 0 else v / 4,
    "quick_gelu": lambda v: v * sigmoid(mpf("1.702") * v),
    "relu": lambda v: max(v, mpf(0)),
    "relu2": lambda v: max(v, mpf(0)) ** 2,
    "relu6": lambda v: clip(v, 0, 6),
    "rrelu": lambda v: v if v >= 0 else (mpf(1) / 8 + mpf(1) / 3) / 2 * v,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": lambda v: v * sigmoid(v),
    "soft_shrink": lambda v: v - clip(v, -0.5, 0.5),
    "soft_sign": lambda v: v / (1 + abs(v)),
    "softplus": softplus,
    "sparse_plus": lambda v: mpf(0) if v <= -1 else v if v >= 1 else (v + 1) ** 2 / 4,
    "sparse_sigmoid": lambda v: clip((v + 1) / 2, 0, 1),
    "sqrtsoftplus": lambda v: mp.sqrt(softplus(v)),
    "squareplus": lambda v: (v + mp.sqrt(v**2 + 4)) / 2,
    "tanh": mp.tanh,
    "tanh_shrink": lambda v: v - mp.tanh(v),
    "threshold": lambda v: v if v > 1 else mpf(0),
    "xielu": xielu,
}
# The library's name for a formula where it is not the key above
SAME = {
    "expit": "sigmoid",
    "gelu_accurate": "gelu_tanh",
    "gelu_erf": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "hard_silu": "hard_swish",
    "hardshrink": "hard_shrink",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "hardtanh": "hard_tanh",
    "leakyrelu": "leaky_relu",
    "linear": "identity",
    "logsigmoid": "log_sigmoid",
    "softshrink": "soft_shrink",
    "softsign": "soft_sign",
    "swish": "silu",
    "tanhshrink": "tanh_shrink",
}
LIBRARIES = {
    "torch.nn": """Threshold ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish Hardswish ELU CELU SELU GELU
        Hardshrink LeakyReLU LogSigmoid Softplus Softshrink PReLU Softsign Tanhshrink Identity""",
    "jax.nn": """celu elu expit gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log1mexp
        log_sigmoid mish relu relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus swish
        tanh""",
    "keras.activations": """celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
        linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus sparse_sigmoid
        squareplus swish tanh tanh_shrink threshold""",
    "timm": """celu elu gelu gelu_erf gelu_tanh hard_mish hard_sigmoid hard_swish hardsigmoid hardswish identity
        leaky_relu mish prelu quick_gelu relu relu6 selu sigmoid silu swish tanh""",
    "transformers": """gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh
        hardswish laplace leaky_relu linear mish prelu quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh
        xielu""",
}
# Softmax, GLU and their like mix elements; dropout and RReLU in training are random.
NO_ACTIVATIONS = {"Softmin", "Softmax", "Softmax2d", "LogSoftmax", "GLU", "MultiheadAttention"}
POINTS = [-50.0, -20.0, -7.5, -3.0, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, -1e-6, 0.0]
POINTS = sorted({*POINTS, *(-point for point in POINTS), 2.5, 9.5, 10.0, 10.5})
NAMES = sorted({name.lower() for names in LIBRARIES.values() for name in names.split()})


def test_the_list_of_torch_is_torch_s() -> None:
    listed = {*LIBRARIES["torch.nn"].split()} - {"Identity"}
    assert listed == {*nn.modules.activation.__all__} - NO_ACTIVATIONS


@pytest.mark.parametrize("name", NAMES)
def test_every_elementwise_function_of_the_libraries_is_known_by_its_name(name: str) -> None:
    formula = FORMULAS[SAME.get(name, name)]
    points = [point for point in POINTS if name != "log1mexp" or point > 0]
    got = activation(name).elementwise()(torch.tensor(points, dtype=torch.float64)).tolist()
    with mp.workdps(40):
        truth = [float(formula(mpf(point))) for point in points]
    # A few ulp, some 400 far out in the left tail of GELU; x − tanh(x) loses digits near 0
    for point, ours, exact in zip(points, got, truth, strict=True):
        assert ours == pytest.approx(exact, rel=2e-13, abs=2e-16 * abs(point) if "shrink" in name else 0)


@pytest.mark.parametrize("name", NAMES)
def test_so_it_is_inside_of_a_formula(name: str) -> None:
    if name in ("identity", "linear"):
        return
    x = torch.tensor([0.25, 1.5], dtype=torch.float64)
    once, twice = activation(name).elementwise()(x), activation(f"2*{name}(x)").elementwise()(x)
    assert torch.allclose(twice, 2 * once, rtol=1e-14, atol=0)


def test_rrelu_is_torch_s_in_evaluation() -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    assert torch.allclose(activation("rrelu")(x), nn.RReLU().eval()(x), rtol=1e-15, atol=0)
    ours = activation("rrelu", lower=0.25, upper=0.5)(x)
    assert torch.allclose(ours, nn.RReLU(0.25, 0.5).eval()(x), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "glu", "sparsemax"])
def test_what_mixes_elements_is_said_to(name: str) -> None:
    with pytest.raises(Exception, match="mixes the elements"):
        activation(f"{name}(x)")

"""Rows of P and B and of torch.nn."""

from sympy import Integer, Piecewise, Rational, exp, pi, sqrt, tanh

from cosnb.symbolic.catalogue.formula import (
    Formula,
    a,
    alpha,
    beta,
    c,
    high,
    lambd,
    low,
    slope,
    theta,
    value,
    weight,
    x,
)
from cosnb.symbolic.functions import erfc, sigmoid, softplus

GELU = x * erfc(-x / sqrt(2)) / 2
_SELU_SCALE, _SELU_ALPHA = (
    Rational("1.0507009873554804934193349852946"),
    Rational("1.6732632423543772848170429916717"),
)
_GELU_SLOPE = sqrt(8 / pi)

ROWS = (
    Formula("sigmoid", "Sigmoid", sigmoid(x), "P, eq. (1); Verhulst 1845", ("logistic",), torch_name="Sigmoid"),
    Formula("tanh", "Tanh", tanh(x), "P, eq. (2)", torch_name="Tanh"),
    Formula(
        "relu",
        "ReLU",
        Piecewise((0, x <= 0), (x, True)),
        "P, eq. (3); Nair and Hinton 2010, Rectified linear units improve restricted Boltzmann machines",
        torch_name="ReLU",
    ),
    Formula(
        "relu6",
        "ReLU6",
        Piecewise((0, x <= 0), (6, x >= 6), (x, True)),
        "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10; MobileNet v2's activation (Sandler 2018)",
        torch_name="ReLU6",
    ),
    Formula(
        "swish",
        "Swish",
        x * sigmoid(beta * x),
        "P, eq. (4); Ramachandran, Zoph and Le 2017, arXiv:1710.05941; as SiLU: Elfwing, Uchibe and Doya 2018",
        ("silu",),
        {beta: Integer(1)},
        "SiLU",
    ),
    Formula("mish", "Mish", x * tanh(softplus(x)), "B, section 3.2; Misra 2019, arXiv:1908.08681", torch_name="Mish"),
    Formula(
        "cos",
        "CoS",
        x * sigmoid(x) + (sigmoid(a * x) - c) ** 2,
        "P, eq. (5), reconstructed from the text of P (section III); slope a = 5, shift c = 1/2",
        parameters={a: Integer(5), c: Rational(1, 2)},
    ),
    # The rest of torch.nn
    Formula(
        "elu",
        "ELU",
        Piecewise((alpha * (exp(x) - 1), x <= 0), (x, True)),
        "Clevert, Unterthiner and Hochreiter 2015, arXiv:1511.07289",
        parameters={alpha: Integer(1)},
        torch_name="ELU",
    ),
    Formula(
        "selu",
        "SELU",
        Piecewise((_SELU_SCALE * _SELU_ALPHA * (exp(x) - 1), x <= 0), (_SELU_SCALE * x, True)),
        "Klambauer, Unterthiner, Mayr and Hochreiter 2017, arXiv:1706.02515",
        torch_name="SELU",
    ),
    Formula(
        "celu",
        "CELU",
        Piecewise((alpha * (exp(x / alpha) - 1), x <= 0), (x, True)),
        "Barron 2017, arXiv:1704.07483",
        parameters={alpha: Integer(1)},
        torch_name="CELU",
    ),
    Formula(
        # As torch.nn.GELU; jax.nn.gelu is the next row but for approximate=False
        "gelu",
        "GELU",
        GELU,
        "Hendrycks and Gimpel 2016, arXiv:1606.08415",
        ("gelu_python", "gelu_erf"),
        torch_name="GELU",
    ),
    Formula(
        # x/2·(1 + tanh(y)) is x·sigmoid(2y), which does not cancel in the left tail
        "gelu_tanh",
        "GELU (tanh)",
        x * sigmoid(_GELU_SLOPE * (x + Rational("0.044715") * x**3)),
        "Hendrycks and Gimpel 2016, arXiv:1606.08415; torch.nn.GELU(approximate='tanh')",
        ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate", "gelu_fast"),
    ),
    Formula(
        "leaky_relu",
        "Leaky ReLU",
        Piecewise((slope * x, x <= 0), (x, True)),
        "Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models",
        ("leakyrelu",),
        {slope: Rational(1, 100)},
        "LeakyReLU",
    ),
    Formula(
        "prelu",
        "PReLU",
        Piecewise((weight * x, x <= 0), (x, True)),
        "He, Zhang, Ren and Sun 2015, arXiv:1502.01852; here one slope for all channels",
        parameters={weight: Rational(1, 4)},
        torch_name="PReLU",
    ),
    Formula(
        "hardsigmoid",
        "Hard sigmoid",
        Piecewise((0, x <= -3), (1, x >= 3), (x / 6 + Rational(1, 2), True)),
        "Courbariaux, Bengio and David 2015, arXiv:1511.00363; with slope 1/6: Howard et al. 2019, arXiv:1905.02244",
        ("hard_sigmoid",),
        torch_name="Hardsigmoid",
    ),
    Formula(
        "hardswish",
        "Hard Swish",
        Piecewise((0, x <= -3), (x, x >= 3), (x * (x + 3) / 6, True)),
        "Howard et al. 2019, arXiv:1905.02244",
        ("hard_swish", "hardsilu", "hard_silu"),
        torch_name="Hardswish",
    ),
    Formula(
        "hardtanh",
        "Hard tanh",
        Piecewise((low, x <= low), (high, x >= high), (x, True)),
        "Collobert 2004, Large scale machine learning (thesis, Université Paris 6)",
        ("hard_tanh",),
        {low: Integer(-1), high: Integer(1)},
        "Hardtanh",
    ),
    Formula(
        "hardshrink",
        "Hard shrinkage",
        Piecewise((x, x < -lambd), (0, x <= lambd), (x, True)),
        "Donoho and Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81",
        ("hard_shrink",),
        {lambd: Rational(1, 2)},
        "Hardshrink",
    ),
    Formula(
        "softshrink",
        "Soft shrinkage",
        Piecewise((x + lambd, x < -lambd), (0, x <= lambd), (x - lambd, True)),
        "Donoho and Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81",
        ("soft_shrink",),
        {lambd: Rational(1, 2)},
        "Softshrink",
    ),
    Formula(
        "tanhshrink",
        "Tanh shrinkage",
        x - tanh(x),
        "torch.nn.Tanhshrink; before it in Torch7 (Collobert, Kavukcuoglu and Farabet 2011)",
        ("tanh_shrink",),
        torch_name="Tanhshrink",
    ),
    Formula(
        "threshold",
        "Threshold",
        Piecewise((value, x <= theta), (x, True)),
        "Konda, Memisevic and Krueger 2014, arXiv:1402.3337 (value 0, theta 1); torch.nn.Threshold has no defaults",
        ("thresholded_relu",),
        {theta: Integer(1), value: Integer(0)},
    ),
    Formula(
        "softplus",
        "Softplus",
        softplus(beta * x) / beta,
        "Dugas, Bengio, Bélisle, Nadeau and Garcia 2000, Incorporating second-order functional knowledge for better "
        "option pricing; PyTorch's is x itself above beta·x = 20",
        ("soft_plus",),
        {beta: Integer(1)},
        "Softplus",
    ),
    Formula(
        "logsigmoid",
        "Log-sigmoid",
        -softplus(-x),
        "torch.nn.LogSigmoid; the log-likelihood of logistic regression (Cox 1958)",
        ("log_sigmoid",),
        torch_name="LogSigmoid",
    ),
    Formula(
        "softsign",
        "Softsign",
        Piecewise((x / (1 - x), x < 0), (x / (1 + x), True)),
        "Elliott 1993, A better activation function for artificial neural networks; Bergstra, Desjardins, Lamblin and "
        "Bengio 2009, Quadratic polynomials learn better image features",
        ("soft_sign", "elliott"),
        torch_name="Softsign",
    ),
)

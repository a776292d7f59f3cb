"""The catalogue: one row an activation, its formula as a SymPy expression and where the formula comes from.

Where a function kinks, its derivative there is the one of PyTorch's own function; the last piece holds x, since NaN, of
which no comparison holds, falls to it. `Abs` and `sign` are avoided: SymPy's derivative of sign(x) is 2·δ(x).
"""

import difflib
from dataclasses import dataclass, field

import sympy
from sympy import Integer, Piecewise, Rational, cos, exp, log, pi, sin, sqrt, tanh

from cosnb.errors import CosnbError
from cosnb.symbolic.functions import erfc, sigmoid, softplus

x = sympy.Symbol("x", real=True)
a, b, c, alpha, beta, lambd, omega, theta, value = sympy.symbols("a b c alpha beta lambd omega theta value", real=True)
slope, weight, low, high = sympy.symbols("negative_slope weight min_val max_val", real=True)
scale, bias = sympy.symbols("scale bias", real=True)

# How a formula writes the parameters whose names, which are those of PyTorch's arguments, would be set as products.
SIGNS = {
    lambd: sympy.Symbol("lambda", real=True),
    value: sympy.Symbol("v", real=True),
    slope: sympy.Symbol("s", real=True),
    weight: sympy.Symbol("w", real=True),
    low: sympy.Symbol("m", real=True),
    high: sympy.Symbol("M", real=True),
    scale: sympy.Symbol("s", real=True),
    bias: sympy.Symbol("b", real=True),
}


@dataclass(frozen=True)
class Formula:
    """One activation: `expr` in the real symbol `x` and in `parameters` (symbol → default), with its `source`.

    `torch_name` is the class of torch.nn that computes the same with its default arguments, where there is one.
    """

    name: str
    title: str
    expr: sympy.Expr
    source: str
    aliases: tuple[str, ...] = ()
    parameters: dict[sympy.Symbol, sympy.Expr] = field(default_factory=dict)
    torch_name: str = ""


_GELU = x * erfc(-x / sqrt(2)) / 2
_SELU_SCALE, _SELU_ALPHA = (
    Rational("1.0507009873554804934193349852946"),
    Rational("1.6732632423543772848170429916717"),
)
_GELU_SLOPE = sqrt(8 / pi)

_ROWS = (
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
    Formula("gelu", "GELU", _GELU, "Hendrycks and Gimpel 2016, arXiv:1606.08415", torch_name="GELU"),
    Formula(
        # x/2·(1 + tanh(y)) is x·sigmoid(2y), which does not cancel in the left tail
        "gelu_tanh",
        "GELU (tanh)",
        x * sigmoid(_GELU_SLOPE * (x + Rational("0.044715") * x**3)),
        "Hendrycks and Gimpel 2016, arXiv:1606.08415; torch.nn.GELU(approximate='tanh')",
        ("gelu_new", "gelu_pytorch_tanh"),
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
    # Kin of Swish and Mish
    Formula(
        "eswish",
        "E-Swish",
        beta * x * sigmoid(x),
        "Alcaide 2018, arXiv:1801.07145",
        ("e_swish",),
        {beta: Rational(5, 4)},
    ),
    Formula(
        "quick_gelu",
        "Quick GELU",
        x * sigmoid(Rational("1.702") * x),
        "Hendrycks and Gimpel 2016, arXiv:1606.08415",
        ("quickgelu",),
    ),
    Formula("tanhexp", "TanhExp", x * tanh(exp(x)), "Liu and Di 2020, arXiv:2003.09855", ("telu",)),
    Formula(
        "serf",
        "Serf",
        x * sympy.erf(softplus(x)),
        "Nag, Bhattacharyya, Mukherjee and Kundu 2021, arXiv:2108.09598",
    ),
    Formula("phish", "Phish", x * tanh(_GELU), "Naveen 2022, Phish, TechRxiv, doi:10.36227/techrxiv.17283824"),
    Formula(
        "logish",
        "Logish",
        x * log(1 + sigmoid(x)),
        "Zhu, Zeng, Liu and Zhang 2021, Logish: a new nonlinear nonmonotonic activation function for convolutional "
        "neural network, Neurocomputing 458, doi:10.1016/j.neucom.2021.06.067",
    ),
    Formula(
        # x·tanh(ln(1 + σ)); (y² − 1) / (y² + 1) with y = 1 + σ, so that nothing cancels where σ is small
        "smish",
        "Smish",
        x * sigmoid(x) * (2 + sigmoid(x)) / (1 + (1 + sigmoid(x)) ** 2),
        "Wang, Ren and Wang 2022, Smish: a novel activation function for deep learning methods, Electronics 11",
    ),
    Formula(
        "dsilu",
        "dSiLU",
        sigmoid(x) * (1 + x * sigmoid(-x)),
        "Elfwing, Uchibe and Doya 2017, arXiv:1702.03118",
        ("d_silu",),
    ),
    Formula(
        "sinlu",
        "SinLU",
        (x + a * sin(b * x)) * sigmoid(x),
        "Paul, Bandyopadhyay, Yoon, Geem and Sarkar 2022, SinLU: sinu-sigmoidal linear unit, Mathematics 10",
        parameters={a: Integer(1), b: Integer(1)},
    ),
    Formula("lisht", "LiSHT", x * tanh(x), "Roy et al. 2019, arXiv:1901.05894"),
    # Kin of ReLU
    Formula(
        "squareplus",
        "Squareplus",
        (x + sqrt(x**2 + b)) / 2,
        "Barron 2021, arXiv:2112.11687",
        parameters={b: Integer(4)},
    ),
    Formula(
        "relu_squared",
        "Squared ReLU",
        Piecewise((0, x <= 0), (x**2, True)),
        "So et al. 2021 (Primer), arXiv:2109.08668",
        ("squared_relu", "relu2"),
    ),
    Formula(
        "star_relu",
        "StarReLU",
        Piecewise((bias, x <= 0), (scale * x**2 + bias, True)),
        "Yu et al. 2022, arXiv:2210.13452",
        ("starrelu",),
        {scale: Rational("0.8944"), bias: Rational("-0.4472")},
    ),
    Formula(
        "smelu",
        "SmeLU",
        Piecewise((0, x <= -beta), (x, x >= beta), ((x + beta) ** 2 / (4 * beta), True)),
        "Shamir, Lin and Coviello 2020, arXiv:2010.09931",
        parameters={beta: Integer(1)},
    ),
    Formula(
        "isrlu",
        "ISRLU",
        Piecewise((x / sqrt(1 + alpha * x**2), x < 0), (x, True)),
        "Carlile, Delamarter, Kinney, Marti and Whitney 2017, arXiv:1710.09967",
        parameters={alpha: Integer(1)},
    ),
    Formula(
        "nlrelu",
        "NLReLU",
        Piecewise((0, x <= 0), (log(1 + beta * x), True)),
        "Liu et al. 2019, arXiv:1908.03682",
        parameters={beta: Integer(1)},
    ),
    # Kin of tanh, and waves
    Formula(
        "lecun_tanh",
        "LeCun's tanh",
        Rational("1.7159") * tanh(2 * x / 3),
        "LeCun, Bottou, Orr and Müller 1998, Efficient BackProp",
    ),
    Formula("arctan", "Arctan", sympy.atan(x), "torch.atan; the inverse tangent as a squashing function", ("atan",)),
    Formula(
        "isru",
        "ISRU",
        x / sqrt(1 + alpha * x**2),
        "Carlile, Delamarter, Kinney, Marti and Whitney 2017, arXiv:1710.09967",
        parameters={alpha: Integer(1)},
    ),
    Formula(
        "symlog",
        "Symlog",
        Piecewise((-log(1 - x), x < 0), (log(1 + x), True)),
        "Hafner et al. 2023 (DreamerV3), arXiv:2301.04104",
    ),
    Formula(
        # (√(x² + 1) − 1) / 2 + x without the cancellation near 0
        "bent_identity",
        "Bent identity",
        x + x**2 / (2 * (sqrt(x**2 + 1) + 1)),
        "author unknown; known from Wikipedia's article on activation functions",
    ),
    Formula(
        "snake",
        "Snake",
        x + sin(a * x) ** 2 / a,
        "Ziyin, Hartwig and Ueda 2020, arXiv:2006.08195",
        parameters={a: Integer(1)},
    ),
    Formula("gcu", "GCU", x * cos(x), "Noel et al. 2021 (growing cosine unit), arXiv:2108.12943"),
    Formula(
        "sinusoid",
        "Sinusoid",
        sin(omega * x),
        "Sitzmann et al. 2020 (SIREN, omega = 30), arXiv:2006.09661",
        ("sine", "sin"),
        {omega: Integer(1)},
    ),
    Formula(
        "gaussian",
        "Gaussian",
        exp(-(x**2)),
        "Broomhead and Lowe 1988, Multivariable functional interpolation and adaptive networks, Complex Systems 2",
    ),
)
CATALOGUE: dict[str, Formula] = {row.name: row for row in _ROWS}
_BY_NAME = CATALOGUE | {alias: row for row in _ROWS for alias in row.aliases}


def names() -> tuple[str, ...]:
    """Return every name that `get` knows, aliases too, in alphabetical order."""
    return tuple(sorted(_BY_NAME))


def get(name: str) -> Formula:
    """Return the catalogue's row called `name` (or an alias of it); CosnbError names the known ones."""
    row = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if row is None:
        shown = str(name)[:60]
        near = difflib.get_close_matches(shown.lower(), _BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CosnbError(f"unknown activation {shown!r}: {hint}the catalogue has {', '.join(names())}")
    return row

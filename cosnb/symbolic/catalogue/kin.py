"""Rows that torch.nn lacks: kin of Swish and Mish, of ReLU, and of tanh."""

import sympy
from sympy import Integer, Piecewise, Rational, cos, exp, log, sin, sqrt, tanh

from cosnb.symbolic.catalogue.formula import (
    Formula,
    a,
    alpha,
    b,
    beta,
    bias,
    lower,
    omega,
    scale,
    upper,
    x,
)
from cosnb.symbolic.catalogue.of_torch import GELU
from cosnb.symbolic.functions import sigmoid, softplus

ROWS = (
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
    Formula("phish", "Phish", x * tanh(GELU), "Naveen 2022, Phish, TechRxiv, doi:10.36227/techrxiv.17283824"),
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
        "Shamir, Lin and Coviello 2020, arXiv:2010.09931; with beta 1 JAX's sparse_plus",
        ("sparse_plus",),
        {beta: Integer(1)},
    ),
    Formula(
        "hard_mish",
        "Hard Mish",
        Piecewise((0, x <= -2), (x, x >= 0), (x * (x + 2) / 2, True)),
        "Misra, H-Mish (software, github.com/digantamisra98/H-Mish); timm's hard_mish",
        ("hardmish",),
    ),
    Formula(
        "rrelu",
        "RReLU (in evaluation)",
        Piecewise(((lower + upper) / 2 * x, x <= 0), (x, True)),
        "Xu, Wang, Chen and Li 2015, arXiv:1505.00853; in training the slope is drawn between lower and upper",
        parameters={lower: Rational(1, 8), upper: Rational(1, 3)},
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
        "sparse_sigmoid",
        "Sparse sigmoid",
        Piecewise((0, x <= -1), (1, x >= 1), ((x + 1) / 2, True)),
        "Martins and Astudillo 2016 (sparsemax of x and 0, at 2x), arXiv:1602.02068; JAX's sparse_sigmoid",
    ),
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

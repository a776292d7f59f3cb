"""Formula texts of the survey of 400 activations (Kunc and Kléma 2024, arXiv:2402.09092), as people first type them.

Each with its parameters and once more by hand in mpmath: at kinks the test compares values alone, so that an oracle
may take either side. `REFUSED` are those that are not taken, with a part of the answer.
"""

from collections.abc import Callable
from typing import Any

from mpmath import mp, mpf

Oracle = Callable[[mpf], Any]


def sg(v: mpf) -> mpf:
    return 1 / (1 + mp.exp(-v))


def sp(v: mpf) -> mpf:
    return mp.log(1 + mp.exp(v))


def pos(v: mpf) -> mpf:
    return max(v, mpf(0))


def phi(v: mpf) -> mpf:
    return mp.erfc(-v / mp.sqrt(2)) / 2


def dec(number: str) -> mpf:
    return mpf(number)


def sqnl(v: mpf) -> mpf:
    return mpf(1) if v > 2 else v - v**2 / 4 if v >= 0 else v + v**2 / 4 if v >= -2 else mpf(-1)


def log_sqnl(v: mpf) -> mpf:
    return mpf(1) if v > 2 else (v - v**2 / 4) / 2 + mpf(1) / 2 if v >= 0 else (v + v**2 / 4) / 2 + mpf(1) / 2


def logistic_map(v: mpf) -> mpf:
    y = sg(v)
    for _ in range(3):
        y = 4 * y * (1 - y)
    return y


def hermite(v: mpf) -> mpf:
    return 1 / mp.sqrt(2 * mp.pi) + v / 2 + (v**2 - 1) / (2 * mp.sqrt(mp.pi)) - (v**4 - 6 * v**2 + 3) / mp.sqrt(192)


def soft_exponential(a: mpf, v: mpf) -> mpf:
    if a == 0:
        return v
    return -mp.log(1 - a * (v + a)) / a if a < 0 else mp.expm1(a * v) / a + a


# family: text, parameters, oracle
TEXTS: dict[str, tuple[str, dict[str, float], Oracle]] = {
    # Sigmoids
    "Rootsig": ("a*x/(1 + sqrt(1 + (a*x)**2))", {"a": 2}, lambda v: 2 * v / (1 + mp.sqrt(1 + 4 * v**2))),
    "bimodal derivative": (
        "0.5*(1/(1+exp(-x)) + 1/(1+exp(-x-b)))",
        {"b": 2},
        lambda v: (sg(v) + sg(v + 2)) / 2,
    ),
    "ISRU": ("x/sqrt(1 + a*x^2)", {"a": 3}, lambda v: v / mp.sqrt(1 + 3 * v * v)),
    "Elliott": ("0.5*x/(1 + abs(x)) + 0.5", {}, lambda v: v / (1 + abs(v)) / 2 + 0.5),
    "cLogLog": ("1 - exp(-exp(x))", {}, lambda v: -mp.expm1(-mp.exp(v))),
    "cLogLogm": ("1 - 2*exp(-0.7*exp(x))", {}, lambda v: 1 - 2 * mp.exp(-dec("0.7") * mp.exp(v))),
    "LogLog": ("exp(-exp(-x))", {}, lambda v: mp.exp(-mp.exp(-v))),
    "Aranda-Ordaz": ("1 - (1 + a*exp(x))**(-1/a)", {"a": 0.5}, lambda v: 1 - (1 + mp.exp(v) / 2) ** -2),
    "Aranda-Ordaz, a = 3": ("1 - (1 + a*exp(x))**(-1/a)", {"a": 3}, lambda v: 1 - (1 + 3 * mp.exp(v)) ** (-mpf(1) / 3)),
    "sigmoid-algebraic": (
        "1/(1 + exp(-x*(1 + a*abs(x))/(1 + abs(x)*(1 + a*abs(x)))))",
        {"a": 1},
        lambda v: sg(v * (1 + abs(v)) / (1 + abs(v) * (1 + abs(v)))),
    ),
    "multi-step sigmoid": (
        "sigmoid(x) + sigmoid(x - a) + sigmoid(x - b)",
        {"a": 4, "b": 8},
        lambda v: sg(v) + sg(v - 4) + sg(v - 8),
    ),
    "new sigmoid": (
        "(exp(x) - exp(-x))/sqrt(2*(exp(2*x) + exp(-2*x)))",
        {},
        lambda v: mp.sinh(v) / mp.sqrt(mp.cosh(2 * v)),
    ),
    "HCAF": (
        "4*(4*(4*sigmoid(x)*(1-sigmoid(x)))*(1-4*sigmoid(x)*(1-sigmoid(x))))*(1 - 4*(4*sigmoid(x)*(1-sigmoid(x)))"
        "*(1-4*sigmoid(x)*(1-sigmoid(x))))",
        {},
        logistic_map,
    ),
    "Richards": (
        "x*(A + (K - A)/(C + Q*exp(-B*x))**(1/nu))",
        {"A": 0, "K": 1, "C": 1, "Q": 1, "B": 2, "nu": 0.5},
        lambda v: v * sg(2 * v) ** 2,
    ),
    "ARiA2": ("x*(1 + exp(-x))**(-1.5)", {}, lambda v: v * sg(v) ** mpf(1.5)),
    "Gudermannian": ("2*atan(tanh(x/2))", {}, lambda v: 2 * mp.atan(mp.tanh(v / 2))),
    "penalized tanh": ("where(x >= 0, tanh(x), tanh(x)/a)", {"a": 4}, lambda v: mp.tanh(v) / (1 if v >= 0 else 4)),
    "SQNL": ("where(x > 2, 1, where(x >= 0, x - x**2/4, where(x >= -2, x + x**2/4, -1)))", {}, sqnl),
    "Log-SQNL": (
        "where(x > 2, 1, where(x >= 0, x/2 - x**2/8 + 1/2, where(x >= -2, x/2 + x**2/8 + 1/2, 0)))",
        {},
        lambda v: log_sqnl(v) if v >= -2 else mpf(0),
    ),
    "probit by tanh": (
        "(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2",
        {},
        lambda v: sg(mp.sqrt(8 / mp.pi) * (v + dec("0.044715") * v**3)),
    ),
    "logit": ("log((1+x)/(1-x))/2", {}, lambda v: mp.atanh(v)),
    "arcsin": ("asin(x)", {}, lambda v: mp.asin(v)),
    "arccos": ("acos(x)", {}, lambda v: mp.acos(v)),
    "acosh": ("acosh(x)", {}, lambda v: mp.acosh(v)),
    "arctanh, NumPy's name": ("np.arctanh(x)", {}, lambda v: mp.atanh(v)),
    # Kin of Swish
    "Swish": ("x*sigmoid(a*x)", {"a": 1.5}, lambda v: v * sg(1.5 * v)),
    "E-Swish": ("a*x*sigmoid(x)", {"a": 1.375}, lambda v: 1.375 * v * sg(v)),
    "LogLogish": ("x*(1 - exp(-exp(x)))", {}, lambda v: -v * mp.expm1(-mp.exp(v))),
    "ExpExpish": ("x*exp(-exp(-x))", {}, lambda v: v * mp.exp(-mp.exp(-v))),
    "GoLU": ("x*a*exp(-b*exp(-c*x))", {"a": 1, "b": 1, "c": 1}, lambda v: v * mp.exp(-mp.exp(-v))),
    "Gish": ("x*ln(2 - exp(-exp(x)))", {}, lambda v: v * mp.log1p(-mp.expm1(-mp.exp(v)))),
    "Logish": ("x*log(1 + sigmoid(x))", {}, lambda v: v * mp.log1p(sg(v))),
    "Phish": ("x*tanh(gelu(x))", {}, lambda v: v * mp.tanh(v * phi(v))),
    "Smish": ("a*x*tanh(log(1 + sigmoid(b*x)))", {"a": 1, "b": 1}, lambda v: v * mp.tanh(mp.log1p(sg(v)))),
    "TeLU": ("x*tanh(exp(x))", {}, lambda v: v * mp.tanh(mp.exp(v))),
    "Mish, written out": ("x*tanh(ln(1 + e^x))", {}, lambda v: v * mp.tanh(sp(v))),
    "Swim": ("x*(1 + a*x/sqrt(1 + x**2))/2", {"a": 0.5}, lambda v: v * (1 + v / mp.sqrt(1 + v**2) / 2) / 2),
    "PFLU": ("x/2*(1 + x/sqrt(1 + x**2))", {}, lambda v: v / 2 * (1 + v / mp.sqrt(1 + v**2))),
    "FPFLU": ("where(x >= 0, x, x + x**2/sqrt(1 + x**2))", {}, lambda v: v if v >= 0 else v + v**2 / mp.sqrt(1 + v**2)),
    "Suish": ("max(x, x*exp(-abs(x)))", {}, lambda v: max(v, v * mp.exp(-abs(v)))),
    "ErfAct": ("x*erf(a*exp(b*x))", {"a": 0.75, "b": 0.5}, lambda v: v * mp.erf(0.75 * mp.exp(v / 2))),
    "Pserf": ("x*erf(a*log(1 + exp(b*x)))", {"a": 1.25, "b": 0.75}, lambda v: v * mp.erf(1.25 * sp(0.75 * v))),
    "symmetrical GELU": ("a*x*erf(x/sqrt(2))", {"a": 2}, lambda v: 2 * v * mp.erf(v / mp.sqrt(2))),
    "GELU by erf": ("x/2*(1 + erf(x/sqrt(2)))", {}, lambda v: v * phi(v)),
    "erfc": ("x*(1 - erfc(x)/2)", {}, lambda v: v * mp.erfc(-v) / 2),
    "CaLU": ("x*(arctan(x)/pi + 1/2)", {}, lambda v: v * (mp.atan(v) / mp.pi + mpf(1) / 2)),
    "LaLU": (
        "where(x >= 0, x*(1 - exp(-x)/2), x*exp(x)/2)",
        {},
        lambda v: v * (1 - mp.exp(-v) / 2) if v >= 0 else v * mp.exp(v) / 2,
    ),
    "CoLU": ("x/(1 - x*exp(-(x + exp(x))))", {}, lambda v: v / (1 - v * mp.exp(-(v + mp.exp(v))))),
    "EANAF": ("x*exp(x)/(exp(x) + 2)", {}, lambda v: v / (1 + 2 * mp.exp(-v))),
    "SinLU": ("(x + a*sin(b*x))*sigmoid(x)", {"a": 1, "b": 2}, lambda v: (v + mp.sin(2 * v)) * sg(v)),
    "SinSig": ("x*sin(pi/2*sigmoid(x))", {}, lambda v: v * mp.sin(mp.pi / 2 * sg(v))),
    "SechSig": ("(x + sech(x))*sigmoid(x)", {}, lambda v: (v + mp.sech(v)) * sg(v)),
    "ReHSec": ("x*sech(x)", {}, lambda v: v * mp.sech(v)),
    "E-Tanh": ("a*exp(x)*tanh(x)", {"a": 0.5}, lambda v: mp.exp(v) * mp.tanh(v) / 2),
    "σ of a paper": ("x·σ(x)", {}, lambda v: v * sg(v)),
    "LaTeX": (r"\frac{x}{1+e^{-x}}", {}, lambda v: v * sg(v)),
    "from code": ("x*torch.tanh(F.softplus(x))", {}, lambda v: v * mp.tanh(sp(v))),
    "from NumPy": ("x*np.tanh(np.log(1+np.exp(x)))", {}, lambda v: v * mp.tanh(sp(v))),
    # Kin of ReLU
    "ISRLU": ("where(x >= 0, x, x/sqrt(1 + a*x**2))", {"a": 2}, lambda v: v if v >= 0 else v / mp.sqrt(1 + 2 * v**2)),
    "SoftModulusQ": (
        "where(abs(x) <= 1, x**2*(2 - abs(x)), abs(x))",
        {},
        lambda v: v**2 * (2 - abs(v)) if abs(v) <= 1 else abs(v),
    ),
    "SoftModulusT": ("x*tanh(x/a)", {"a": 0.01}, lambda v: v * mp.tanh(100 * v)),
    "SQLU": (
        "where(x > 0, x + x**2/32, where(x >= -2, x + x**2/2, 0))",
        {},
        lambda v: v + v**2 / 32 if v > 0 else v + v**2 / 2 if v >= -2 else mpf(0),
    ),
    "LeLeLU": ("a*where(x >= 0, x, 0.01*x)", {"a": 3}, lambda v: 3 * v if v >= 0 else 3 * v / 100),
    "PLU": (
        "max(a*(x + c) - c, min(a*(x - c) + c, x))",
        {"a": 0.1, "c": 1},
        lambda v: max((v + 1) / 10 - 1, min((v - 1) / 10 + 1, v)),
    ),
    "S-shaped ReLU": (
        "where(x >= tr, tr + ar*(x - tr), where(x > tl, x, tl + al*(x - tl)))",
        {"tr": 2, "ar": 0.5, "tl": -1, "al": 0.25},
        lambda v: 2 + (v - 2) / 2 if v >= 2 else v if v > -1 else -1 + (v + 1) / 4,
    ),
    "APL": (
        "max(0, x) + a1*max(0, -x + b1) + a2*max(0, -x + b2) + a3*max(0, -x + b3)",
        {"a1": 0.5, "b1": 1, "a2": -0.25, "b2": -1, "a3": 0.125, "b3": 0},
        lambda v: pos(v) + pos(1 - v) / 2 - pos(-v - 1) / 4 + pos(-v) / 8,
    ),
    "SPLASH": (
        "relu(x-0) + a*relu(x-1) + b*relu(x-2) + a*relu(-x-1) + b*relu(-x-2)",
        {"a": 0.5, "b": -0.25},
        lambda v: pos(v) + pos(v - 1) / 2 - pos(v - 2) / 4 + pos(-v - 1) / 2 - pos(-v - 2) / 4,
    ),
    "MeLU": (
        "where(x>0,x,0.01*x) + c1*max(1 - abs(x - 0.5), 0) + c2*max(2 - abs(x + 1), 0)",
        {"c1": 0.5, "c2": 0.25},
        lambda v: (v if v > 0 else v / 100) + pos(1 - abs(v - 0.5)) / 2 + pos(2 - abs(v + 1)) / 4,
    ),
    "LSReLU": (
        "where(x <= 0, x/(1 + abs(x)), where(x <= b, x, log(a*x + 1) + abs(log(a*b + 1) - b)))",
        {"a": 1, "b": 2},
        lambda v: v / (1 + abs(v)) if v <= 0 else v if v <= 2 else mp.log1p(v) + abs(mp.log(3) - 2),
    ),
    "SignReLU": ("where(x >= 0, x, a*x/(abs(x) + 1))", {"a": 2}, lambda v: v if v >= 0 else 2 * v / (1 - v)),
    "flexible ReLU": ("relu(x) + b", {"b": -0.5}, lambda v: pos(v) - 0.5),
    "bounded ReLU": ("clip(x, 0, 6)", {}, lambda v: min(pos(v), mpf(6))),
    "clamp": ("torch.clamp(x, min=-1, max=1)", {}, lambda v: max(min(v, mpf(1)), mpf(-1))),
    "mReLU": ("min(max(0, 1 - x), max(0, 1 + x))", {}, lambda v: min(pos(1 - v), pos(1 + v))),
    "ReLU squared": ("ReLU(x)**2", {}, lambda v: pos(v) ** 2),
    "NLReLU": ("ln(a*max(0, x) + 1)", {"a": 2}, lambda v: mp.log1p(2 * pos(v))),
    "PoLU": ("where(x >= 0, x, (1 - x)**(-n) - 1)", {"n": 2}, lambda v: v if v >= 0 else (1 - v) ** -2 - 1),
    "PoLU, n = 1.5": (
        "where(x >= 0, x, (1 - x)**(-n) - 1)",
        {"n": 1.5},
        lambda v: v if v >= 0 else (1 - v) ** mpf(-1.5) - 1,
    ),
    "RePU": ("max(0, x)**k", {"k": 3}, lambda v: pos(v) ** 3),
    "ternary": ("x if x > 0 else 0.01*x", {}, lambda v: v if v > 0 else v / 100),
    "SELU": (
        "1.0507009873554805*where(x > 0, x, 1.6732632423543772*exp(x) - 1.6732632423543772)",
        {},
        lambda v: dec("1.0507009873554805") * (v if v > 0 else dec("1.6732632423543772") * mp.expm1(v)),
    ),
    "ELiSH": (
        "where(x >= 0, x/(1 + exp(-x)), (exp(x) - 1)/(1 + exp(-x)))",
        {},
        lambda v: (v if v >= 0 else mp.expm1(v)) * sg(v),
    ),
    "HardELiSH": (
        "where(x >= 0, x*max(0, min(1, (x+1)/2)), (exp(x) - 1)*max(0, min(1, (x+1)/2)))",
        {},
        lambda v: (v if v >= 0 else mp.expm1(v)) * pos(min(mpf(1), (v + 1) / 2)),
    ),
    "RSigELU": (
        "where(x > 1, x*sigmoid(x)*a + x, where(x >= 0, x, a*(exp(x) - 1)))",
        {"a": 0.5},
        lambda v: v * sg(v) / 2 + v if v > 1 else v if v >= 0 else mp.expm1(v) / 2,
    ),
    "Hexpo": (
        "where(x >= 0, -a*(exp(-x/b) - 1), c*(exp(x/d) - 1))",
        {"a": 2, "b": 1, "c": 1, "d": 2},
        lambda v: -2 * mp.expm1(-v) if v >= 0 else mp.expm1(v / 2),
    ),
    "HyperSinh": ("where(x > 0, sinh(x)/3, x**3/4)", {}, lambda v: mp.sinh(v) / 3 if v > 0 else v**3 / 4),
    "SineReLU": (
        "where(x > 0, x, eps*(sin(x) - cos(x)))",
        {"eps": 0.0025},
        lambda v: v if v > 0 else (mp.sin(v) - mp.cos(v)) / 400,
    ),
    "soft exponential, a < 0": (
        "where(a < 0, -log(1 - a*(x + a))/a, where(a > 0, (exp(a*x) - 1)/a + a, x))",
        {"a": -0.5},
        lambda v: soft_exponential(mpf(-0.5), v),
    ),
    "soft exponential, a = 0": (
        "where(a == 0, x, where(a < 0, -log(1 - a*(x + a))/a, (exp(a*x) - 1)/a + a))",
        {"a": 0},
        lambda v: soft_exponential(mpf(0), v),
    ),
    "soft exponential, a > 0": (
        "where(a == 0, x, where(a < 0, -log(1 - a*(x + a))/a, (exp(a*x) - 1)/a + a))",
        {"a": 0.25},
        lambda v: soft_exponential(mpf(0.25), v),
    ),
    # Kin of softplus
    "Softplus++": ("log(1 + exp(k*x)) + x/c - log(2)", {"k": 2, "c": 4}, lambda v: sp(2 * v) + v / 4 - mp.log(2)),
    "parametric softplus": ("a*(log(exp(x) + 1) - b)", {"a": 2, "b": 0.5}, lambda v: 2 * (sp(v) - 0.5)),
    "soft clipping": (
        "log((1 + exp(a*x))/(1 + exp(a*(x - 1))))/a",
        {"a": 5},
        lambda v: (sp(5 * v) - sp(5 * (v - 1))) / 5,
    ),
    "log2": ("log2(1 + exp(x))", {}, lambda v: sp(v) / mp.log(2)),
    "logaddexp": ("np.logaddexp(0, x)", {}, sp),
    "log cosh": ("log(cosh(x))", {}, lambda v: mp.log(mp.cosh(v))),
    "HcLSH": (
        "where(x >= 0, log(cosh(x) + x*cosh(x/2)), log(cosh(x)) + x)",
        {},
        lambda v: mp.log(mp.cosh(v) + v * mp.cosh(v / 2)) if v >= 0 else mp.log(mp.cosh(v)) + v,
    ),
    "bent identity": ("(sqrt(x**2 + 1) - 1)/2 + x", {}, lambda v: (mp.sqrt(v**2 + 1) - 1) / 2 + v),
    "squareplus": ("(x + sqrt(x^2 + b))/2", {"b": 4}, lambda v: (v + mp.sqrt(v**2 + 4)) / 2),
    "SoftRootSign": ("x/(x/a + exp(-x/b))", {"a": 2, "b": 3}, lambda v: v / (v / 2 + mp.exp(-v / 3))),
    # Waves, bumps, series
    "sine": ("sin(pi*x)", {}, lambda v: mp.sinpi(v)),
    "cosine": ("1 - cos(x)", {}, lambda v: 2 * mp.sin(v / 2) ** 2),
    "sinc": ("where(x == 0, 1, sin(pi*x)/(pi*x))", {}, lambda v: mp.sincpi(v)),
    "shifted sinc": (
        "pi/2*(sin(pi*(x - pi))/(pi*(x - pi)) - sin(pi*(x + pi))/(pi*(x + pi)))",
        {},
        lambda v: mp.pi / 2 * (mp.sincpi(v - mp.pi) - mp.sincpi(v + mp.pi)),
    ),
    "GCU": ("x*cos(x)", {}, lambda v: v * mp.cos(v)),
    "ASU": ("x*sin(x)", {}, lambda v: v * mp.sin(v)),
    "Snake": ("x + sin(a*x)^2/a", {"a": 2}, lambda v: v + mp.sin(2 * v) ** 2 / 2),
    "Gaussian": ("exp(-(x - c)**2/(2*s**2))", {"c": 1, "s": 2}, lambda v: mp.exp(-((v - 1) ** 2) / 8)),
    "wave": ("(1 - x**2)*exp(-a*x**2)", {"a": 1}, lambda v: (1 - v**2) * mp.exp(-(v**2))),
    "Mexican hat": (
        "2/(sqrt(3)*pi**(1/4))*(1 - x**2)*exp(-x**2/2)",
        {},
        lambda v: 2 / (mp.sqrt(3) * mp.root(mp.pi, 4)) * (1 - v**2) * mp.exp(-(v**2) / 2),
    ),
    "Fourier": (
        "a0 + a1*cos(w*x) + b1*sin(w*x) + a2*cos(2*w*x) + b2*sin(2*w*x)",
        {"a0": 0.5, "a1": 1, "b1": -0.5, "a2": 0.25, "b2": 2, "w": 0.5},
        lambda v: 0.5 + mp.cos(v / 2) - mp.sin(v / 2) / 2 + mp.cos(v) / 4 + 2 * mp.sin(v),
    ),
    "Padé": (
        "(a0 + a1*x + a2*x**2 + a3*x**3)/(1 + abs(b1*x + b2*x**2))",
        {"a0": 0.1, "a1": 0.5, "a2": 0.2, "a3": 0.05, "b1": 0.5, "b2": 0.25},
        lambda v: (dec("0.1") + v / 2 + dec("0.2") * v**2 + dec("0.05") * v**3) / (1 + abs(v / 2 + v**2 / 4)),
    ),
    "Hermite": ("1/sqrt(2*pi) + x/2 + (x**2-1)/(2*sqrt(pi)) - (x**4 - 6*x**2 + 3)/sqrt(192)", {}, hermite),
    "triangle wave": ("1 - acos(cos(pi*x))/pi", {}, lambda v: abs(v - 2 * mp.floor(v / 2) - 1)),
    "tangent": ("tan(x)", {}, mp.tan),
    # Roots, powers, logarithms
    "arctan by x": ("x*arctan(x)", {}, lambda v: v * mp.atan(v)),
    "arctan GR": ("arctan(x)*2/(1 + sqrt(2))", {}, lambda v: 2 * mp.atan(v) / (1 + mp.sqrt(2))),
    "arcsinh": ("arcsinh(x)", {}, mp.asinh),
    "modified arcsinh": ("1/12*asinh(x)*sqrt(abs(x))", {}, lambda v: mp.asinh(v) * mp.sqrt(abs(v)) / 12),
    "CombHsine": ("sinh(a*x) + asinh(a*x)", {"a": 0.5}, lambda v: mp.sinh(v / 2) + mp.asinh(v / 2)),
    "Arctid": ("atan(x)**2 - x", {}, lambda v: mp.atan(v) ** 2 - v),
    "signed root": ("sign(x)*sqrt(abs(x))", {}, lambda v: mp.sign(v) * mp.sqrt(abs(v))),
    "signed power": ("sign(x)*|x|^a", {"a": 0.75}, lambda v: mp.sign(v) * abs(v) ** mpf(0.75)),
    "cube root": ("cbrt(x)", {}, lambda v: mp.sign(v) * mp.cbrt(abs(v))),
    "fifth root": ("x**(1/5)", {}, lambda v: mp.root(v, 5) if v >= 0 else mp.nan),
    "2 to the x": ("2**x", {}, lambda v: mpf(2) ** v),
    "base": ("a**x/(1 + a**x)", {"a": 3}, lambda v: 1 / (1 + mpf(3) ** -v)),
    "log10": ("log10(1 + x**2)", {}, lambda v: mp.log1p(v**2) / mp.log(10)),
    "bionodal": (
        "where(x >= 0, log(x + 1) + 1, -log(-x + 1) + 1)",
        {},
        lambda v: mp.log1p(v) + 1 if v >= 0 else 1 - mp.log1p(-v),
    ),
    "Mishra": (
        "0.5*(x/(1+abs(x)))**2 + 0.5*x/(1+abs(x))",
        {},
        lambda v: (v / (1 + abs(v))) ** 2 / 2 + v / (1 + abs(v)) / 2,
    ),
    "absolute value": ("|x|", {}, abs),
    "triangle wave by a remainder": ("abs(x % 2 - 1)", {}, lambda v: abs(v - 2 * mp.floor(v / 2) - 1)),
    # Steps
    "staircase": ("floor(x)", {}, mp.floor),
    "QReLU": ("round(x*4)/4", {}, lambda v: mp.nint(4 * v) / 4),
    "binary step": ("heaviside(x)", {}, lambda v: mpf(v >= 0)),
    "bipolar": ("sign(x)", {}, mp.sign),
    "ternary step": (
        "where(x > a, 1, where(x < -a, -1, 0))",
        {"a": 0.5},
        lambda v: mpf(1) if v > 0.5 else mpf(-1) if v < -0.5 else mpf(0),
    ),
}
REFUSED = {
    "gamma": ("gamma(x)", "quotient of polynomials"),
    "log-gamma": ("lgamma(x)", "quotient of polynomials"),
    "Lambert W": ("lambertw(exp(x))", "quotient of polynomials"),
    "Bessel": ("besselj(0, x)", "quotient of polynomials"),
    "probit": ("erfinv(sigmoid(x))", r"tanh\(x/3\)"),
}

"""Straight-line programs: SymPy expressions as a list of assignments that compute each shared part once."""

from collections import Counter
from collections.abc import Callable, Mapping

import sympy

Template = str | Callable[..., str]


class Program:
    """Collects `name = expression` lines in one target's syntax; `templates` maps a SymPy head to a format string.

    Integer powers become repeated squarings; a subexpression met more than once gets a name.
    """

    def __init__(self, templates: Mapping[type, Template], number: Callable[[sympy.Expr], str] = str) -> None:
        self.templates = templates
        self.number = number
        self.lines: list[tuple[str, str]] = []
        self.names: dict[sympy.Expr, str] = {}
        self.uses: Counter[sympy.Expr] = Counter()
        self.temporaries = 0

    def count(self, *exprs: sympy.Expr) -> None:
        """Note how often each subexpression occurs, before anything is written."""
        for expr in exprs:
            self.uses[expr] += 1
            if self.uses[expr] == 1:
                self.count(*expr.args)

    def define(self, expr: sympy.Expr, name: str) -> str:
        """Write `name = expr` and use `name` for `expr` from now on."""
        code = _strip(self.render(expr))  # first: it may itself define names
        self.lines.append((name, code))
        self.names[expr] = name
        return name

    def _fresh(self) -> str:
        self.temporaries += 1
        return f"u{self.temporaries}"

    def write(self, expr: sympy.Expr) -> str:
        """Return code for `expr`: a name, a number or a parenthesised expression."""
        if expr in self.names:
            return self.names[expr]
        if expr.is_Symbol:
            return expr.name
        if expr.is_number:
            return self.number(expr)
        is_power = expr.is_Pow and expr.exp.is_Integer  # names itself
        is_negation = expr.is_Mul and len(expr.args) == 2 and expr.args[0] is sympy.S.NegativeOne
        if self.uses[expr] > 1 and not is_power and not is_negation:
            return self.define(expr, self._fresh())
        return self.render(expr)

    def render(self, expr: sympy.Expr) -> str:
        """Return code for the top operation of `expr`."""
        if expr.is_Add:
            positive = [arg for arg in expr.args if not arg.could_extract_minus_sign()]
            negative = [-arg for arg in expr.args if arg.could_extract_minus_sign()]
            head = " + ".join(self.write(arg) for arg in positive) if positive else "-" + self.write(negative.pop(0))
            return "(" + head + "".join(f" - {self.write(arg)}" for arg in negative) + ")"
        if expr.is_Mul:
            return self._product(expr)
        if expr.is_Pow and expr.exp.is_Integer:
            return self._power(expr.base, int(expr.exp))
        template = self.templates.get(expr.func)
        if template is None:
            raise KeyError(expr.func)
        if callable(template):
            return template(self, expr)
        return template.format(*(_strip(self.write(arg)) for arg in expr.args))

    def _product(self, expr: sympy.Expr) -> str:
        numerator, denominator = sympy.fraction(expr)
        if denominator != 1:
            return f"({self.write(numerator)} / {self.write(denominator)})"
        factors = list(expr.args)
        if factors[0] is sympy.S.NegativeOne:
            rest = sympy.Mul(*factors[1:], evaluate=False) if len(factors) > 2 else factors[1]
            return f"(-{self.write(rest)})"
        return "(" + " * ".join(self.write(arg) for arg in factors) + ")"

    def _power(self, base: sympy.Expr, n: int) -> str:
        if n < 0:
            return f"(1 / {self._power(base, -n)})"
        if n == 1:
            return self.write(base)
        power = base**n
        if power in self.names:
            return self.names[power]
        if not base.is_Symbol and base not in self.names:
            self.define(base, self._fresh())
        root = self.names.get(base, str(base))
        if n % 2:
            code = f"{self._power(base, n - 1)} * {root}"
        else:
            half = self._power(base, n // 2)
            code = f"{half} * {half}"
        name = f"{root}_{n}"
        self.lines.append((name, code))
        self.names[power] = name
        return name


def _strip(code: str) -> str:
    """Drop one pair of parentheses that encloses the whole of `code`."""
    if not code.startswith("("):
        return code
    depth = 0
    for i, character in enumerate(code):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return code[1:-1] if i == len(code) - 1 else code
    return code

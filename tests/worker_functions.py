"""What the worker process is asked to do in test_limited.py: functions that it imports by name."""

import os
import sys

import sympy

from cosnb.analysis import limited


class Awkward(Exception):  # noqa: N818
    """An exception that is pickled but cannot be made again from its pickle."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def endless() -> None:
    while True:
        pass


def identity(value: object) -> object:
    return value


def process_id() -> int:
    return os.getpid()


def modules() -> list[str]:
    return sorted(sys.modules)


def chatter() -> str:
    print("printed by Python", flush=True)
    os.write(1, b"written to descriptor 1\n")
    return "answer"


def crash() -> None:
    os._exit(3)


def fail(kind: str) -> None:
    raise Awkward(1, 2) if kind == "awkward" else ZeroDivisionError("by zero")


def allocate(size: int) -> int:
    return len(bytes(size))


def nested(seconds: float) -> str:
    try:
        limited.call(endless, seconds=seconds)
    except limited.TimeLimit:
        return "ended"
    return "returned"


def solve(expr: sympy.Expr, x: sympy.Symbol) -> list[sympy.Expr]:
    return sympy.solve(expr, x)

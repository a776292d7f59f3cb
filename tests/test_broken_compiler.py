"""A C compiler that is there but does not work: activations run all the same, and it is said once why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cosnb import activation
from cosnb.kernels import compiler

RUN = """
import logging, torch, cosnb
logging.basicConfig(level="WARNING", format="%(message)s")
x = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
for name in ("mish", "swish", "x*tanh(x)"):
    act = cosnb.activation(name)
    y = act(x)
    y.sum().backward()
    assert torch.allclose(y, act.elementwise()(x), rtol=1e-13)
    act(x.detach())
print("by C" if cosnb.activation("mish").kernel(0)._native else "by operations")
"""
pytestmark = pytest.mark.skipif(compiler.compiler() is None or os.name != "posix", reason="needs a C compiler to break")


def fake(folder: Path, body: str) -> str:
    """Return a compiler that runs `body`, in which $REAL is the one that works."""
    path = folder / "fakecc"
    path.write_text(f'#!/bin/sh\nREAL="{" ".join(compiler.compiler() or ())}"\n{body}\n')
    path.chmod(0o755)
    return str(path)


def run(folder: Path, command: str, code: str = RUN) -> tuple[str, list[str]]:
    """Return how it ran, and the lines that the log got."""
    env = dict(os.environ, CC=command, XDG_CACHE_HOME=str(folder / "cache"))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.splitlines()


@pytest.mark.long
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit 1", "exit code 1 and no word"),
        ("exit 0", "exit code 0 and no word"),
        ('exec $REAL -nostdinc "$@"', "error: "),
        ('echo "note: one"; echo "licence expired" >&2; exit 3', "licence expired"),
        ('for last; do out=$last; [ "$p" = -o ] && echo junk >"$last"; p=$last; done', "cannot be loaded"),
    ],
    ids=["false", "true", "no headers", "its last line", "junk"],
)
def test_it_is_as_without_a_compiler_and_said_once(body: str, why: str, tmp_path: Path) -> None:
    how, log = run(tmp_path, fake(tmp_path, body))
    assert how == "by operations"
    told = [line for line in log if "activations run as PyTorch operations" in line]
    assert len(told) == 1
    assert why in told[0]


def test_a_file_that_is_no_program_is_no_compiler(tmp_path: Path) -> None:
    path = tmp_path / "cc"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    how, log = run(tmp_path, str(path))
    assert how == "by operations"
    assert sum("activations run as PyTorch operations" in line for line in log) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "refused", ["-march=native", "-mprefer-vector-width=512", "-march=native|-mprefer-vector-width=512"]
)
def test_a_flag_that_it_refuses_is_left_out(refused: str, tmp_path: Path) -> None:
    body = f'for a; do case "$a" in {refused}) echo "unknown option $a" >&2; exit 1;; esac; done; exec $REAL "$@"'
    assert run(tmp_path, fake(tmp_path, body)) == ("by C", [])


@pytest.mark.long
def test_what_fails_for_one_formula_alone_is_said_of_it(tmp_path: Path) -> None:
    body = """source=$(for a; do case "$a" in *.c) echo $a;; esac; done)
grep -q "cosnb_tanh" "$source" && echo "internal error" >&2 && exit 4"""
    code = RUN + "x = x.detach()\ncosnb.activation('tanh(x)*cosh(x)/cosh(x) + atan(x)')(x)"
    code = code.replace('("mish", "swish", "x*tanh(x)")', '("mish", "tanh(x + 1)*atan(x)")')
    how, log = run(tmp_path, fake(tmp_path, body + '\nexec $REAL "$@"'), code)
    assert how == "by C"
    assert sum("internal error" in line and "runs as PyTorch operations" in line for line in log) >= 1
    assert not any("activations run" in line for line in log)


@pytest.mark.long
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_cache_that_nothing_is_run_from(everywhere: bool, tmp_path: Path) -> None:
    code = f"""
import ctypes
real = ctypes.CDLL
def refuse(path, *args, **kwargs):
    if ".so" in str(path) and ({everywhere} or {str(tmp_path)!r} in str(path)) and "kernels" in str(path):
        raise OSError(f"{{path}}: failed to map segment from shared object")
    return real(path, *args, **kwargs)
ctypes.CDLL = refuse
"""
    how, log = run(tmp_path, " ".join(compiler.compiler() or ()), code + RUN)
    assert how == ("by operations" if everywhere else "by C")
    assert sum("the kernels' cache is of no use" in line and "failed to map segment" in line for line in log) == 1
    assert sum("what the C compiler builds cannot be loaded" in line for line in log) == everywhere


def test_the_present_compiler_has_no_fault() -> None:
    activation("mish")(torch.ones(3))
    assert not compiler._faults

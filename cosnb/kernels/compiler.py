"""The machine's C compiler: which it is, the flags that it takes, and the libraries that it builds."""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cosnb.errors import CosnbError
from cosnb.kernels import store

# Contraction off: each fma is written out, so the bits do not depend on the compiler.
_NEEDED = ("-std=c99", "-O3", "-ffp-contract=off", "-shared")
_LIBRARIES = () if sys.platform == "win32" else ("-lm",)
_TIMEOUT = 120  # seconds a compiler may take
_INSTEAD = "activations run as PyTorch operations, correct but several times slower"
_PROBE = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\nfloat cosnb(float x) { return fabsf(x); }\n"
_faults: list[str] = []  # what is wrong with the compiler
logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def compiler() -> tuple[str, ...] | None:
    """Return the command of the C compiler (`$CC`, else cc, gcc or clang); None, told once in the log, if none works.

    That one does not is found out when it first fails.
    """
    if _faults:
        logger.warning("%s: %s", _faults[0], _INSTEAD)
        return None
    named = os.environ.get("CC")
    candidates = [shlex.split(named)] if named else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if command and shutil.which(command[0]):
            return tuple(command)
    logger.warning("no C compiler found (set CC): %s", _INSTEAD)
    return None


def give_up(fault: str) -> CosnbError:
    """Have no compiler from now on, and return the error that says why."""
    _faults.append(fault)
    compiler.cache_clear()
    compiler()
    return CosnbError(fault)


@lru_cache(maxsize=1)
def _machine() -> str:
    """Return what the flags and a built library depend on: compiler and processor."""
    command = compiler()
    assert command is not None
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=_TIMEOUT).stdout
    return "\n".join((*command, version, _processor(), platform.machine(), sysconfig.get_platform()))


@lru_cache(maxsize=1)
def _processor() -> str:
    """Return the line of Linux that names the instructions the processor has; elsewhere nothing."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""


def _wishes() -> list[list[tuple[str, ...]]]:
    """Return flags that are not needed: of each line the first that the compiler takes.

    Without fma instructions 1 Mi float32 elements of CoS take 20 ms, with them 0.7 and with all that the processor has
    0.55; PyTorch's operations 24. Trapping and errno would keep gcc from turning selections and square roots into
    vector instructions; no result depends on either.
    """
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    has_fma = {"avx2", "fma"} <= set(_processor().split())
    instructions: list[tuple[str, ...]] = [("-march=native",), *([("-mavx2", "-mfma")] if has_fma else [])]
    wishes: list[list[tuple[str, ...]]] = [
        [("-fPIC",)],  # clang for Windows has no such thing
        instructions if is_x86 else [("-march=native",), ("-mcpu=native",)],  # the latter is clang's on ARM
        [("-fno-math-errno",)],
        [("-fno-trapping-math",)],
        [("-fno-tree-pre",)],  # gcc splits min(|x|, edge) into branches again: 2 instructions of 55
    ]
    if is_x86:
        wishes.append([("-mprefer-vector-width=512",)])  # x86 compilers take 256 bits by themselves
    return wishes


@lru_cache(maxsize=1)
def flags() -> tuple[str, ...]:
    """Return the flags that the compiler takes, tried with a small program and kept in the cache by compiler."""
    wishes = _wishes()
    key = hashlib.sha256(f"{_machine()}\n{_NEEDED}{wishes}".encode()).hexdigest()[:32]
    kept = store.get(key, ".flags")
    if kept is not None:
        return tuple(kept.read_text(encoding="utf-8").split("\n"))
    chosen = (*_NEEDED, *(flag for wish in wishes for flag in wish[0]))
    if not _takes(chosen):
        chosen = _NEEDED
        for wish in wishes:
            chosen += next((flags for flags in wish if _takes((*chosen, *flags))), ())
    if chosen != _NEEDED:  # else there is hardly a compiler, which the first library shows
        store.put(key, ".flags", "\n".join(chosen).encode())
    return chosen


def _takes(flags: tuple[str, ...]) -> bool:
    return _run(_PROBE, flags)[0] is not None


def identity() -> str:
    """Return what a built library depends on besides its source: compiler, flags and processor."""
    return "\n".join((_machine(), *flags()))


def build(text: str, include: str = "") -> bytes:
    """Return the library built of a C program; `include` is a folder of headers.

    Raises CosnbError with the compiler's last line where it fails for this text; where it fails for any, there is no
    compiler from then on. OSError and subprocess.TimeoutExpired where it is no program or does not end.
    """
    built, message = _run(text, (*flags(), *([f"-I{include}"] if include else [])))
    if built is not None:
        return built
    if _takes(flags()):
        raise CosnbError(f"the C compiler failed: {message}")
    raise give_up(f"the C compiler {shlex.join(compiler() or ())} does not work ({message})")


def _run(text: str, flags: tuple[str, ...]) -> tuple[bytes | None, str]:
    """Return the library that the compiler builds, or None; and its last line with an error."""
    with tempfile.TemporaryDirectory(prefix="cosnb-build-") as folder:
        code, built = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
        code.write_text(text, encoding="utf-8")
        run = [*(compiler() or ()), *flags, str(code), "-o", str(built), *_LIBRARIES]
        done = subprocess.run(run, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT)
        if done.returncode == 0 and built.exists():
            return built.read_bytes(), ""
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode} and no word"]
        return None, next((line for line in reversed(lines) if "error" in line), lines[-1])  # gcc ends with a caret

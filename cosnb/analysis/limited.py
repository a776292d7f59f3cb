"""Calls with a time limit: SymPy's algebra runs in a process of its own, which can be ended.

One worker process (worker.py) is started at the first call and kept: it imports SymPy once (0.6 s), an answer takes
0.3 ms. A call that exceeds its limit costs the worker, and the next call starts another. In a browser, which
has no processes, the call is made here and looks at the clock (cosnb/host/deadline.py).
"""

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cosnb.errors import CosnbError
from cosnb.host import IN_BROWSER
from cosnb.host.deadline import Expired, within

SECONDS = 10.0
SLOWER = 4  # times: what a browser's Python takes for the algebra
_START_SECONDS = 120.0  # on a busy machine importing SymPy takes tens of seconds
_HEADER = 8  # bytes of a message's length

R = TypeVar("R")


class TimeLimit(CosnbError):  # noqa: N818  (named for what was reached)
    """A call took longer than its limit and was ended."""


class _Worker:
    """A running worker process and the two pipes to it."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            "OPENBLAS_NUM_THREADS": "1",  # NumPy's threads would take most of the memory limit
        }
        # A session of its own: Ctrl-C is for the caller. -P: the working folder is no place to import from.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cosnb.analysis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        try:
            self.exchange(None, _START_SECONDS)
        except BaseException:
            self.end()
            raise

    def exchange(self, request: bytes | None, seconds: float) -> bytes:
        """Send `request` and return the answer; TimeLimit or CosnbError, and the worker is dead, where none comes."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.process.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            if request is not None:
                self._write(len(request).to_bytes(_HEADER, "big") + request)
            return self._read(int.from_bytes(self._read(_HEADER), "big"))
        except (EOFError, BrokenPipeError):
            code = self.process.wait()
            if expired.is_set():
                raise TimeLimit(f"the calculation was ended after its limit of {seconds:g} s") from None
            raise CosnbError(
                f"the process that does the algebra ended with code {code}: the formula may need too much memory"
            ) from None
        finally:
            timer.cancel()
            timer.join()
            if expired.is_set():
                self.process.wait()  # it may have answered in its last moment: the next call must see it dead

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) or 0 :]

    def _read(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = bytearray()
        while len(data) < count:
            chunk = self.process.stdout.read(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

    def close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def end(self) -> None:
        """Kill the process, wait for it, close the pipes."""
        self.process.kill()
        self.process.wait()
        self.close_pipes()


_lock = threading.Lock()
_worker: _Worker | None = None


def call(function: Callable[..., R], *args: Any, seconds: float = SECONDS) -> R:
    """Return `function(*args)` as the worker finds it, within `seconds` (from when the worker stands ready).

    `function` is importable by its name; it, its arguments and its value can be pickled. Raises TimeLimit when the time
    is over, CosnbError when the worker died, and whatever `function` raises. Threads take turns.
    """
    if IN_BROWSER:
        return _call_here(function, args, SLOWER * seconds)
    global _worker
    request = pickle.dumps((function, args))
    with _lock:
        if _worker is not None and _worker.process.poll() is not None:
            _end()
        if _worker is None:
            _worker = _Worker()
        try:
            answer = _worker.exchange(request, seconds)
        except BaseException:  # Ctrl-C too: the answer that is still to come must not be the next call's
            _end()
            raise
    value: Any
    good, value = pickle.loads(answer)
    if not good:
        raise value
    return value


def _call_here(function: Callable[..., R], args: tuple[Any, ...], seconds: float) -> R:
    try:
        return within(seconds, function, *args)
    except Expired:
        raise TimeLimit(f"the calculation was ended after its limit of {seconds:g} s") from None


def _end() -> None:
    global _worker
    if _worker is not None:
        _worker.end()
        _worker = None


def _forget() -> None:
    """Leave the worker to the parent after a fork; the parent's other threads may have held the lock."""
    global _worker, _lock
    _lock = threading.Lock()
    if _worker is not None:
        _worker.close_pipes()  # else the worker would outlive the parent as long as this process
        _worker.process.returncode = 0  # not ours to wait for
        _worker = None


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

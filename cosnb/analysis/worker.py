"""Worker process for the algebra: `python -m cosnb.analysis.worker`, the other end of limited.py.

Each message is its length in 8 bytes and a pickle: (function, args) comes in, (True, value) or (False,
exception) goes out; an empty one at the start says that SymPy is imported. The process ends when its input does, in the
middle of a calculation too.
"""

import contextlib
import os
import pickle
import queue
import threading
from typing import Any, BinaryIO

import sympy  # noqa: F401  (imported before the first call's time starts to count)

import cosnb.symbolic.functions  # noqa: F401
from cosnb.errors import CosnbError

MEMORY_BYTES = 2 << 30


def main() -> None:
    """Answer one request after the other until the input ends."""
    limit_memory(MEMORY_BYTES)
    requests, answers = take_pipes()
    _write(answers, b"")
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, received), daemon=True).start()
    while True:
        _write(answers, answer(received.get()))


def limit_memory(size: int) -> None:
    """Let the process have `size` bytes of address space at most, where the platform can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size if hard < 0 else min(size, hard), hard))


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the two pipes, and leave the null device and the error output as standard input and output."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, answers


def answer(request: bytes) -> bytes:
    """Do what `request` asks and return the pickled answer."""
    try:
        function, args = pickle.loads(request)
        return pickle.dumps((True, function(*args)))
    except Exception as error:
        return _pickle_error(error)


def _pickle_error(error: Exception) -> bytes:
    try:
        data = pickle.dumps((False, error))
        pickle.loads(data)  # some exceptions are pickled without complaint and cannot be made again
    except Exception:
        data = pickle.dumps((False, CosnbError(f"{type(error).__name__}: {error}")))
    return data


def _receive(requests: BinaryIO, received: queue.SimpleQueue[bytes]) -> None:
    while True:
        header = requests.read(8)
        length = int.from_bytes(header, "big")
        body = requests.read(length)
        if len(header) < 8 or len(body) < length:
            os._exit(0)  # the caller is gone, and the main thread may be deep in a calculation
        received.put(body)


def _write(answers: Any, data: bytes) -> None:
    answers.write(len(data).to_bytes(8, "big") + data)
    answers.flush()


if __name__ == "__main__":
    main()

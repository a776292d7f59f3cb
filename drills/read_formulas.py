"""Read the formula texts of a JSON list, one by one, and write a line on each: how it ended, seconds, what it did.

Runs as a process of its own, so that memory is this work's and the audit hook ends with it. An audit hook sees what
Python does below: opening, importing, executing, connecting, starting. `ast.parse` compiles to a tree, and nothing else
may be seen while a text is read.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

from cosnb import activations
from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.symbolic.vocabulary import FUNCTIONS

seen: list[str] | None = None


def watch(event: str, args: tuple[object, ...]) -> None:
    """Note an event while a text is being read."""
    if seen is not None and event not in ("compile", "object.__getattr__", "code.__new__", "gc.get_objects"):
        seen.append(f"{event} {args!r:.80}")


def largest_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(text: str) -> dict[str, object]:
    """Return how reading `text` ended."""
    global seen
    seen = []
    before, begun, message = largest_mib(), time.perf_counter(), ""
    try:
        activation(text)
        ended = "read"
    except CosnbError as error:
        ended, message = "refused", str(error)
    except BaseException as error:  # whatever else comes out is what this looks for
        ended, message = "failed", repr(error)[:200]
    seconds, events = time.perf_counter() - begun, seen
    seen = None
    return {"ended": ended, "message": message, "seconds": seconds, "mib": largest_mib() - before, "events": events[:5]}


def main() -> None:
    """Read the file named by the first argument; lines go to the second."""
    for name in FUNCTIONS:  # SymPy imports a few of its modules at first use
        for text in (f"{name}(x)", f"{name}(x, 2)", f"{name}(x > 1, x, 2)", f"{name}(x)**0.5 + 2**x"):
            with suppress(CosnbError):
                activation(text)
    # What PyTorch before 2.13 wants done for torch.compile in advance executes code of ours, whatever the formula.
    activations._prepare = lambda subject: None
    sys.addaudithook(watch)
    texts = json.loads(Path(sys.argv[1]).read_text())
    with Path(sys.argv[2]).open("w") as out:
        for text in texts:
            print(json.dumps(read(text)), file=out, flush=True)


main()

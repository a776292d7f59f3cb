"""Progress of runs: a bar in a terminal or a notebook, a line a minute where output goes to a file."""

import sys
from typing import TextIO

from tqdm import tqdm

_SECONDS = 60.0  # between two lines


class _Lines:
    """A stream that gets each state of a bar as a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write the bar without what would draw it over the one before."""
        if line := text.strip():
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def epochs_bar(total: int, title: str) -> tqdm:
    """Return a bar of so many epochs on the error output; none where there are none."""
    drawn = sys.stderr.isatty() or "ipykernel" in sys.modules
    way = {} if drawn else {"file": _Lines(sys.stderr), "mininterval": _SECONDS, "ncols": 100}
    return tqdm(total=total, unit="epoch", desc=title, disable=not total, **way)

"""Checkpoints: a run's state on disk, from which a killed run goes on.

A file is the SHA-256 of all that follows, then what torch.save writes. It is written whole or not at all, so
what stands there is whole, or was damaged later and is found out.
"""

import hashlib
import io
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from cosnb.paths import write_atomically

INTERVAL = 5.0  # seconds between two checkpoints at least: SqueezeNet's, 9 MB, takes about 20 ms to write
_DIGEST = 32  # bytes


class Checkpoint:
    """The checkpoint of one run at `path`; a run resumes from it only where `identity` is equal.

    `beside`: how many runs are trained side by side in this process, all of which wait while one of them writes.
    """

    def __init__(self, path: Path, identity: dict[str, Any], beside: int = 1) -> None:
        self.path = path
        self.identity = identity
        self.beside = beside
        self._last = time.monotonic()

    def save(self, state: dict[str, Any], at_once: bool = False) -> None:
        """Write `state`, unless the last one is younger than INTERVAL a run; where the disk refuses, warn and go on."""
        if not at_once and time.monotonic() - self._last < INTERVAL * self.beside:
            return
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, buffer)
        content = buffer.getvalue()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            warnings.warn(f"no checkpoint at {self.path} ({error.strerror}): the run goes on without", stacklevel=2)
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the state that was saved, or None; one that is damaged or of another run is named in a warning."""
        try:
            return self._read()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = f"the checkpoint {self.path} was ignored ({error}): the run starts anew"
            warnings.warn(reason, stacklevel=2)
            return None

    def _read(self) -> dict[str, Any]:
        content = self.path.read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            raise ValueError("it is damaged")
        try:
            saved = torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a file of another version makes of it
            raise ValueError(f"it cannot be read: {type(error).__name__}") from error
        if not isinstance(saved, dict) or saved.get("identity") != self.identity:
            raise ValueError("it was made by other settings or other code")
        state: dict[str, Any] = saved["state"]
        return state

    def delete(self) -> None:
        """Remove the file, and its folder where nothing else is in it."""
        try:
            for path in (self.path, *self.path.parent.glob(f"{self.path.name}.*.tmp")):  # left by a killed process
                path.unlink(missing_ok=True)
            self.path.parent.rmdir()
        except OSError:  # another run's checkpoint is there, or the folder never was
            pass

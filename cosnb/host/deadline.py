"""Calls with a time limit in one thread of one process: every entry into a Python function looks at the clock."""

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")

_ID = 4  # of the tools that sys.monitoring knows, one that has no name
_EVERY = 64  # entries: 0.1 ms or so


class Expired(Exception):  # noqa: N818  (named for what happened)
    """The call took longer than its limit."""


class _Stop(BaseException):
    """Ends a calculation, through what catches all exceptions of algebra."""


_limits: list[float] = []
_left = _EVERY


def within(seconds: float, function: Callable[..., R], *args: Any) -> R:
    """Return `function(*args)`; Expired where it takes longer. One call may be made within another."""
    limit = min([time.perf_counter() + seconds, *_limits])
    if not _limits:
        _watch(True)
    _limits.append(limit)
    try:
        return function(*args)
    except _Stop:
        # An outer limit that is over ends the outer call, at its next function.
        raise Expired from None
    finally:
        _limits.pop()
        if not _limits:
            _watch(False)


def _look(*_: Any) -> None:
    global _left
    _left -= 1
    if _left:
        return
    _left = _EVERY
    if _limits and time.perf_counter() > _limits[-1]:
        raise _Stop


def _watch(on: bool) -> None:
    if sys.version_info < (3, 12):
        sys.setprofile(_look if on else None)
        return
    monitoring = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    if on:
        monitoring.use_tool_id(_ID, "cosnb")
        monitoring.register_callback(_ID, monitoring.events.PY_START, _look)
        monitoring.set_events(_ID, monitoring.events.PY_START)
    else:
        monitoring.set_events(_ID, 0)
        monitoring.free_tool_id(_ID)

"""What drills count: a module of its own, since there are several called conftest."""

from collections.abc import Callable

Tally = Callable[..., None]  # (cases, failures=())

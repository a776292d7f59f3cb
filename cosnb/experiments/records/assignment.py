"""A sweep's share of the runs: a notebook asks for what is missing, or trains what it has been given.

`cosnb.book.notebooks.sweep` executes one notebook in many processes. It names a file in the environment variable
COSNB_ASSIGNMENT, with one of two orders:

- {"ask": FILE, "without": RUNS}: write to FILE which runs have no record, those of RUNS left out, and stop; where none
  is missing the notebook goes on to its end;
- {"train": RUNS}: train only these, then stop.

A run is [experiment, digest of the configuration, seed]. Only runs that go to the results folder (root None) are shared
out; elsewhere, and without the variable, both functions do nothing.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # which PyTorch would come with
    from cosnb.experiments.training.config import TrainingConfig

VARIABLE = "COSNB_ASSIGNMENT"


class Handed(Exception):  # noqa: N818
    """Ends a notebook that has done its part of a sweep; no error."""


def take(
    experiment: str, missing: "Sequence[tuple[TrainingConfig, int]]", root: Path | None
) -> "list[tuple[TrainingConfig, int]]":
    """Return what this process is to train of the `missing` (configuration, seed); Handed where another one does it."""
    order = _order(root)
    if order is None:
        return list(missing)
    if "train" in order:
        given = {tuple(run) for run in order["train"]}
        return [(config, seed) for config, seed in missing if (experiment, config.digest(), seed) in given]
    without = {tuple(run) for run in order["without"]}
    runs = [
        {"experiment": experiment, "digest": config.digest(), "seed": seed, "activation": config.activation}
        for config, seed in missing
        if (experiment, config.digest(), seed) not in without
    ]
    if runs:
        Path(order["ask"]).write_text(json.dumps(runs), encoding="utf-8")
        raise Handed(f"{len(runs)} runs are handed to the sweep")
    return []


def leave(trained: "Sequence[tuple[TrainingConfig, int]]", root: Path | None) -> None:
    """End a share's notebook once its runs are `trained`: raise Handed; what follows in it is for the whole."""
    order = _order(root)
    if trained and order is not None and "train" in order:
        raise Handed(f"{len(trained)} runs of the sweep are trained")


def _order(root: Path | None) -> dict[str, Any] | None:
    path = os.environ.get(VARIABLE)
    return json.loads(Path(path).read_text(encoding="utf-8")) if path and root is None else None

"""A sweep's share of the runs: a notebook asks for what is missing, or trains what it has been given.

`cosnb.notebooks.sweep` executes one notebook in many processes. It names a file in the environment variable
COSNB_ASSIGNMENT, with one of two orders:

- {"ask": FILE, "without": RUNS}: write to FILE which runs have no record, those of RUNS left out, and stop; where none
  is missing the notebook goes on to its end;
- {"train": RUNS}: train only these and stop.

A run is [experiment, digest of the configuration, seed].
"""

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cosnb import results
from cosnb.data import ImageData
from cosnb.training.config import TrainingConfig

VARIABLE = "COSNB_ASSIGNMENT"


class Handed(Exception):  # noqa: N818
    """Ends a notebook that has done its part of a sweep; no error."""


def by_assignment(run_missing: Callable[..., int]) -> Callable[..., int]:
    """Wrap `run_missing` so that in a sweep's process it asks, or trains its share; elsewhere it is as it was.

    Only runs that go to the results folder (root None) are shared out. Raises Handed where the notebook is to stop, and
    what `run_missing` raises of wrong settings before it trains.
    """

    @functools.wraps(run_missing)
    def share(
        experiment: str,
        configs: Iterable[TrainingConfig],
        seeds: Iterable[int],
        data: ImageData,
        device: Any,
        root: Path | None = None,
        **options: Any,
    ) -> int:
        path = os.environ.get(VARIABLE)
        if not path or root is not None:
            return run_missing(experiment, configs, seeds, data, device, root, **options)
        order = json.loads(Path(path).read_text(encoding="utf-8"))
        configs, seeds = list(configs), list(seeds)
        if "train" in order:
            given = {tuple(run) for run in order["train"]}
            shares = [(c, [s for s in seeds if (experiment, c.digest(), s) in given]) for c in configs]
            shares = [(config, mine) for config, mine in shares if mine]
            for config, mine in shares:
                run_missing(experiment, [config], mine, data, device, root, **options)
            if shares:
                raise Handed("this part of the sweep is done")
            return 0
        run_missing(experiment, configs, [], data, device, root, **options)  # its checks, and no training
        without = {tuple(run) for run in order["without"]}
        missing = [
            {"experiment": experiment, "digest": c.digest(), "seed": s, "activation": c.activation}
            for c in configs
            for s in seeds
            if (experiment, c.digest(), s) not in without and results.find(experiment, c.digest(), s) is None
        ]
        if missing:
            Path(order["ask"]).write_text(json.dumps(missing), encoding="utf-8")
            raise Handed(f"{len(missing)} runs are handed to the sweep")
        return 0

    return share

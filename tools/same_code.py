"""Comparison of the present training code with an earlier commit's, number by number.

    python tools/same_code.py 42ae5c7 [--write]

Records name the code that made them by a digest. Where a change leaves every number as it was, they need not be called
older: this tool trains short runs on the digits at the earlier commit, in a worktree of it, and here, one for each
network, protocol, activation, precision and set of probes that a record or a campaign has, on one CPU thread; compares
all metrics and the final weights bit by bit; and with --write adds to cosnb/experiments/records/same_code.json a line
for each earlier digest all of whose runs are equal. Exits with 1 where one is not. Runs that CUDA graphs make have
digests of their own, which are never added.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cosnb.experiments import results
from cosnb.experiments.records.digest import SAME_CODE
from cosnb.experiments.runner.campaigns import CAMPAIGNS
from cosnb.experiments.runner.stages import RunOptions, Runs
from cosnb.paths import repository_root, results_dir

Case = dict[str, Any]
# Trains the cases that it reads, and prints for each the digest of the code, the metrics and a digest of the weights.
TRAIN = """
import dataclasses, hashlib, json, sys
import torch
try:
    from cosnb.experiments.data import load
    from cosnb.experiments.records.digest import code_digest
    from cosnb.experiments.training.config import TrainingConfig
    from cosnb.experiments.training.loop import train
except ImportError:  # as the package was laid out before
    from cosnb.data import load
    from cosnb.training.config import TrainingConfig
    from cosnb.training.digest import code_digest
    from cosnb.training.loop import train

torch.set_num_threads(1)
found = []
for case in json.load(sys.stdin):
    config = TrainingConfig(**case)
    images = load("digits", config.train_images, held_out=config.held_out)
    images = dataclasses.replace(images, test_images=images.test_images[:40], test_labels=images.test_labels[:40])
    status, epochs, net = train(config, 0, images)
    metrics = [{key: value for key, value in epoch.items() if "seconds" not in key} for epoch in epochs]
    weights = hashlib.sha256()
    for name, value in net.state_dict().items():
        weights.update(name.encode() + value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    found.append({"digest": code_digest(config), "numbers": repr([status, metrics, weights.hexdigest()])})
print(json.dumps(found))
"""


def main(arguments: list[str] | None = None) -> int:
    """Compare, write and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the earlier code")
    parser.add_argument("--write", action="store_true", help="add what is equal to the table")
    options = parser.parse_args(arguments)
    wanted = cases(configurations())
    print(f"{len(wanted)} short runs at {options.commit} and here")
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        git("worktree", "add", "--detach", "--quiet", str(earlier), options.commit)
        try:
            same, different = compare(earlier, repository_root(), wanted)
        finally:
            git("worktree", "remove", "--force", str(earlier))
    for case in different:
        print(f"other numbers: {case}")
    print(f"{len(same)} digests of code that gives the same numbers, {len(different)} runs with others")
    if options.write:
        table = json.loads(SAME_CODE.read_text(encoding="utf-8")) | same
        SAME_CODE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return int(bool(different))


def configurations() -> Iterable[Case]:
    """Yield the settings of all training runs that are recorded or that a campaign has."""
    for folder in sorted(path.name for path in results_dir().iterdir() if path.is_dir()):
        yield from (record["config"] for record in results.read(folder) if "measured" not in record)
    for stage in (stage for stages in CAMPAIGNS.values() for stage in stages if isinstance(stage, Runs)):
        yield from (config.as_dict() for config in stage.configs(RunOptions()))


def cases(settings: Iterable[Case]) -> list[Case]:
    """Return short runs of the digits, one for each kind of run among `settings`."""
    found: dict[str, Case] = {}
    for config in settings:
        case = {key: config[key] for key in ("activation", "network", "protocol", "precision")}
        case |= {"dataset": "digits", "train_images": 64, "epochs": 2, "batch_size": 24}
        case |= {"depth": 2} if config.get("depth") else {}
        case |= {"held_out": 40} if config.get("held_out") else {}
        case |= {"gain": 2.0} if config.get("gain", 1.0) != 1.0 else {}
        case |= {"probes": list(config["probes"])} if config.get("probes") else {}
        found[json.dumps(case, sort_keys=True)] = case
    return list(found.values())


def compare(earlier: Path, now: Path, wanted: Sequence[Case]) -> tuple[dict[str, str], list[Case]]:
    """Return {earlier digest: present digest} where all runs of both are equal, and the cases of which they are not.

    A digest that has not changed is left out. earlier, now: folders that hold the package `cosnb`.
    """
    pairs: dict[str, set[str]] = defaultdict(set)
    different, excluded = [], set()
    for case, before, after in zip(wanted, trained(earlier, wanted), trained(now, wanted), strict=True):
        pairs[before["digest"]].add(after["digest"])
        if before["numbers"] != after["numbers"]:
            different.append(case)
            excluded.add(before["digest"])
    same = {first: min(others) for first, others in pairs.items() if first not in excluded and len(others) == 1}
    return {first: other for first, other in same.items() if first != other}, different


def trained(root: Path, wanted: Sequence[Case]) -> list[dict[str, str]]:
    """Return what `TRAIN` finds of each case with the package in `root`."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        input=json.dumps(wanted),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def git(*arguments: str) -> None:
    """Run git in this repository; CalledProcessError where it refuses."""
    subprocess.run(["git", "-C", str(repository_root()), *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())

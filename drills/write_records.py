"""Write the records of seeds FIRST, FIRST + STEP, … below COUNT into a folder, and say each seed once it is written."""

import sys
from pathlib import Path

from cosnb.errors import CosnbError
from cosnb.experiments.records import record

CONFIG = {"activation": "cos"}


def made(seed: int) -> record.Record:
    """Return the record of `seed`, of the size that a run of 60 epochs has."""
    epoch = {"train_loss": 1 / (seed + 1), "test_loss": seed / 7, "test_accuracy": 0.5, "train_seconds": 0.1}
    return {
        "schema": 1,
        "experiment": "drill",
        "config": CONFIG,
        "config_digest": record.config_digest(CONFIG),
        "seed": seed,
        "status": "ok",
        "epochs": [{"epoch": number, **epoch} for number in range(1, 61)],
        "code_digest": "",
        "data": None,
        "device": {"name": "none"},
    }


def main(folder: str, first: str, step: str, count: str) -> None:
    """Write, skipping what is there: a record killed between its writing and its saying is there already."""
    for seed in range(int(first), int(count), int(step)):
        try:
            record.write(made(seed), Path(folder))
        except CosnbError as error:
            if "exists already" not in str(error):
                raise
        print(seed, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

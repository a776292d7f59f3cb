"""One task of a Dask cluster: `python -m cosnb.experiments.runner.task FOLDER`, begun by `cluster.call_module`."""

import json
import os
import platform
import sys
import threading
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.experiments import data
from cosnb.experiments.data import ImageData
from cosnb.experiments.records.record import Record
from cosnb.experiments.runner import study
from cosnb.experiments.runner.remote import identity, images_identity, training_device
from cosnb.experiments.runner.runs import note_company, open_checkpoint, run
from cosnb.experiments.training.config import TrainingConfig


def perform(order: dict[str, Any]) -> list[Record]:
    """Train what an order of `remote.on_cluster` asks for and return the record, and that of its measurement.

    Raises CosnbError where this machine has other images or other code than the one that gave the order.
    """
    config, seed, wanted = TrainingConfig(**order["config"]), order["seed"], dict(order["data"])
    if identity(config) != order["identity"]:
        raise CosnbError(f"{platform.node()} has another version of cosnb than this machine: bring both to one commit")
    limits = {"held_out": wanted.pop("held_out"), "test_images": wanted.pop("tested") or None}
    images = data.load(wanted.pop("name"), wanted["train_images"], **limits)
    if images_identity(images) != wanted:
        raise CosnbError(f"the images of {images.name} on {platform.node()} are not those of this machine")
    return _train(order, config, seed, images)


def _train(order: dict[str, Any], config: TrainingConfig, seed: int, images: ImageData) -> list[Record]:
    experiment, device = order["experiment"], order["device"]
    checkpoint = open_checkpoint(experiment, config, seed, images) if order["resume"] else None
    if order["loss_slice"] is not None:
        job = config, seed
        kept = None if checkpoint is None else {job: checkpoint}
        found = [record for _, record in study.studied(experiment, [job], images, device, order["loss_slice"], kept)]
    else:
        found = [run(experiment, config, seed, images, device, checkpoint=checkpoint, execution=order["execution"])]
        if order["beside"] > 1:
            note_company(found[0], order["beside"])
    if checkpoint is not None:
        checkpoint.delete()
    return found


def end_with_parent() -> None:
    """Wait until the worker is gone, which closes stdin; then end this process."""
    os.read(0, 1)  # not sys.stdin, whose lock would be held when Python shuts down
    os._exit(1)


def main(folder: Path) -> None:
    """Do the order in a folder and write the answer beside it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
        answer: dict[str, Any] = {"value": training_device() if "ask" in order else perform(order)}
    except CosnbError as error:
        answer = {"error": str(error)}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

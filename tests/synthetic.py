"""Records made up for tests: every epoch has the same figures, and seeds differ by a fixed noise."""

from typing import Any

from cosnb.experiments.records.record import config_digest
from cosnb.experiments.results.paper import TABLES


def run(network: str, activation: str, seed: int, accuracy: float, loss: float, **settings: Any) -> dict[str, Any]:
    """Return a finished record; accuracy in percent."""
    config = {"activation": activation, "dataset": "cifar10", "train_images": 50_000, "network": network}
    config |= {"protocol": "paper", "epochs": 200, "batch_size": 128, "lr": 0.001, "precision": "float32"}
    config |= settings
    epoch = {"test_accuracy": accuracy / 100, "test_loss": loss, "train_loss": loss / 2, "train_seconds": 1.0}
    return {
        "config": config,
        "seed": seed,
        "status": "ok",
        "epochs": [{"epoch": k + 1, **epoch} for k in range(config["epochs"])],
        "timing": {"method": "wall clock", "total_seconds": 1.0},
        "device": {"name": "a GPU", "type": "cuda"},
        "code_digest": "c0de",
    }


def table_records(
    network: str, figures: dict[str, tuple[float, float]], seeds: int = 8, noise: float = 0.0, **settings: Any
) -> list[dict[str, Any]]:
    """Return records of `seeds` runs around {activation: (accuracy, loss)}.

    `noise` is the size of a deviation that alternates over seeds, its sign unlike between activations: points of
    accuracy, and a tenth of it in loss.
    """
    records = []
    for place, (name, (accuracy, loss)) in enumerate(figures.items()):
        for seed in range(seeds):
            deviation = noise * (-1) ** (seed // (place + 1)) * (1 + seed % 3) / 2
            records.append(run(network, name, seed, accuracy + deviation, loss + deviation / 10, **settings))
    return records


def full_table(network: str, seeds: int = 8, noise: float = 0.02, **settings: Any) -> list[dict[str, Any]]:
    """Return records that agree with P's own column of `network`."""
    figures = {name: (column.accuracy, column.loss) for name, column in TABLES[network].items()}
    return table_records(network, figures, seeds, noise, **settings)


def complete(record: dict[str, Any], experiment: str) -> dict[str, Any]:
    """Return a record with all that its file has."""
    extra = {"schema": 1, "experiment": experiment, "started": "2026-01-01", "finished": "2026-01-02T00:00:00+00:00"}
    data = {"name": "cifar10", "train_images": 50_000, "test_images": 10_000, "digest": "d" * 64}
    extra |= {"config_digest": config_digest(record["config"]), "data": data, "commit": "c" * 40, "dirty": False}
    return record | extra | {"versions": {"python": "3.12.0", "torch": "2.13.0"}, "error": None}

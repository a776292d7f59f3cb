"""Definitions of all campaigns: the registry's experiments in order of priority."""

from typing import Any

from cosnb.experiments import registry
from cosnb.experiments.results import answer
from cosnb.experiments.runner.stages import Costs, Runs, Stage, Study

_REGISTRY = registry.read_runs()
_TABLES = sorted(registry.tables().values(), key=list(_REGISTRY).index)
_TABLE_3 = registry.tables()["squeezenet"]
_ARMS = "relu,swish,cos"
# For a GPU: Table 3's network in place of the small one that a CPU trains.
_SENSITIVITY: dict[str, Any] = {
    "activations": "relu,swish,mish,cos",
    "network": "squeezenet",
    "protocol": "paper",
    "epochs": 50,
    "batch_size": 128,
    "rates": (1e-3, 1e-4, 1e-2, 3e-4, 3e-3, 3e-2, 1e-1),
}
# What the recorder's processors multiply fastest, the same for all runs
_BFLOAT16: dict[str, Any] = {"precision": "bfloat16"}


def _runs(experiment: str, seeds: str = "", held_out: int = 0, **changes: Any) -> Runs:
    """Return the runs that an experiment's full profile trains, but for `changes` of its parameters."""
    full = _REGISTRY[experiment].parameters["full"] | changes
    points = _REGISTRY[experiment].points(**changes)
    data = full["dataset"], full["activations"], seeds or full["seeds"], points, full["train_images"], held_out
    return Runs(experiment, *data)


def _trained(network: str, seeds: str = "") -> Study:
    runs, full = _runs("loss-surface", seeds, networks=network), _REGISTRY["loss-surface"].parameters["full"]
    names = {"points": "points", "reach": "reach", "lines": "directions", "on": "loss_images"}
    walk = {key: full[name] for key, name in names.items()}
    return Study(**vars(runs), loss_slice=walk)


def _networks(experiment: str) -> list[str]:
    return str(_REGISTRY[experiment].parameters["full"]["networks"]).split(",")


def _by_network(experiment: str, seeds: str = "") -> list[Runs]:
    return [_runs(experiment, seeds, networks=network) for network in _networks(experiment)]


def _precision(seeds: str = "") -> list[Runs]:
    activations = _REGISTRY["precision"].parameters["full"]["activations"]
    seeds = seeds or _REGISTRY["precision"].parameters["full"]["seeds"]
    table = _runs(_TABLE_3, seeds, activations=activations, **_BFLOAT16)  # its runs, so that none is made twice
    return [table, _runs("precision", seeds)]


def _costs() -> Costs:
    full = _REGISTRY["cost"].parameters["full"]
    return Costs("cost", tuple(_networks("cost")), {key: full[key] for key in ("batch", "rounds")})


def _answer(seeds: str = "", lr: Any = answer.RATES, **changes: Any) -> Runs:
    return _runs(answer.EXPERIMENT, seeds, **_BFLOAT16, **{"lr": lr, **changes})


CAMPAIGNS: dict[str, tuple[Stage, ...]] = {
    # For two CPU cores: rates on held-out images; Experiment S; Figure 15 at full size; Experiment H; sensitivity; the
    # rival reading; one common rate.
    "answer": (
        _answer("0:2", lr=0, held_out=5000, epochs=10, rates=answer.CHOICES),
        _answer(),
        _runs("figure-15-depth", "0:5", networks="depth_mlp", depths=(15, 20, 25)),
        _answer("0:8", activations=_ARMS, networks="squeezenet_half", epochs=answer.EPOCHS["squeezenet_half"]),
        _runs("sensitivity", "0:7", **_BFLOAT16),
        _answer("0:8", activations=answer.RIVAL, lr=answer.RATES["cos"]),
        _answer("0:8", activations=_ARMS, lr=answer.COMMON_RATE),
    ),
    # n = 1 everywhere, then the primary families to n = 20 network by network, then Mish; last the outside measurement
    # that the protocol's settings come from, 50 epochs and 23 seeds.
    "tables": (
        *(_runs(table, "0") for table in _TABLES),
        *(_runs(table, activations=_ARMS) for table in _TABLES),
        *(_runs(table, activations="mish") for table in _TABLES),
        _runs(_TABLE_3, "0:23", activations="relu,swish,mish,gelu,cos", epochs=50),
    ),
    "depth": (_runs("figure-15-depth", "0"), _runs("figure-15-depth", "0:5"), _runs("figure-15-depth")),
    "sensitivity": tuple(_runs("sensitivity", seeds, **_SENSITIVITY) for seeds in ("0", "0:3", "")),
    "probes": tuple(_runs(name, seeds) for seeds in ("0:3", "") for name in ("gradient-flow", "dead-units")),
    "modern": tuple(stage for seeds in ("0", "0:3", "") for stage in _by_network("protocol-modern", seeds)),
    # Networks of protocol `paper` at full length, measured when they are trained; their runs count among the tables'.
    "trained": (
        _trained("squeezenet", "0:3"),
        _trained("squeezenet"),
        *(_trained(network, seeds) for seeds in ("0:3", "") for network in _networks("loss-surface")[1:]),
    ),
    "precision": (*_precision("0:3"), *_precision()),
    "cost": (_costs(),),
    # Experiment W, judged once, so with a number of seeds that is fixed before.
    "wide": (
        _answer(
            f"0:{answer.LEAST_BLOCKS}",
            activations=_ARMS,
            networks="speedrun_wide",
            epochs=answer.EPOCHS["speedrun_wide"],
        ),
    ),
}

"""Experiments: data, networks, training, records, and what the records say."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosnb.experiments.experiment import Experiment
    from cosnb.experiments.results.frames import paired_difference
    from cosnb.experiments.results.paper_tables import PaperTables
    from cosnb.experiments.results.provenance import provenance

__all__ = ["Experiment", "PaperTables", "paired_difference", "provenance"]

# Imported when first asked for: records can be read without PyTorch.
_PLACES = {
    "Experiment": "experiment",
    "PaperTables": "results.paper_tables",
    "paired_difference": "results.frames",
    "provenance": "results.provenance",
}


def __getattr__(name: str) -> Any:
    if place := _PLACES.get(name):
        return getattr(importlib.import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

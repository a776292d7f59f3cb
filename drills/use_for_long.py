"""Train, record and report again and again in one process; say after each cycle what the process holds, as JSON lines.

`python use_for_long.py FOLDER CYCLES`: every cycle a run of its own, every eighth a formula that was not there before.
"""

import functools
import gc
import io
import json
import os
import sys
import warnings
from pathlib import Path

import matplotlib
import psutil

matplotlib.use("agg")
from matplotlib import pyplot

from cosnb import activation
from cosnb.book import plots
from cosnb.book.report import page, sections
from cosnb.experiments import data, results, training
from cosnb.experiments.results import summary
from cosnb.experiments.results.provenance import provenance
from cosnb.kernels import operators

IMAGES = 64


def cycle(number: int, root: Path, images: data.ImageData) -> None:
    """Train on 64 digits, write the record, read it, and make what a report is made of."""
    slope = 1 + number // 8
    text = f"x*sigmoid(x) + (sigmoid({slope}*x/7) - 1/2)**2"
    experiment = f"long-{number}"
    settings = {"network": "depth_mlp", "protocol": "depth", "depth": 2, "epochs": 2, "batch_size": 32}
    configs = [training.TrainingConfig(name, "digits", IMAGES, **settings) for name in (text, "relu")]  # type: ignore[arg-type]
    training.run_missing(experiment, configs, [number], images, "cpu", root)
    records = results.read(experiment, root)
    assert [record["status"] for record in records] == ["ok", "ok"]
    own = sections.curve(activation(text))
    parts = [sections.formulas(own), sections.code(own.activation), provenance(records)]
    rows = summary.summarize(records, activations=[text, "relu"], seeds=[number])
    html = page.markdown("\n\n".join([*(part.text for part in parts), summary.markdown(rows)]))
    assert "<table" in html
    for figure in (plots.comparison(rows), plots.training_curves(records)):
        figure.savefig(io.BytesIO(), format="svg")
    pyplot.close("all")


def held() -> dict[str, int]:
    """Return bytes of memory, open files, threads, child processes, kernels, and the sizes of our caches."""
    gc.collect()
    process = psutil.Process()
    caches = [thing for thing in gc.get_objects() if type(thing) is functools._lru_cache_wrapper]
    own = [cache for cache in caches if (getattr(cache, "__module__", None) or "").startswith("cosnb.")]
    return {
        "memory": process.memory_info().rss,
        "files": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
        "kernels": len(operators._KERNELS),
        "cached": max(cache.cache_info().currsize for cache in own),
        "unbounded": sum(cache.cache_info().currsize for cache in own if cache.cache_info().maxsize is None),
        "figures": len(pyplot.get_fignums()),
    }


def main(folder: str, cycles: str) -> None:
    """Run the cycles."""
    warnings.simplefilter("error")
    images = data.load("digits", IMAGES)
    activation("gelu").properties()  # starts the process that SymPy's algebra runs in, which stays
    for number in range(int(cycles)):
        cycle(number, Path(folder), images)
        print(json.dumps(held()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

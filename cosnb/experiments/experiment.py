"""Experiments as notebooks use them: the networks to train, their data, and the records of their runs."""

import inspect
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cosnb.display import Markdown
from cosnb.experiments import data, results
from cosnb.experiments.data import ImageData
from cosnb.experiments.records import measurement
from cosnb.experiments.results import frames
from cosnb.experiments.results.summary import title
from cosnb.experiments.results.tables import ACTIVATIONS
from cosnb.experiments.runner.remote import training_device
from cosnb.experiments.runner.runs import run_missing
from cosnb.experiments.runner.study import study_missing
from cosnb.experiments.training import loop
from cosnb.experiments.training.config import TrainingConfig, parse_activations, parse_seeds
from cosnb.experiments.training.plan import configuration

if TYPE_CHECKING:
    from pandas import DataFrame


class Experiment:
    """An experiment: the networks that it trains, and the records of their runs.

    `name`: the folder of its records. `network` and `activations`: names, in a list or separated by commas; in a list
    an activation may be formula text. `dataset`, `train_images`, `test_images` (0: all) and `held_out`: see
    `cosnb.experiments.data.load`; the data are read when first needed. `precision`: "float32", "bfloat16", or "auto":
    bfloat16 on CUDA, and for protocol `speedrun` on every processor that multiplies it. `points`: settings that vary, a
    set of configurations for each. `settings`: further fields of TrainingConfig. A setting that is a mapping has a
    value for each activation.
    """

    def __init__(
        self,
        name: str,
        network: str | Sequence[str] = "squeezenet",
        activations: str | Sequence[str] = ACTIVATIONS,
        dataset: str = "cifar10",
        train_images: int = 0,
        precision: str = "auto",
        points: Sequence[Mapping[str, Any]] = ({},),
        held_out: int = 0,
        test_images: int = 0,
        **settings: Any,
    ) -> None:
        self.name = name
        self.networks = network.split(",") if isinstance(network, str) else list(network)
        self.activations = parse_activations(activations) if isinstance(activations, str) else list(activations)
        self.device, self._multiplies_bfloat16 = training_device()
        self._points = [settings | dict(point) for point in points]
        self._precision = precision
        counts = train_images or None, test_images or None
        self._load = lambda: data.load(dataset, counts[0], held_out=held_out, test_images=counts[1])
        self._folder: Path | None = None  # of runs that are thrown away

    @cached_property
    def images(self) -> ImageData:
        """The data, on the CPU."""
        return self._load()

    @property
    def configs(self) -> list[TrainingConfig]:
        """The configurations by network, point and activation. Raises CosnbError if one is wrong.

        A point's own `network` replaces the experiment's.
        """
        points = [{"network": network} | point for network in self.networks for point in self._points]
        return [self._config(name, point) for point in points for name in self.activations]

    def _config(self, activation: str, point: Mapping[str, Any]) -> TrainingConfig:
        chosen = {key: value[activation] if isinstance(value, Mapping) else value for key, value in point.items()}
        precision = self._precision
        if precision == "auto":
            fast = self._multiplies_bfloat16 and (self.device == "cuda" or chosen.get("protocol") == "speedrun")
            precision = "bfloat16" if fast else "float32"
        return configuration(activation, self.images, self.device, precision, **chosen)

    def train(self, seeds: str | Iterable[int], keep: bool = True, scheduler: str = "") -> int:
        """Train every (configuration, seed) that has no record yet; return how many were trained.

        `seeds`: numbers, or text such as "0:20". `keep`: whether to record the runs; otherwise they are kept in a
        temporary folder as long as this object exists. `scheduler`: the address of a Dask scheduler, to whose workers
        the runs are sent; the device and the precision "auto" are then theirs. Raises CosnbError as
        `cosnb.experiments.runner.run_missing` does.
        """
        self.device, self._multiplies_bfloat16 = training_device(scheduler)
        root = self._root(keep)
        return run_missing(self.name, self.configs, _listed(seeds), self.images, self.device, root, scheduler=scheduler)

    def study(
        self, seeds: str | Iterable[int], loss_slice: Mapping[str, Any], keep: bool = True, scheduler: str = ""
    ) -> int:
        """Train and measure every (configuration, seed) that has no measurement yet; return how many were measured.

        See `cosnb.experiments.runner.study.study_missing`; the other arguments are those of `train`.
        """
        self.device, self._multiplies_bfloat16 = training_device(scheduler)
        root = self._root(keep)
        return study_missing(
            self.name, self.configs, _listed(seeds), self.images, self.device, loss_slice, root, scheduler=scheduler
        )

    def measure(
        self,
        settings: Iterable[Mapping[str, Any]],
        seeds: str | Iterable[int],
        measure: Callable[[Mapping[str, Any], int], Mapping[str, Any]],
        code: ModuleType,
        keep: bool = True,
        device: str = "cpu",
    ) -> int:
        """Record `measure(settings, seed)`, computed on `device`, for every pair without a record; return their number.

        See `cosnb.experiments.records.measurement.measure_missing`; the other arguments are those of `train`.
        """
        root = self._root(keep)
        return measurement.measure_missing(self.name, settings, _listed(seeds), measure, code, device, root)

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records of the experiment; where there are none, those of runs that were not kept."""
        return results.read(self.name) or self.unkept

    @property
    def unkept(self) -> list[dict[str, Any]]:
        """The records of runs that `train` made without keeping them."""
        return results.read(self.name, self._folder) if self._folder else []

    def training_losses(self) -> str:
        """Return the last training loss of each run that was not kept, one a line."""
        ends = [(record["config"]["activation"], record["epochs"][-1]["train_loss"]) for record in self.unkept]
        return "\n".join(f"{title(name)}: training loss {loss:.3f}" for name, loss in ends)

    @staticmethod
    def loop() -> Markdown:
        """Return the training code as Markdown, printed from its own source: what is shown is what runs."""
        parts = (loop.train_epoch, loop.Run, loop.training_step, loop.epoch_batches)
        return Markdown("```python\n" + "\n\n\n".join(inspect.getsource(part).rstrip() for part in parts) + "\n```")

    def frame(self) -> "DataFrame":
        """Return a data frame with a row for each epoch of each run; see `results.frames.epoch_frame`."""
        return frames.epoch_frame(self.records)

    def _root(self, keep: bool) -> Path | None:
        if not keep and self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="cosnb-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return None if keep else self._folder


def _listed(seeds: str | Iterable[int]) -> list[int]:
    return parse_seeds(seeds) if isinstance(seeds, str) else list(seeds)

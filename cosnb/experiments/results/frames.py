"""Records as pandas data frames, and differences of paired runs."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import FIGURES, METRICS, Record, final_window
from cosnb.experiments.statistics import Interval, t_interval

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("activation", "epochs", "seed", "status", "epoch", "test_accuracy", "test_loss")  # without a record


def epoch_frame(records: Iterable[Record]) -> "pd.DataFrame":
    """Return a data frame with a row for each epoch of each run, in the order of the records.

    Columns: the fields of the configuration (`activation`, `network` and so on; `epochs` is the number planned);
    `seed`; `status` ("ok", "diverged" or "failed"); `epoch`, from 1; and the epoch's entries (see
    `training.loop.train`), of which `test_accuracy` is called `accuracy` and `test_loss` `loss`. Accuracies are in
    percent.
    """
    import pandas as pd  # here, for campaigns on a machine without

    rows = [
        {**record["config"], "seed": record["seed"], "status": record["status"], **entry}
        for record in records
        for entry in record["epochs"]
    ]
    frame = pd.DataFrame(rows, columns=None if rows else _COLUMNS).rename(
        columns={"test_accuracy": "accuracy", "test_loss": "loss"}
    )
    of_accuracy = [name for name in frame if name.endswith("accuracy")]
    frame[of_accuracy] *= 100
    return frame


def run_frame(frame: "pd.DataFrame", figure: str = "last") -> "pd.DataFrame":
    """Return the accuracy (%) and loss of each finished run of one configuration, indexed by (activation, seed).

    `figure`: "last", the mean of the last epochs, "final" or "best", as defined by `summary.figures`. Raises CosnbError
    for another, and where an activation has two runs of one seed, as from several configurations.
    """
    if figure not in FIGURES:
        raise CosnbError(f"Unknown figure {figure!r}: choose one of {', '.join(FIGURES)}.")
    finished = frame[frame["status"] == "ok"]
    if finished.duplicated(["activation", "seed", "epoch"]).any():
        raise CosnbError("An activation has two runs of one seed: choose one configuration, frame[frame.lr == 0.001].")
    if figure != "best":
        window = 1 if figure == "final" else finished["epochs"].map(final_window)
        finished = finished[finished["epoch"] > finished["epochs"] - window]
    runs = finished.groupby(["activation", "seed"])
    if figure == "best":
        return runs.agg(accuracy=("accuracy", "max"), loss=("loss", "min"))
    return runs[["accuracy", "loss"]].agg(lambda values: math.fsum(values) / len(values))


def paired_difference(
    frame: "pd.DataFrame", first: str, second: str, metric: str = "accuracy", figure: str = "last", level: float = 0.95
) -> Interval:
    """Return the mean of first − second over the seeds that both have finished, with Student's t interval.

    `metric`: "accuracy", in points, or "loss". `level`: of the interval. Raises CosnbError for another metric, and as
    `run_frame` does.
    """
    if metric not in METRICS:
        raise CosnbError(f"Unknown metric {metric!r}: choose one of {', '.join(METRICS)}.")
    by_seed = run_frame(frame, figure)[metric].unstack("activation").reindex(columns=[first, second])
    return t_interval((by_seed[first] - by_seed[second]).dropna().tolist(), level)

"""Training curves from records, with activations and seeds switched on and off."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from cosnb.book.plots.interactive.chart import Interactive, choice, finish, ink, line_inks, switch
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import Record, by_activation, title

METRICS = {"test_accuracy": "test accuracy (%)", "test_loss": "test loss", "train_loss": "training loss"}


def training_runs(records: Sequence[Record], activations: Sequence[str] | None = None) -> Interactive:
    """Return every finished run of one configuration over its epochs, and the mean of those that are switched on.

    A checkbox each for the activations and for the seeds, a list for the metric; numbers are rounded to 4 digits, the
    accuracy in percent to 2. Raises CosnbError without a finished run to draw.
    """
    runs = by_activation(records)
    rows: list[dict[str, Any]] = [
        {"activation": name, "seed": seed, "epoch": [epoch["epoch"] for epoch in record["epochs"]], **_values(record)}
        for name in (runs if activations is None else activations)
        for seed, record in sorted(runs.get(name, {}).items())
        if record["status"] == "ok"
    ]
    if not rows:
        raise CosnbError("No finished run to draw: run the experiment first.")
    names = list(dict.fromkeys(row["activation"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    params = [choice("metric", "test_accuracy", METRICS, "metric"), alt.param("titles", METRICS)]
    params += [switch(f"show_{place}", title(name)) for place, name in enumerate(names)]
    params += [switch(f"seed_{seed}", f"seed {seed}") for seed in seeds]
    params.append(alt.param("shown", expr="{" + ", ".join(f"'{name}': show_{n}" for n, name in enumerate(names)) + "}"))
    params.append(alt.param("sown", expr="{" + ", ".join(f"'{seed}': seed_{seed}" for seed in seeds) + "}"))
    drawn = (
        alt.Chart(alt.Data(values=rows))
        .transform_filter("shown[datum.activation] && sown[datum.seed]")
        .transform_flatten(["epoch", *METRICS])
        .transform_calculate(value="datum[metric]")
    )
    inks = line_inks(names)
    color = alt.Color("activation:N").scale(domain=names, range=[ink(*inks[name]) for name in names])
    labels = ", ".join(f"'{name}': '{title(name)}'" for name in names)
    color = color.legend(labelExpr=f"{{{labels}}}[datum.value]", columns=4, symbolOpacity=1)
    across = alt.X("epoch:Q").axis(tickMinStep=1).scale(nice=False).title("epoch")
    upright = alt.Y("value:Q").scale(zero=False).title(None)
    each = drawn.mark_line(strokeWidth=0.8, opacity=0.55).encode(x=across, y=upright, color=color, detail="seed:N")
    mean = (
        drawn.transform_aggregate(value="mean(value)", groupby=["activation", "epoch"])
        .mark_line(strokeWidth=2.6)
        .encode(x=across, y=upright, color=color)
    )
    return finish([each, mean], params, title="titles[metric] + ': single runs thin, their mean thick'")


def _values(record: Record) -> dict[str, list[float]]:
    epochs = record["epochs"]
    found = {key: [float(f"{epoch[key]:.4g}") for epoch in epochs] for key in METRICS if key != "test_accuracy"}
    return found | {"test_accuracy": [round(100 * epoch["test_accuracy"], 2) for epoch in epochs]}

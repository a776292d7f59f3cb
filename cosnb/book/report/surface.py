"""Loss surfaces around trained weights: tables and sentences of the page."""

import math
from collections.abc import Sequence

from cosnb.book.claims import Finding
from cosnb.display import Markdown, Table
from cosnb.experiments.results import measurements
from cosnb.experiments.results.summary import Record, by_activation, title
from cosnb.experiments.statistics import t_interval

COLUMNS = {"roughness": lambda measured: measured["roughness"], "bend": lambda measured: measured["bend"]}


def stage(records: Sequence[Record], parts: Sequence[Finding]) -> Markdown:
    """Return how far the networks were trained, and the verdicts on B8's `parts` that are measured."""
    config = records[0]["config"]
    lines = [record["measured"]["line"] for record in records]
    losses = [line[len(line) // 2] for line in lines]  # at the trained weights
    early = min(losses) > math.log(10) / 2
    words = "; ".join(f"{part.part}: **{part.verdict}**" for part in parts[1:])
    return Markdown(
        f"These networks saw {config['train_images']:,} images × {config['epochs']} epochs. Their loss, on "
        f"{config['on']} of these images, is {min(losses):.2f} to {max(losses):.2f}, where guessing has "
        f"ln 10 = {math.log(10):.2f}{': an early stage of training' if early else ''}. What they say: {words}."
    )


def lines(records: Sequence[Record]) -> dict[str, list[float]]:
    """Return each activation's losses along the first line of its first record."""
    return {record["config"]["activation"]: record["measured"]["line"] for record in records[::-1]}


def roughness_table(records: Sequence[Record]) -> Table:
    """Return roughness and bend by activation, means with half their 95 % interval."""
    rows = []
    for name in by_activation(records):
        row = [title(name)]
        for key in COLUMNS:
            found = t_interval(list(measurements.measured(records, key)[name].values()))
            half = f" ± {(found.high - found.low) / 2:#.2g}" if found.n > 1 else ""
            row.append(f"{found.mean:#.3g}{half} (n = {found.n})")
        rows.append(row)
    return Table(["", "roughness", "bend"], rows)

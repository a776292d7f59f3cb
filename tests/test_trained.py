"""Networks measured once they were trained: which are shown, and in what table."""

from datetime import UTC, datetime

import pytest
from synthetic import run

from cosnb.experiments.diagnostics import trained as measure_trained
from cosnb.experiments.records.measurement import code_files, make_record
from cosnb.experiments.results import trained
from cosnb.experiments.results.measurements import measured


def network(name="relu", seed=0, share=0.25, network="squeezenet", **settings):
    record = run(network, name, seed, 60, 1.0, **settings)
    return record | {"epochs": [], "measured": {"dead_units": share, "bend": share / 2}}


def test_the_longest_training_is_shown_not_the_most_runs():
    short = [network(seed=seed, train_images=100) for seed in range(5)]
    whole = [network(seed=seed) for seed in range(2)]
    other = [network(seed=seed, network="mobilenet_v2") for seed in range(9)]
    assert trained.longest([*short, *other, *whole]) == whole
    assert trained.longest([*short, *whole], "mobilenet_v2") == []


def test_full_length_is_asked_for_and_what_was_measured_first_is_left_out():
    whole, short, old = network(), network(epochs=50), network(seed=1)
    del old["measured"]["dead_units"]
    assert trained.full([whole, short, old]) == {"squeezenet": [whole]}
    assert trained.full([short]) == {}


def test_the_table_has_a_row_an_activation_and_leaves_lost_networks_out():
    records = [network(seed=seed, share=0.1 * seed) for seed in (1, 2, 3)]
    records[2]["status"] = "diverged"
    shown = trained.overview(trained.full(records), {"dead (%)": lambda m: 100 * m["dead_units"]}, 1).text
    assert "| SqueezeNet | ReLU | 2 | 15.0\u00a0±\u00a063.5 |" in shown
    assert "| SqueezeNet | CoS | 0 | missing |" in shown
    assert measured(records, "bend") == {"relu": {1: 0.05, 2: 0.1}}


def test_without_networks_nothing_is_shown():
    assert trained.overview({}, {}).text == ""


def test_the_code_of_a_record_may_be_of_several_modules():
    record = make_record("some", {"activation": "cos"}, 0, {}, measure_trained.CODE, "cpu", datetime.now(UTC))
    assert [path.name for path in code_files(record)] == ["trained.py", "surface.py", "probes.py"]
    with pytest.raises(Exception, match=r"'os', expected a module of cosnb"):
        code_files(record | {"code": "cosnb.experiments.diagnostics.surface os"})

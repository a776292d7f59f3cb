"""Mixed precision beside float32: which runs pair, and what their differences say."""

import pytest
from synthetic import run

from cosnb.experiments.results import precision


def arms(change, seeds=8, **settings):
    """Runs in both precisions; bfloat16 is `change[name]` points above, give or take 0.1 by seed."""
    records = []
    for name, points in change.items():
        for seed in range(seeds):
            for kind, more in (("float32", 0.0), ("bfloat16", points + 0.1 * (-1) ** seed)):
                record = run("squeezenet", name, seed, 60 + 0.2 * seed + more, 1.0, epochs=2, **settings)
                record["config"]["precision"] = kind
                records.append(record)
    return records


def test_runs_pair_by_seed_where_they_differ_in_precision_alone():
    records = arms({"relu": 0.0, "cos": 0.0}, 3)
    lost = [r for r in records if (r["config"]["precision"], r["seed"]) != ("bfloat16", 2)]
    found = precision.pairs([*lost, *arms({"swish": 0.0}, 8, train_images=10)])
    assert list(precision.accuracies(found).index) == [("relu", 0), ("relu", 1), ("cos", 0), ("cos", 1)]
    assert len(found) == 8
    assert sorted(r["config"]["precision"] for r in found) == ["bfloat16"] * 4 + ["float32"] * 4


def test_changes_are_those_of_the_means_and_of_the_difference_that_is_judged():
    found = precision.pairs(arms({"relu": 0.05, "cos": 0.3}))
    changed = precision.changes(found)
    assert sum(changed["ReLU"]) / 8 == pytest.approx(0.05)
    assert sum(changed["CoS − ReLU"]) / 8 == pytest.approx(0.25)
    text = precision.comparison(found).text.replace("\u00a0", " ")
    assert "| ReLU | 8 | 60.70 ± 0.41 | 60.75 ± " in text
    assert "+0.05 [−0.04, +0.14] | 0.49 |" in text


@pytest.mark.parametrize(
    ("change", "seeds", "said"),
    [
        (0.0, 8, "ReLU: within the noise; CoS: within the noise; CoS − ReLU: within the noise"),
        (0.3, 8, "ReLU: beyond the noise; CoS: beyond the noise"),
        (0.0, 1, "ReLU: one pair says nothing of noise"),
    ],
)
def test_noise(change, seeds, said):
    assert said in precision.judgement(precision.pairs(arms({"relu": change, "cos": change}, seeds))).text


@pytest.mark.parametrize(("change", "seeds", "verdict"), [(0.0, 8, "confirmed"), (0.6, 8, "refuted")])
def test_alike_within_the_least_lead(change, seeds, verdict):
    text = precision.judgement(precision.pairs(arms({"relu": change, "cos": change}, seeds))).text
    assert f"0.38 points, the least lead that the paper reports: **{verdict}**" in text


def test_few_pairs_say_how_many_are_wanted():
    text = precision.judgement(precision.pairs(arms({"relu": 0.0, "cos": 0.0}, 3))).text
    assert "**not resolved** (2 pairs more would tell" in text


def test_without_pairs_the_page_says_so():
    assert precision.pairs([]) == []
    only = [r for r in arms({"relu": 0.0}) if r["config"]["precision"] == "float32"]
    assert precision.comparison(precision.pairs(only)).text == precision.NONE
    assert precision.judgement([]).text.startswith("**not resolved**, for lack of runs: at least 5 pairs")

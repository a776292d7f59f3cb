"""What pages show of claims and measurements: tables and sentences whose numbers are worked out by hand."""

import math
import re

import pytest
import torch
from synthetic import full_table, run
from test_result_pages import rows

from cosnb.book import claims
from cosnb.book.report import cost_tables, gradient_flow, landscapes, own_functions, surface
from cosnb.book.report.choice import Candidates
from cosnb.experiments.results.tables import EXPERIMENTS


class TestGradientFlow:
    def test_the_predicted_growth_is_that_of_a_normal_input(self):
        # ReLU: E f′² = 1/2, Var f = 1/2 − 1/(2π); at its kink the sum over places 0.001 apart errs by 2·10⁻⁴.
        assert gradient_flow.predicted_growth("relu") == pytest.approx(math.sqrt(0.5 / (0.5 - 0.5 / math.pi)), rel=3e-4)
        assert gradient_flow.predicted_growth("x") == pytest.approx(1, rel=1e-4)

    def test_a_signal_that_halves_in_each_layer_shrinks_by_two(self):
        signals = {"relu": {layer: [2.0**layer, 3 * 2.0**layer] for layer in range(1, 6)}}
        assert rows(gradient_flow.fading_table(signals))[1] == ["ReLU", "2.00", f"{math.sqrt(6):.2f}"]

    def test_growth_is_told_from_the_last_block_to_the_second(self):
        record = run("depth_mlp", "relu", 0, 60, 1.0, epochs=1)
        record["epochs"][0] |= {"gradient_norms_at_start": [9, 8, 4, 2, 1, 7], "gradient_norms": [9, 9, 3, 1, 1, 7]}
        assert "predicts: 2.000 with ReLU (formula: 1.211). Without" in str(gradient_flow.opening([record]))
        assert rows(gradient_flow.growth_table([record]))[1][1:] == ["2.000 ± ?", "1.211", "2.080 ± ?", "8"]
        theory = gradient_flow.predicted(gradient_flow.norms([record], trained=False))["relu"]
        assert list(theory) == [2, 3, 4, 5]
        assert theory[5] == pytest.approx(1)
        assert theory[2] / theory[5] == pytest.approx(gradient_flow.predicted_growth("relu") ** 3)
        spread = f"{math.log10(9):.2f} ± ?"
        assert rows(gradient_flow.spread_table([record]))[1] == ["ReLU", spread, spread]

    def test_bare_networks_are_measured_layer_by_layer(self):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8, generator=generator)
        signals, weights = gradient_flow.bare_norms((images, torch.arange(8)), "0:2", 3)
        assert list(signals) == list(weights) == list(gradient_flow.NAMES)
        assert {layer: len(values) for layer, values in signals["cos"].items()} == dict.fromkeys(range(1, 5), 2)


class TestLandscapes:
    def records(self, cos):
        numbers = {"relu": 4.0, "swish": 1.0, "mish": 1.0, "cos": cos}
        keys = ("mean_turn", "largest_turn", "kinks", "crossings")
        return [
            {
                "config": {"activation": name, "points": 10},
                "seed": seed,
                "status": "ok",
                "epochs": [],
                "measured": dict.fromkeys(keys, value * (1 + seed / 10))
                | {"flat": float(name == "relu" and seed == 7)},
            }
            for name, value in numbers.items()
            for seed in range(12)
        ]

    @pytest.mark.parametrize(("cos", "word"), [(2.0, "not in: none"), (0.5, "Swish's and ReLU's in: none")])
    def test_the_order_of_the_means_is_told(self, cos, word):
        said = str(landscapes.order(self.records(cos)))
        assert word in said
        assert "With ReLU 1 of 12 networks are flat everywhere" in said

    def test_every_measure_and_pair_is_judged(self):
        found = rows(landscapes.judged_table(self.records(2.0)))[1:]
        assert [row[1:3] for row in found] == [["ReLU − Swish", "12"], ["ReLU − CoS", "12"]] * 2 + [
            ["ReLU − Swish", "8"],
            ["ReLU − CoS", "8"],
        ]
        assert {row[-1] for row in found} == {"confirmed"}
        assert {row[2] for row in rows(landscapes.judged_table(self.records(2.0), moving=True))[1:]} == {"11", "7"}
        assert rows(landscapes.mean_table(self.records(2.0)))[1][1].startswith("6.20 ± ")


def test_the_loss_surfaces_stage_is_told_by_the_loss_at_the_weights() -> None:
    def record(name, loss):
        config = {"activation": name, "train_images": 64, "epochs": 1, "on": 32}
        measured = {"line": [3.0, loss, 3.0], "roughness": 9.0, "bend": 0.5}
        return {"config": config, "seed": 0, "status": "ok", "epochs": [], "measured": measured}

    records = [record("relu", 2.0), record("mish", 2.5)]
    parts = [claims.Finding("B8", part, claims.finding.Verdict.NOT_RESOLVED, "") for part in "ab"]
    said = str(surface.stage(records, parts))
    assert "is 2.00 to 2.50, where guessing has ln 10 = 2.30: an early stage of training. What they say: b: **" in said
    assert "early" not in str(surface.stage([record("relu", 1.0)], parts))
    assert rows(surface.roughness_table(records))[1:] == [
        [n, "9.00 (n = 1)", "0.500 (n = 1)"] for n in ("ReLU", "Mish")
    ]
    assert surface.lines(records)["relu"] == [3.0, 2.0, 3.0]


def test_the_surface_around_trained_weights_has_its_low_place_at_the_weights() -> None:
    plane = surface.around_weights("mish", points=3)
    assert plane.places.tolist() == [-1, 0, 1]
    assert plane.heights.shape == (3, 3)
    assert plane.heights[1, 1] == plane.heights.min() < 0.1
    assert plane.heights.tolist() == surface.around_weights("mish", points=3).heights.tolist()


def cost_record():
    steps = {f"{name}, {kind}": seconds for kind in ("plain", "compiled") for name, seconds in TIMES.items()}
    found = {label: {"step": [s, 2 * s, 3 * s], "inference": [s] * 3, "saved": 100} for label, s in steps.items()}
    return {"config": {"activation": "all", "network": "squeezenet", "device": "cpu"}, "measured": found, "epochs": []}


TIMES = {"relu": 1.0, "swish": 1.25, "mish": 1.5, "cos": 2.0}


class TestCost:
    def test_medians_are_ratios_to_plain_relu(self):
        found = {row[0]: row[1:] for row in rows(str(cost_tables.ratio_tables([cost_record()])).partition("\n\n")[2])}
        assert found["CoS, plain"] == ["2.00", "2.00", "1.00"]
        assert found["Mish, plain"] == ["1.50", "1.50", "1.00"]

    def test_sentences_and_figure_have_the_same_numbers(self):
        said = str(cost_tables.sentences([cost_record()]))
        assert "takes 2.00 times as long as one with ReLU** (SqueezeNet; " in said
        assert f"The paper's seconds an epoch give {45 / 32:.2f}." in said
        assert "CoS takes 2.00 times as long as ReLU, and 1.60 times as long as Swish, compiled too." in said
        (panel,) = cost_tables.drawn([cost_record()], "step").values()
        (paper,) = cost_tables.reported([cost_record()]).values()
        assert (panel["plain"]["cos"][1], paper["cos"]) == (2.0, 45 / 32)
        assert "mish" not in paper

    def test_whole_steps_stand_apart(self):
        step = cost_record() | {"config": {"network": "squeezenet", "execution": "eager"}}
        assert cost_tables.split([cost_record(), step]) == ([cost_record()], [step])
        assert str(cost_tables.step_tables([])) == ""


class TestChoice:
    def candidates(self):
        evidence = {name: full_table(network, seeds=8) for network, name in EXPERIMENTS.items()}
        return Candidates("relu,sigmoid,swish,cos", {**evidence, "cost": [cost_record()]})

    def test_facts_are_those_of_the_formulas(self):
        found = {row[0]: row[1:] for row in rows(self.candidates().fact_table())}
        assert found["ReLU"][1] == "(−∞, 0]"
        assert found["Swish"][1] == "nowhere"
        assert found["Sigmoid"][3] == "1/4"

    def test_costs_are_recorded_steps_over_relus(self):
        chosen = self.candidates()
        found = {row[0]: row[1:] for row in rows(chosen.cost_table())}
        assert found[""] == ["operations of f", "of f′", "SqueezeNet"]
        assert (found["ReLU"][-1], found["CoS"][-1], found["Sigmoid"][-1]) == ("1.00", "2.00", "")
        said = str(chosen.cost_sentence())
        assert f"CoS takes {found['CoS'][0]} operations where Swish takes {found['Swish'][0]}" in said
        assert "2.00 times as long as with ReLU, and with Swish 1.25 times" in said
        assert chosen.trade() == {}

    def test_accuracy_is_judged_against_relu(self):
        chosen = self.candidates()
        found = rows(chosen.accuracy_table())[1:]
        assert [row[1] for row in found] == ["Swish", "CoS"] * 3
        said = str(chosen.accuracy_sentence())
        assert said.endswith("No record at all: Sigmoid.")
        verdicts = [row[-1] for row in found]
        assert all(f"{verdicts.count(verdict)} {verdict}" in said for verdict in verdicts)

    def test_advice_and_choice_follow_the_records(self):
        known = {row[0]: row[1] for row in rows(self.candidates().advice_table())}
        assert known["ReLU: fast and simple"] == "holds: a step takes, over ReLU's, Swish 1.25"
        assert known["Mish, Swish: more stable"] == "runs that diverged: ReLU 0 of 24, Swish 0 of 24"
        assert known["Mish, Swish: generalise better"].startswith("of 3 comparisons with ReLU: ")
        lines = str(self.candidates().choice()).splitlines()
        assert lines[0] == "- Time counts most: ReLU (a training step over ReLU's, compiled: Swish 1.25, CoS 2.00)."
        assert lines[1] == "- No unit may be stuck on an interval: Swish, CoS."
        assert lines[3].startswith("- Small changes must stay small: ReLU; ")


class TestOwnFunctions:
    def test_special_inputs(self):
        found = {row[0]: row[1:] for row in rows(own_functions.special_table("swish,mish"))}
        assert found["Swish, ours"] == found["Mish, ours"] == ["−0", "∞", "NaN"]
        assert found["Swish, PyTorch's own"] == ["NaN", "∞", "NaN"]

    def test_a_value_lost_too_early_is_counted(self):
        inputs = torch.tensor([-90.5, -2.0, 1.0, math.inf], dtype=torch.bfloat16)
        value, _ = rows(own_functions.lost_table(inputs, "swish"))[1:]
        assert value == ["Swish", "1: −90.5 to −90.5", "0"]

    def test_the_tail_stands_beside_the_truth(self):
        found = rows(own_functions.tail_table([-2.0], lambda x: x / (1 + math.exp(-x)), lambda x: 7.0))[1:]
        assert found[0][::4] == ["SiLU", f"{-2 / (1 + math.exp(2)):.4g}".replace("-", "−")]
        assert found[1][::4] == ["Mish′", "7"]

    def test_without_a_record_the_page_says_so(self):
        assert str(own_functions.exhaustive_table([])) == "No GPU has recorded these errors yet."


def test_verdicts_stand_in_one_line() -> None:
    found = claims.examine({}, ["B5", "P8"])
    assert list(found) == ["B5", "P8"]
    assert re.fullmatch(
        r"\*\*B5: [a-z ]+\*\*, \*\*P8: not resolved\*\* so far", str(claims.verdict_line(found, " so far"))
    )
    assert str(claims.details(found)) == str(claims.details(found, ["B5", "P8"]))

"""What pages show of records: tables and sentences whose numbers are worked out by hand."""

import math

import pytest
from synthetic import full_table, run, table_records

from cosnb.book.report import dead
from cosnb.experiments.results import curves, dead_units, depth, gaps, lottery, modern, sensitivity
from cosnb.experiments.results.tables import EXPERIMENTS


def rows(table) -> list[list[str]]:
    """Return the cells of a table's rows, head first, typeset spaces as plain ones."""
    lines = str(table).replace("\u00a0", " ").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if set(line) - set("|- ")]


def sweep(parameter, heights, **settings):
    """Return runs of accuracy `heights[activation][place]` at each (value, place), seeds 0 and 1 one point apart."""
    found = []
    for name, by_value in heights.items():
        for value, accuracy in by_value.items():
            for seed in (0, 1):
                found.append(
                    run("speedrun", name, seed, accuracy + seed, 1.0, epochs=2, **{parameter: value}, **settings)
                )
                found[-1]["epochs"][-1]["train_accuracy"] = (accuracy + seed + 10) / 100
    return found


class TestDepth:
    def records(self):
        return sweep("depth", {"relu": {2: 80, 4: 10}, "cos": {2: 80, 4: 60}}, dataset="mnist")

    def test_accuracies_stand_by_depth(self):
        found = curves.curves(self.records(), "depth")
        head, two, four = rows(depth.depth_table(found, "accuracy"))
        assert head == ["accuracy", "ReLU", "CoS"]
        assert [cell.partition(" ±")[0] for cell in two] == ["2 blocks", "80.50", "80.50"]
        assert [cell.partition(" ±")[0] for cell in four] == ["4 blocks", "10.50", "60.50"]
        assert list(depth.lines(found)["cos"]) == [2, 4]
        assert rows(depth.variant_table({}))[1] == ["depth_conv", "missing"]

    def test_intervals_that_do_not_meet_are_named(self):
        found = curves.curves(self.records(), "depth")
        assert str(depth.separation(found)) == "Bands apart at 2 blocks: none."  # at 4 ReLU did not learn
        apart = curves.curves(sweep("depth", {"relu": {2: 60}, "cos": {2: 90}}), "depth")
        assert str(depth.separation(apart)) == "Bands apart at 2 blocks: CoS above ReLU."

    def test_the_opening_names_the_deepest_at_which_every_run_learnt(self):
        records = self.records()
        said = str(depth.opening(records, curves.curves(records, "depth")))
        assert said.startswith("At 2 blocks every run learns in 2 epochs of ")
        assert "CoS 80.5 %, ReLU 80.5 %" in said or "ReLU 80.5 %, CoS 80.5 %" in said
        assert said.endswith("In deeper ones some fail; 2 of all 8 runs answer one digit for every image.")

    def test_runs_that_answer_one_digit_are_counted(self):
        records = self.records()
        said = str(depth.constant_runs(records))
        assert said == "2 of 8 runs have a test accuracy below 12 %, and 20 to 21 % in training."
        assert depth.length_note(records) == " on mnist."
        few = [r for r in records if r["config"]["activation"] == "relu" and r["config"]["depth"] == 4]
        assert "**Such runs cannot decide P17**" in str(depth.constant_runs(few))
        assert depth.length_note(few).endswith("in neither way.")

    def test_a_networks_longest_set_is_chosen(self):
        other = [r | {"config": r["config"] | {"network": "depth_conv"}} for r in self.records()[:2]]
        assert depth.longest(self.records() + other, "depth_conv") == other


class TestModern:
    def records(self):
        means = {"relu": (80.0, 1.0), "swish": (80.0, 1.0), "cos": (82.0, 1.0)}
        return table_records("squeezenet", means, noise=0.1, protocol="modern", train_images=1280, epochs=20)

    def test_the_longest_runs_of_each_network_are_shown(self):
        short = table_records("squeezenet", {"cos": (50.0, 1.0)}, protocol="modern", train_images=128, epochs=1)
        best = modern.longest([*short, *self.records()])
        assert list(best) == ["squeezenet"]
        shown = {tuple(row[:3]): row[3:] for row in rows(modern.protocol_table(best))}
        assert shown["SqueezeNet", "modern", "1,280 × 20"][3].startswith("82.02 ± ")
        assert shown["ShuffleNet v2", "modern", ""] == ["missing"] * 4

    def test_short_runs_are_called_short(self):
        best = modern.longest(self.records())
        assert "short, in images × epochs: SqueezeNet: 1,280 × 20. Full length" in str(modern.length(best))
        expected = "**CoS ahead in runs as short as these (exploratory)**: SqueezeNet: CoS − ReLU: confirmed"
        assert str(modern.conclusion(best)).startswith(expected)
        whole = {"squeezenet": full_table("squeezenet", seeds=2, protocol="modern")}
        assert "have full length" in str(modern.length(whole))
        assert "under good training" in str(modern.conclusion(whole))


class TestDeadUnits:
    def records(self):
        found = []
        for rate, share in ((0.001, 0.01), (0.01, 0.03)):
            for seed in (0, 1):
                found.append(run("squeezenet", "relu", seed, 60, 1.0, epochs=2, lr=rate))
                found[-1]["epochs"][0] |= {"dead_units_at_start": 0.5, "dead_units": share}
                found[-1]["epochs"][1]["dead_units"] = share * (1 + seed)
        return found

    def test_shares_stand_in_percent_by_epoch_and_rate(self):
        records = dead_units.longest(self.records())
        assert {r["config"]["lr"] for r in records} == {0.01}
        points = dead_units.by_epoch(records)["relu"]
        assert {epoch: pytest.approx(shares) for epoch, shares in points.items()} == {0: [50, 50], 1: [3, 3], 2: [3, 6]}
        _, low, high = rows(dead_units.rate_table(self.records()))
        assert low[:3] == ["0.001", "ReLU", "2"]
        assert [row[3].partition(" ±")[0] for row in (low, high)] == ["1.500", "4.500"]

    def test_slopes_round_to_zero_where_their_formula_is_below_the_least_number(self):
        found = dict(rows(dead_units.zero_slope_table())[1:])
        assert found["ReLU"] == "0"
        edge = float(found["Swish"].replace("−", "-"))
        below, above = (abs(1 + x) * math.exp(x) for x in (edge * 1.02, edge * 0.98))
        assert below < 2**-149 < above


class TestSensitivity:
    def swept(self):
        rates = sweep("lr", {"relu": {0.1: 60, 1.0: 50}, "cos": {0.1: 70, 1.0: 40}})
        gains = sweep("gain", {"relu": {0.5: 60, 2.0: 60}, "cos": {0.5: 50, 2.0: 40}}, lr=0.3)
        return sensitivity.swept([*rates, *gains])

    def test_both_accuracies_stand_by_value(self):
        text = str(sensitivity.accuracy_table(self.swept(), "gain"))
        assert [row[0] for row in rows(text.partition("\n\n")[0])[1:]] == [
            "½, test",
            "2, test",
            "½, training",
            "2, training",
        ]
        assert text.endswith("Means over seeds: test 40 to 60 %, training 50 to 70 %.")
        assert sensitivity.ticks(self.swept()) == {0.5: "½", 2.0: "2"}
        assert sensitivity.lines(self.swept(), "lr")["cos"] == {0.1: [70.0, 71.0], 1.0: [40.0, 41.0]}

    def test_flatness_is_worst_minus_best_and_area_the_mean_height(self):
        found = {
            row[0]: [cell.partition(" ±")[0] for cell in row[1:]]
            for row in rows(sensitivity.flatness_table(self.swept()))
        }
        assert found["CoS"] == ["−30.00", "55.50", "−10.00", "45.50"]
        assert found["ReLU"] == ["−10.00", "55.50", "0.00", "60.50"]
        assert found["Mish"] == ["missing"] * 4

    def test_few_steps_answer_nothing(self):
        swept = self.swept()
        config = swept["lr"][0]["config"]
        config |= {"train_images": 64_000, "batch_size": 64, "epochs": 1}
        assert sensitivity.length_note(swept) == ""
        config |= {"train_images": 65}
        said = sensitivity.length_note(swept)
        assert "These runs have 2 steps: of batch normalisation's running averages 81 % is" in said
        assert said.endswith("**answer neither claim**.")


class TestGaps:
    def records(self, swish):
        records = table_records("squeezenet", {"relu": (80, 1.0), "swish": (80, 1.0)}, seeds=6)
        for record in records:
            for epoch in record["epochs"] if record["config"]["activation"] == "swish" else ():
                epoch["train_loss"] = swish + 0.001 * record["seed"]
        return records

    def test_the_premise_is_read_off_the_formulas(self):
        found = {row[0]: row[1:] for row in rows(gaps.premise_table())}
        assert found["ReLU"] == ["✓", "0, at (−∞, 0]", "0"]
        assert found["Swish"][2] == f"−{0.1 / (1 + math.exp(0.1)):.4f}"
        assert found["Swish"][1].endswith("at −1.27846")

    def test_a_higher_training_loss_may_be_under_fitting(self):
        said = str(gaps.conclusion(self.records(0.7)))
        assert said.startswith("**P9, less over-fitting: confirmed** in SqueezeNet with 50,000 images and 200 epochs. ")
        assert f"the higher one, {0.7025:.3f} to 0.500: a smaller gap may then be under-fitting" in said
        said = str(gaps.conclusion(self.records(0.4)))
        assert said.startswith("**P9, less over-fitting: refuted**")
        assert "under-fitting" not in said


class TestLottery:
    def found(self):
        order = table_records("squeezenet", {"relu": (80, 1), "swish": (81, 1), "cos": (82, 1)}, seeds=2, epochs=20)
        order = [r for r in order if (r["config"]["activation"], r["seed"]) != ("cos", 1)]
        worse = run("squeezenet", "cos", 1, 80.5, 1.0, epochs=20)
        settings = {key: value for key, value in worse["config"].items() if key != "activation"}
        return {"squeezenet": (settings, [*order, worse]), "mobilenet_v2": ({}, [])}

    def test_draws_are_counted(self):
        squeezenet, mobilenet = rows(lottery.draw_table(self.found(), "last"))[1:]
        assert squeezenet == ["SqueezeNet", "4 of 8 (50.0 %)", "4 of 8 (50.0 %)", "4 of 8 (50.0 %)"]
        assert mobilenet == ["MobileNet v2", "missing", "missing", "missing"]
        assert [row[:3] for row in rows(lottery.figure_table(self.found()))[1:]] == [
            [meaning, "SqueezeNet", "4 of 8 (50.0 %)"]
            for meaning in ("final epoch", "best epoch")  # of 20 epochs the last 5 % are the final one
        ]

    def test_the_opening_and_the_histogram_count_pairs_of_the_network_with_most_runs(self):
        assert lottery.most(self.found())[0] == "squeezenet"
        gaps, claimed = lottery.gaps(self.found(), "last")["CoS − ReLU"]
        assert claimed == 0.6
        assert len(gaps) == 4
        assert min(gaps) == pytest.approx(0.5, abs=1.5)
        said = str(lottery.opening(self.found(), "last"))
        assert (
            "drawn from 6 runs of SqueezeNet (50,000 images × 20 epochs), shows that order in **4 of 8 (50.0 %)** draws"
            in said
        )
        assert "Runs so short" in said
        nothing = {"squeezenet": ({}, [])}
        assert "No runs to draw from" in str(lottery.opening(nothing, "last"))

    def test_what_is_short_or_missing_is_named(self):
        assert rows(lottery.run_table(self.found()))[1] == ["SqueezeNet", "50,000", "20", "2", "2", "2"]
        said = str(lottery.length(self.found()))
        assert said.startswith("The runs of SqueezeNet, MobileNet v2 are shorter than the paper's")
        assert said.endswith("it is the final epoch.")

    def test_tables_together_need_all_of_them(self):
        lines = str(lottery.chance_sentences(self.found(), "last")).split("\n\n")
        assert (
            lines[0]
            == "The paper's order in all three tables: records are missing; 0.5 % if nothing made a difference."
        )
        alone = {"squeezenet": self.found()["squeezenet"]}
        assert "CoS best in all three: 4 of 8 (50.0 %); 3.7 %" in str(lottery.chance_sentences(alone, "last"))

    def test_the_nearest_runs_of_each_network_are_read(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COSNB_RESULTS", str(tmp_path))
        assert lottery.nearest() == {network: ({}, []) for network in EXPERIMENTS}


def test_long_steps_kill_units_of_relu_unless_their_sums_are_normalised(monkeypatch) -> None:
    monkeypatch.setattr(dead, "RATES", (0.1, 10.0))
    found = dead.shares(seeds=1, names=("relu", "cos"))
    normalised = dead.shares(normalised=True, seeds=1, names=("relu",))
    assert found["relu"][0.1][0] < 5
    assert found["relu"][10.0][0] > 80 > 20 > found["cos"][10.0][0]
    assert normalised["relu"][10.0] == [0]
    assert "it is 0 % of ReLU's" in str(dead.opening(found, normalised))

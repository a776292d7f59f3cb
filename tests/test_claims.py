"""Every claim has its verdict, from formulas or records; a changed record changes the verdict it decides."""

import copy
import re

import pytest
from synthetic import full_table, run, table_records

from cosnb.book import claims
from cosnb.book.claims import costs, definitions, experiments, formulas, overview
from cosnb.book.claims.arguments import ARGUMENTS
from cosnb.book.claims.finding import Finding, in_part, overall
from cosnb.experiments import results
from cosnb.experiments.diagnostics.cost import NAMES, NO_SQUARE
from cosnb.experiments.records.record import config_digest
from cosnb.experiments.results import measurements
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.statistics import Verdict

FULL = {experiment: full_table(network) for network, experiment in EXPERIMENTS.items()}


def whole(claim, evidence):
    return str(overall(claims.CLAIMS[claim](evidence)))


def verdicts(findings):
    return {finding.part: str(finding.verdict) for finding in findings}


def measured(name, seed, **numbers):
    return {
        "config": {"activation": name, "points": 400},
        "seed": seed,
        "status": "ok",
        "epochs": [],
        "measured": numbers,
    }


def sweep(parameter, values, heights, seeds=8, **settings):
    """Return runs whose accuracy falls by `heights` points a decade or block, per activation, with a little noise."""
    return [
        run(
            "squeezenet",
            name,
            seed,
            60 - fall * place + 0.1 * (seed % 3),
            1.0,
            epochs=2,
            **{parameter: value},
            **settings,
        )
        for name, fall in heights.items()
        for place, value in enumerate(values)
        for seed in range(seeds)
    ]


class TestAll:
    def test_what_lacks_runs_says_how_many(self):
        evidence = claims.gather()
        for claim, parts in claims.examine(evidence).items():
            for part in parts:
                if part.verdict == Verdict.NOT_RESOLVED and claim not in ("P16", "P19"):  # of times
                    assert "more to resolve it" in part.evidence or "runs of it are needed" in part.evidence, part
        lacking = claims.examine({})
        assert "n = 0 and 5 more to resolve it" in lacking["P8"][0].evidence

    def test_every_number_has_a_function_and_a_sentence(self):
        expected = [f"P{n}" for n in range(22)] + [f"B{n}" for n in range(1, 12)]
        assert [*claims.DEFINITIONS, *claims.CLAIMS] == expected
        assert list(ARGUMENTS) == expected
        assert all(function.__doc__ for function in (claims.DEFINITIONS | claims.CLAIMS).values())

    def test_definitions_need_no_record(self):
        found = claims.examine({}, claims.DEFINITIONS)
        whole = {claim: str(overall(parts)) for claim, parts in found.items()}
        assert {c for c, v in whole.items() if v == "right, reason incomplete"} == {"P1", "P6"}
        assert {c for c, v in whole.items() if v == "confirmed"} == {"P0", "P2", "P4"}
        assert {c for c, v in whole.items() if v == "mixed"} == {"P3"}
        assert {c for c, v in whole.items() if v == "not testable"} == {"P5"}  # the reading was chosen to fit
        evidence = {(part.claim, part.part): part.evidence for parts in found.values() for part in parts}
        assert evidence["P0", "no derivative at 0"].startswith("it jumps from 0 to 1 at 0")
        assert evidence["P1", "the output is not zero-centred"] == "its range is (0, 1)"
        assert evidence["P5", "what the paper says of it in words"].startswith(
            "of its 5 statements our reading meets 5, and 4 of the 4 that the book adds"
        )
        assert evidence["P4", "non-monotone"] == "turns at -1.2785"
        assert verdicts(found["P3"])["gradient 0 at x = 0"] == "right, with a slip"
        assert verdicts(found["P3"])["much faster than sigmoid and tanh"] == "not resolved"

    def test_runs_with_sigmoid_are_counted(self):
        some = {"some": [run("depth_mlp", "sigmoid", seed, 60, 1.0, epochs=2) for seed in range(3)]}
        assert "with sigmoid: 3, with tanh: 0" in definitions.p3(some)[0].evidence

    def test_without_records_only_formulas_decide(self):
        found = {claim: str(overall(parts)) for claim, parts in claims.examine({}).items()}
        assert {c for c, v in found.items() if v == "confirmed"} == {"P20", "B1", "B2", "B4", "B5", "B7"}
        assert {c for c, v in found.items() if v == "refuted"} == set()  # no claim falls as a whole
        assert {c for c, v in found.items() if v == "mixed"} == {"P9", "P18", "B8", "B9", "B11"}
        assert (found["P7"], found["B6"]) == ("right, reason incomplete", "right, with a slip")
        assert {c for c, v in found.items() if v == "not testable"} == {"P21", "B3", "B10"}
        assert sum(v == "not resolved" for v in found.values()) == 10

    def test_tables_show_each_claim_and_part_once(self):
        found = claims.examine({})
        assert str(claims.summary(found, "P")).count('id="claim-p') == 15
        assert str(claims.summary(found, "B")).count('id="claim-b') == 11
        assert str(claims.details(found, ["B5"])).count("B5:") == 4

    def test_every_claim_has_one_tile_with_its_label(self):
        every = claims.examine({}, claims.DEFINITIONS | claims.CLAIMS)
        shown = str(claims.tiles(every))
        found = re.findall(r'href="#claim-(\w+)" .*?<span class="verdict[^>]*>.\u00a0(.*?)</span>', shown)
        assert dict(found) == {claim.lower(): claims.label(parts) for claim, parts in every.items()}
        assert len(found) == len(every)
        explained = re.findall(r"\u00a0(.*?)</span>: ", str(claims.legend(every)))
        assert explained == [v for v in map(str, overview.MEANINGS) if v in explained]
        assert {str(part.verdict) for parts in every.values() for part in parts} <= set(explained)

    def test_records_are_gathered_by_experiment(self, tmp_path):
        record = full_table("squeezenet", seeds=1)[0]
        record |= {
            "schema": 1,
            "experiment": "some",
            "config_digest": config_digest(record["config"]),
            "data": {},
            "started": "2026",
        }
        results.write(record, tmp_path)
        assert claims.gather(tmp_path) == {"some": [record]}
        assert claims.gather(tmp_path / "nothing") == {}

    @pytest.mark.parametrize(
        ("parts", "whole"),
        [
            (("confirmed", "confirmed"), "confirmed"),
            (("confirmed", "not testable"), "confirmed"),
            (("confirmed", "real, but smaller"), "real, but smaller"),
            (("confirmed", "not resolved", "real, but smaller"), "mixed"),
            (("confirmed", "not resolved"), "mixed"),
            (("not resolved", "refuted", "confirmed"), "mixed"),
            (("not resolved", "refuted"), "mixed"),
            (("refuted", "refuted", "exploratory"), "refuted"),
            (("right, with a slip", "confirmed"), "right, with a slip"),
            (("right, with a slip", "right, reason incomplete"), "right, reason incomplete"),
            (("right, with a slip", "not resolved"), "not resolved"),
            (("depends", "confirmed"), "mixed"),
            (("not testable",), "not testable"),
            (("not testable", "exploratory"), "not testable"),
        ],
    )
    def test_a_claim_is_as_good_as_its_parts(self, parts, whole):
        findings = [Finding("P0", "", Verdict(verdict), "") for verdict in parts]
        assert overall(findings) == whole
        assert in_part(findings) == (parts == ("confirmed", "not testable"))


class TestTables:
    def test_records_like_ps_confirm_p12(self):
        assert whole("P12", FULL) == "confirmed"

    def test_p15_is_judged_by_its_leads_and_a_number_printed_too_small_is_a_slip(self):
        assert whole("P15", FULL) == "right, with a slip"
        assert whole("P15", {}) == "not resolved"
        found = claims.CLAIMS["P15"](FULL)
        assert verdicts(found)["the leads"] == "confirmed"
        assert found[0].evidence.startswith(
            "CoS − ReLU 0.46 to 0.77; CoS − Swish 0.38 to 0.54, where its tables give 0.38 to 0.64"
        )

    @pytest.mark.parametrize(("claim", "network"), [("P12", "shufflenet_v2"), ("P13", "mobilenet_v2")])
    def test_one_changed_record_changes_the_verdict(self, claim, network):
        changed = copy.deepcopy(FULL)
        before = verdicts(claims.CLAIMS[claim](changed))["accuracy, CoS − ReLU"]
        record = next(r for r in changed[EXPERIMENTS[network]] if r["config"]["activation"] == "cos")
        for epoch in record["epochs"]:
            epoch["test_accuracy"] -= 0.02
        after = verdicts(claims.CLAIMS[claim](changed))["accuracy, CoS − ReLU"]
        assert (before, after) == ("confirmed", "not resolved")

    def test_short_runs_resolve_nothing_of_p(self):
        short = {experiment: full_table(n, epochs=8) for n, experiment in EXPERIMENTS.items()}
        assert {whole(claim, short) for claim in ("P12", "P13", "P14")} == {"not resolved"}

    def test_over_fitting_is_judged_by_the_gap(self):
        arms = {"relu": (88, 0.5), "swish": (88, 0.4)}  # the training loss is half of the test loss
        evidence = {EXPERIMENTS["squeezenet"]: table_records("squeezenet", arms, noise=0.02)}
        assert verdicts(claims.CLAIMS["P9"](evidence))["it reduces over-fitting"] == "confirmed"
        for record in evidence[EXPERIMENTS["squeezenet"]]:
            for epoch in record["epochs"] if record["config"]["activation"] == "swish" else ():
                epoch["train_loss"] = 0.1
        assert verdicts(claims.CLAIMS["P9"](evidence))["it reduces over-fitting"] == "refuted"


class TestExperiments:
    RATES = (1e-4, 1e-3, 1e-2)

    def test_the_flatter_curve_is_less_sensitive(self):
        records = sweep("lr", self.RATES, {"relu": 3, "swish": 2, "cos": 4})
        found = verdicts(experiments.p8({"sensitivity": records}))
        assert found == {
            "less sensitive to the learning rate": "confirmed",
            "less sensitive to initial weights": "not resolved",
        }
        assert verdicts(experiments.p10({"sensitivity": records}))["less sensitive to the learning rate"] == "refuted"

    def test_a_setting_at_which_a_run_did_not_learn_judges_nothing(self):
        part = "less sensitive to the learning rate"
        records = sweep("lr", self.RATES, {"relu": 3, "swish": 2})
        assert verdicts(experiments.p8({"sensitivity": records}))[part] == "confirmed"
        for record in records:
            if record["config"]["activation"] == "swish" and record["config"]["lr"] == self.RATES[-1]:
                record["status"] = "diverged"
        found = experiments.p8({"sensitivity": records})[0]
        assert str(found.verdict) == "confirmed"  # at the others Swish still loses less
        assert (
            f"{len(self.RATES) - 1} of {len(self.RATES)} settings, at the others not every run learnt" in found.evidence
        )
        for record in records:
            record["epochs"][-1]["test_accuracy"] = 0.19
        assert str(experiments.p8({"sensitivity": records})[0].verdict) == "not resolved"

    def test_depth_is_judged_in_its_deeper_half(self):
        records = sweep("depth", (15, 20, 25), {"relu": 3, "swish": 1, "cos": 1})
        for record in records:
            record["config"] |= {"network": "depth_mlp", "dataset": "mnist"}
        assert set(verdicts(experiments.p17({"figure-15-depth": records})).values()) == {"confirmed"}
        for record in records:
            if record["config"]["activation"] == "cos" and record["config"]["depth"] > 15:
                record["epochs"][-1]["test_accuracy"] -= 0.1
        assert set(verdicts(experiments.p17({"figure-15-depth": records})).values()) == {"refuted"}

    def landscapes(self, seeds):
        kinks = {"relu": 0.8, "swish": 0.01, "cos": 0.1}
        return [
            measured(
                name, seed, kinks=kink + seed / 1e3, mean_turn=1 / (kink + seed / 1e3), largest_turn=90.0, flat=0.0
            )
            for name, kink in kinks.items()
            for seed in range(seeds)
        ]

    def test_the_landscape_s_jumps_are_judged_on_the_seeds_that_nobody_had_seen(self):
        by = "ReLU sharp, the others smooth, by "
        found = verdicts(experiments.p18({"figure-16-landscape": self.landscapes(11)}))
        assert found[by + "jumps of the gradient (added later)"] == "confirmed"  # seeds 4 to 10
        assert found[by + "mean change of the gradient's direction"] == "refuted"
        assert found[by + "largest change of its direction"] == "not resolved"
        found = verdicts(experiments.p18({"figure-16-landscape": self.landscapes(8)}))
        assert found[by + "jumps of the gradient (added later)"] == "not resolved"
        assert found[by + "mean change of the gradient's direction"] == "refuted"

    def test_networks_that_are_flat_with_relu_are_judged_too(self):
        records = self.landscapes(11)
        for record in records[4:7]:
            record["measured"] |= {"flat": 1.0, "kinks": 0.0, "mean_turn": 0.0, "largest_turn": 0.0}
        jumps = measurements.judge_landscape(records, "kinks")["ReLU − CoS"]
        assert (jumps.n, str(jumps.verdict)) == (7, "not resolved")  # 3 of 7 differences turn against the claim
        beside = measurements.judge_landscape(records, "kinks", moving=True)["ReLU − CoS"]
        assert (beside.n, str(beside.verdict)) == (4, "exploratory")
        evidence = experiments.p18({"figure-16-landscape": records})[1].evidence
        assert evidence.endswith("; 3 of 11 networks are flat everywhere with ReLU")

    def test_one_dead_unit_refutes_that_none_dies(self):
        records = [run("squeezenet", "mish", seed, 60, 1.0, epochs=2) for seed in range(6)]
        for record in records:
            record["epochs"][-1]["dead_units"] = 0.0
        assert verdicts(experiments.b7({"dead-units": records}))["no neuron dies"] == "confirmed"  # by the formula
        shown = experiments.b7({"dead-units": records})[-1].evidence
        assert "Mish 0.00% (n = 6), SqueezeNet" in shown
        assert "exactly 0 left of −108.7" in shown
        records[0]["epochs"][-1]["dead_units"] = 1e-4
        assert verdicts(experiments.b7({"dead-units": records}))["no neuron dies"] == "refuted"

    def test_roughness_of_the_loss_surface(self):
        records = [
            measured(n, s, bend=b + s / 1e3, roughness=8.0) for n, b in (("relu", 0.2), ("mish", 0.1)) for s in range(7)
        ]
        for record in records:
            record["config"] |= {"network": "squeezenet", "dataset": "cifar10", "train_images": 50_000, "epochs": 200}
        found = list(experiments.b8({"loss-surface": records}))
        assert [str(part.verdict) for part in found] == ["refuted", "confirmed", "confirmed", "not resolved"]

    def test_a_network_of_the_full_protocol_counts_among_those_that_may_have_dead_units(self):
        settings = {"network": "squeezenet", "dataset": "cifar10", "train_images": 50_000, "epochs": 200}
        records = [measured("mish", seed, dead_units=0.0) for seed in range(3)]
        for record in records:
            record["config"] |= settings | {"protocol": "paper"}
        shown = experiments.b7({"loss-surface": records})[-1]
        assert str(shown.verdict) == "confirmed"
        assert "Mish 0.00% (n = 3), SqueezeNet, 50,000 images of CIFAR-10, 200 epochs" in shown.evidence
        records[0]["measured"]["dead_units"] = 1e-4
        assert verdicts(experiments.b7({"loss-surface": records}))["no neuron dies"] == "refuted"

    def test_even_gradients(self):
        part = "Mish's and Swish's spread more evenly than ReLU's"
        records, bare = [], []
        for name, factor in (("relu", 3.0), ("mish", 2.0), ("swish", 2.0)):
            for seed in range(8):
                records.append(run("depth_mlp", name, seed, 60, 1.0, epochs=2))
                records[-1]["epochs"][0]["gradient_norms_at_start"] = [1.0, factor + seed / 100]
                for initial, sign in (("he", 1), ("default", -1)):
                    bare.append(measured(name, seed, spread=sign * factor + seed / 100))
                    bare[-1]["config"]["initial"] = initial
        assert (
            verdicts(experiments.b11({"gradient-flow": records}))[part] == "not resolved"
        )  # two of three settings lack records
        found = experiments.b11({"gradient-flow": records + bare})[0]
        assert str(found.verdict) == "depends"
        assert "with batch normalisation: confirmed" in found.evidence
        assert "He's initial weights: confirmed" in found.evidence
        assert "PyTorch's default: refuted" in found.evidence
        he = [record for record in bare if record["config"]["initial"] == "he"]
        alike = [{**record, "config": {**record["config"], "initial": "default"}} for record in he]
        assert verdicts(experiments.b11({"gradient-flow": records + he + alike}))[part] == "confirmed"

    def test_growth_of_the_gradient_is_shown_and_judges_nothing(self):
        records = []
        for name, factor in (("mish", 1.1), ("swish", 1.1), ("relu", 1.2)):
            for seed in range(8):
                records.append(run("depth_mlp", name, seed, 60, 1.0, epochs=2))
                norms = [factor ** (6 - block) for block in range(6)]
                records[-1]["epochs"][0]["gradient_norms_at_start"] = norms
        found = next(part for part in experiments.b9({"gradient-flow": records}) if "explode" in part.part)
        assert str(found.verdict) == "exploratory"
        assert "Mish × 1.10; Swish × 1.10; ReLU × 1.20" in found.evidence
        assert whole("B9", {}) == whole("B9", {"gradient-flow": records}) == "mixed"


class TestFormulas:
    def test_the_article_s_product_is_a_misprinted_sign(self):
        assert verdicts(formulas.b6({})) == {"f′ as printed": "right, with a slip"}

    def test_diverged_runs_are_counted(self):
        records = full_table("squeezenet", seeds=2)
        records[0]["status"] = "diverged"
        assert "ReLU 1 of 2" in formulas.b2({"some": records})[1].evidence


class TestCosts:
    def record(self, plain_cos=1.5, no_square=1.2, compiled_cos=1.1):
        steps = {
            "relu, plain": 1.0,
            "swish, plain": 1.15,
            "mish, plain": 1.4,
            "cos, plain": plain_cos,
            NO_SQUARE: no_square,
        }
        steps |= {f"{name}, compiled": 1.05 for name in NAMES} | {"cos, compiled": compiled_cos}
        found = {k: {"step": [v, 2 * v, 3 * v], "inference": [v, v, v], "saved": 100} for k, v in steps.items()}
        return {"config": {"activation": "all", "network": "squeezenet"}, "measured": found}

    def test_devices_stand_apart_and_names_say_so_where_there_are_two(self):
        cpu, gpu, network = self.record(), self.record(), self.record()
        cpu["device"] = {"name": "Some CPU", "type": "cpu", "threads": 2}
        gpu["device"] = {"name": "NVIDIA H200", "type": "cuda"}
        gpu["config"] = network["config"] | {"batch": 1024, "rounds": 20}
        assert list(costs.by_network([cpu])) == ["SqueezeNet"]
        assert list(costs.by_device([gpu, cpu])) == [
            "Some CPU, 2 threads",
            "NVIDIA H200, 1,024 images a step, 20 rounds",
        ]
        assert list(costs.by_network([gpu, cpu])) == ["SqueezeNet, Some CPU", "SqueezeNet, NVIDIA H200"]
        fewer = gpu | {"config": gpu["config"] | {"batch": 128}}
        names = [f"SqueezeNet, NVIDIA H200, {batch} images a step, 20 rounds" for batch in ("128", "1,024")]
        assert list(costs.by_network([gpu, fewer])) == names
        faster = self.record(plain_cos=1.1) | {"device": gpu["device"]}
        assert str(costs.p16({"cost": [cpu, gpu]})[0].verdict) == "confirmed"
        assert str(costs.p16({"cost": [cpu, faster]})[0].verdict) == "refuted"  # in every network, on every device

    def test_whole_steps_are_ratios_to_relu_and_judge_no_claim(self):
        config = {"activation": "all", "batch": 128, "rounds": 2, "execution": "compile", "precision": "bfloat16"}
        relu = {"step": [1.0, 2.0], "captured": [0.5, 0.5], "peak": 100}
        cos = {"step": [1.1, 2.2], "captured": [0.5, 0.6], "peak": 125}
        records = [
            {
                "config": config | {"network": network},
                "device": {"name": "NVIDIA H200", "type": "cuda"},
                "measured": {"relu": relu, "cos": cos, "mish": {"error": "out of memory"}},
            }
            for network in ("squeezenet", "shufflenet_v2")
        ]
        ((title, head, rows),) = costs.whole_steps(records)
        assert title == "NVIDIA H200, 128 images a step, 2 rounds, compiled, bfloat16"
        assert head[1:4] == ["ShuffleNet v2, step", "ShuffleNet v2, graph", "ShuffleNet v2, memory"]
        assert rows[1] == ["cos", *["1.100", "1.100", "1.250"] * 2]
        assert rows[2] == ["mish", *["failed", "", ""] * 2]
        assert costs.by_device(records) == {}
        assert str(costs.p16({"cost": records})[0].verdict) == "not resolved"

    def test_what_cos_takes_longer_than_swish_is_the_added_term_s(self):
        assert [str(f.verdict) for f in costs.p16({"cost": [self.record()]})] == ["confirmed", "confirmed"]
        slower_than_relu_alone = costs.p16({"cost": [self.record(plain_cos=1.1)]})
        assert [str(f.verdict) for f in slower_than_relu_alone] == ["refuted", "refuted"]
        assert "the squaring alone takes 86% (SqueezeNet)" in costs.p16({"cost": [self.record()]})[1].evidence

    def test_a_cos_that_is_faster_than_swish_refutes_slowest(self):
        assert str(costs.p16({"cost": [self.record(plain_cos=1.1)]})[0].verdict) == "refuted"

    def test_another_function_without_the_square_saves_time_and_a_faster_program_is_no_answer(self):
        for compiled in (1.1, 1.6):
            time, accuracy = costs.p19({"cost": [self.record(compiled_cos=compiled)]})
            assert (str(time.verdict), str(accuracy.verdict)) == ("confirmed", "not testable")
        assert str(costs.p19({"cost": [self.record(no_square=1.6)]})[0].verdict) == "refuted"

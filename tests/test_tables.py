"""The pages of Tables 1 to 3: a record's numbers decide the verdicts, and only runs at full length answer P."""

from statistics import fmean

import pytest
import sympy
from synthetic import full_table, table_records

from cosnb.book import plots
from cosnb.display import Table
from cosnb.experiments.results import paper, tables
from cosnb.experiments.results.paper_table import PaperTable, selection_effects
from cosnb.experiments.results.paper_tables import PaperTables
from cosnb.experiments.statistics import Verdict


def verdicts(records, network="squeezenet", metric="accuracy"):
    return [str(c.verdict) for c in tables.judge_table(records, network, metric).values()]


def test_ps_differences_are_those_of_its_tables():
    assert tables.claimed("shufflenet_v2", "cos", "swish") == 0.64
    assert tables.claimed("mobilenet_v2", "cos", "relu") == 0.46
    assert tables.claimed("squeezenet", "cos", "swish", "loss") == 0.0117
    assert tables.claimed("shufflenet_v2", "cos", "relu", "loss") == -0.0159


def test_runs_like_ps_confirm_p_and_one_changed_record_does_not():
    records = full_table("squeezenet")
    assert verdicts(records) == ["confirmed", "confirmed"]
    worse = next(r for r in records if r["config"]["activation"] == "cos" and r["seed"] == 3)
    for epoch in worse["epochs"]:
        epoch["test_accuracy"] -= 0.02
    assert verdicts(records) == ["not resolved", "not resolved"]


def test_runs_without_a_difference_exclude_the_claimed_size():
    means = {"relu": (88, 0.4), "swish": (88, 0.4), "cos": (88, 0.4)}
    assert verdicts(table_records("squeezenet", means, noise=0.05)) == ["claimed size excluded"] * 2
    assert verdicts(table_records("squeezenet", means, noise=0.05, seeds=20)) == ["no lead worth naming"] * 2


def test_losses_alike_is_judged_within_a_margin_of_0_05():
    part = "losses alike, within 0.05"

    def judged(relu):
        means = {"relu": (88, relu), "swish": (88, 0.39), "cos": (88, 0.40)}
        return tables.loss_verdicts(table_records("squeezenet", means, noise=0.05), "squeezenet")[part]

    assert judged(0.40) is judged(0.43) is Verdict.CONFIRMED
    assert judged(0.44) is Verdict.NOT_RESOLVED
    assert judged(0.60) is Verdict.REFUTED


def test_the_claims_of_loss_differ_by_network():
    assert list(tables.loss_verdicts(full_table("shufflenet_v2"), "shufflenet_v2").values()) == ["confirmed"] * 2
    found = tables.loss_verdicts(full_table("mobilenet_v2"), "mobilenet_v2")
    assert found["loss of CoS above Swish's"] == "confirmed"


def test_whole_curves_are_judged_by_sign():
    judged = tables.judge_curves(full_table("shufflenet_v2"))
    assert [c.verdict for c in judged.values()] == ["confirmed", "confirmed"]
    judged = tables.judge_curves(full_table("shufflenet_v2"), "loss")
    assert [c.verdict for c in judged.values()] == ["confirmed", "confirmed"]


@pytest.mark.parametrize(
    "changes", [{"epochs": 100}, {"train_images": 5_000}, {"dataset": "digits"}, {"test_images": 500}]
)
def test_only_full_length_answers_p(changes):
    records = full_table("squeezenet", **changes)
    table = PaperTable(records, "squeezenet")
    assert not tables.is_full(table.settings)
    assert table.reported == {}
    assert "**P14, and the leads of P15: not resolved**" in str(table.conclusion("P14"))
    assert "**They show how the activations differ early in training" in str(table.length())


def test_full_length_answers_p():
    records = full_table("squeezenet")
    table = PaperTable(records, "squeezenet")
    assert tables.is_full(table.settings)
    assert table.reported == {"relu": 88.58, "swish": 88.80, "cos": 89.18}
    assert str(table.length()).endswith("here the last 10.")
    text = str(table.conclusion("P14"))
    assert "accuracy, CoS − ReLU: confirmed" in text
    assert "the verdicts on P14" in text


def test_the_nearest_configuration_comes_first():
    few, many = full_table("squeezenet", epochs=8), full_table("squeezenet", epochs=100)
    digits = full_table("squeezenet", dataset="digits")
    groups = tables.configurations([*few, *digits, *many])
    assert [(s["dataset"], s["epochs"]) for s, _ in groups] == [("cifar10", 100), ("cifar10", 8), ("digits", 200)]
    part = full_table("squeezenet", epochs=200, test_images=500)
    assert [s["epochs"] for s, _ in tables.configurations([*part, *few])] == [8, 200]


def test_selection_is_best_minus_last():
    records = full_table("squeezenet")
    for record in records:
        if record["config"]["activation"] == "cos":
            record["epochs"][5]["test_accuracy"] = 1.0
    effects = selection_effects(records)
    assert fmean(effects["cos"]) == pytest.approx(100 - 89.18, abs=0.2)
    assert effects["relu"] == pytest.approx([0] * len(effects["relu"]), abs=1e-9)
    assert effects["mish"] == []
    tables_ = PaperTables({"squeezenet": records, "shufflenet_v2": [], "mobilenet_v2": []})
    lines = [line.split(" | ") for line in str(tables_.selection()).splitlines() if "| SqueezeNet" in line]
    largest = max(effects["cos"])
    assert [line[-1].rstrip(" |") for line in lines] == ["0.00", "0.00", "missing", f"{largest:.2f}"]


def together(**records) -> PaperTables:
    return PaperTables({network: [] for network in PaperTables.experiments} | records)


def test_tables_show_every_way_of_reporting_that_differs():
    text = str(together(squeezenet=full_table("squeezenet")).three_ways())
    assert all(meaning in text for meaning in ("mean of the last epochs", "final epoch", "best epoch"))
    assert text.count("confirmed") == 6
    short = together(squeezenet=full_table("squeezenet", epochs=8))["squeezenet"].three_ways()
    assert [row[0] for row in short] == ["final epoch", "best epoch"]


def test_leads_are_the_papers_beside_ours():
    found = together(squeezenet=full_table("squeezenet", epochs=8)).leads()
    assert [lead.claimed for lead in found[:6]] == [0.77, 0.64, 0.46, 0.41, 0.60, 0.38]
    assert [lead.interval.n for lead in found[:6]] == [0, 0, 0, 0, 8, 8]
    assert found[4].interval.mean == pytest.approx(0.60, abs=0.2)
    assert (found[4].length, found[4].long, found[4].interval.level) == ("50,000 images × 8 epochs", False, 0.975)
    assert together(squeezenet=full_table("squeezenet")).leads()[4].long
    assert len(plots.leads(found).axes) == len(plots.printed_leads(paper.printed_leads()).axes) == 2


def test_the_opening_says_which_activations_are_ahead_in_short_runs():
    apart = {"relu": (36, 2.0), "swish": (43, 2.0), "mish": (42, 2.0), "cos": (36.5, 2.0)}
    short = table_records("shufflenet_v2", apart, noise=0.05, epochs=6)
    even = table_records("squeezenet", dict.fromkeys(apart, (50, 2.0)), noise=0.5, epochs=6)
    said = str(together(shufflenet_v2=short, squeezenet=even).opening())
    assert "Swish and Mish are 5.5 to 7.0 points ahead of CoS and ReLU in ShuffleNet v2" in said
    assert "in SqueezeNet no group of activations is clearly ahead" in said
    assert "they decide nothing about the paper's tables" in said
    full = str(together(squeezenet=full_table("squeezenet")).opening())
    assert full.replace("\u00a0", " ").startswith("SqueezeNet: CoS − ReLU +0.")
    assert "(confirmed)" in full
    assert "decide nothing" not in full
    assert str(together().opening()).startswith("No run of these networks")


def test_a_network_without_a_run_says_how_to_train_it():
    table = together()["squeezenet"]
    assert "name it in `networks` to train it" in str(table.length())
    assert str(table.conclusion("P14")) == str(table.length())
    assert "89.18" in str(table.beside_the_paper())


def test_no_lead_of_the_paper_reaches_two_errors_of_its_test_images():
    found = paper.printed_leads()
    assert [lead.lead for lead in found] == [0.77, 0.64, 0.46, 0.41, 0.60, 0.38]
    assert found[0].own == pytest.approx(100 * (0.8836 * 0.1164 / 10_000) ** 0.5)
    assert found[0].error == pytest.approx(100 * ((0.8836 * 0.1164 + 0.8759 * 0.1241) / 10_000) ** 0.5)
    said = str(paper.sampling(found))
    assert said.startswith("**None of the paper's six leads reaches 2 standard errors")
    assert "CoS − ReLU in ShuffleNet v2, is 0.77 points, 1.7 errors; 3 are below one" in said
    assert str(paper.sampling(paper.printed_leads(100_000))).startswith("**6 of the paper's six leads reach 2")


def test_the_bootstrap_stands_beside_from_20_runs():
    few, many = (tables.judge_table(full_table("squeezenet", seeds=n), "squeezenet") for n in (8, 20))
    assert "BCa" not in str(paper.judged_table(few))
    assert "BCa" in str(paper.judged_table(many))


def test_long_fractions_are_rounded_for_reading() -> None:
    x = sympy.Symbol("x")
    shown = Table(["f"], [[x / 3 + sympy.Rational(10507009873554804934193349852946, 10**31)]]).text
    assert r"\frac{x}{3} + 1.050701" in shown

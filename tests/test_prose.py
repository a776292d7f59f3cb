"""Keys of the numbers in prose: what each stands for, against records made up with known means; unknown ones named."""

import re

import pytest
from synthetic import complete, run

from cosnb.book import answers, prose
from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.results.paper import TABLES


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Records of SqueezeNet: ReLU 88 ± 1 over four seeds, CoS one point above it in each, Swish one run, no Mish."""
    root = tmp_path_factory.mktemp("results")
    records = [
        run("squeezenet", name, seed, 88 + lead + (-1) ** seed, 0.5)
        for name, lead, seeds in (("relu", 0, 4), ("cos", 1, 4), ("swish", 2, 1))
        for seed in range(seeds)
    ]
    for record in records:
        results.write(complete(record, "table-3-squeezenet"), root)
    for name, value in (("relu", 0.5), ("cos", 0.25)):
        for seed in (0, 1, 2):
            others = dict.fromkeys(("mean_turn", "largest_turn", "flat", "crossings"), 0.0)
            measured = run("landscape", name, seed, 0, 0) | {"epochs": []}
            measured["measured"] = {"kinks": value + seed / 10, **others}
            measured["config"] = {"activation": name, "points": 400}
            results.write(complete(measured, "figure-16-landscape") | {"data": None}, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSNB_RESULTS", str(root))
        prose.evidence.cache_clear()
        prose.findings.cache_clear()
        yield
    prose.evidence.cache_clear()
    prose.findings.cache_clear()


# Student's t at 95 %: 3.1824 for n = 4, times the standard deviation 2/√3 over 2; 4.3027 · 0.1/√3 for n = 3.
NUMBERS = {
    "table-3-squeezenet/relu.accuracy": ("88.00\u00a0±\u00a01.84 % (n = 4)", "88.00\u00a0±\u00a01.84% (n = 4)"),
    "table-3-squeezenet/relu.loss": ("0.5000\u00a0±\u00a00.0000 (n = 4)",) * 2,
    "table-3-squeezenet/swish.accuracy": ("91.00 % (n = 1, no interval)", "91.00% (n = 1, 구간 없음)"),
    "table-3-squeezenet/cos-relu.accuracy": (
        "+1.00 [+1.00, +1.00] points (n = 4)",
        "+1.00 [+1.00, +1.00]%p (n = 4)",
    ),
    "table-3-squeezenet/relu-swish.accuracy": (
        "−2.00 points (n = 1, no interval)",
        "−2.00%p (n = 1, 구간 없음)",
    ),
    "table-3-squeezenet/runs": ("9", "9"),
    "table-3-squeezenet/seeds": ("4", "4"),
    "table-3-squeezenet/images": ("50,000", "50,000"),
    "figure-16-landscape/relu.kinks": ("0.60\u00a0±\u00a00.25 (n = 3)",) * 2,
    "figure-16-landscape/runs": ("6", "6"),
    "paper/squeezenet.cos.accuracy": ("89.18 %", "89.18%"),
    "paper/squeezenet.cos-swish.accuracy": ("+0.38 points", "+0.38%p"),
    "paper/mobilenet_v2.cos-relu.loss": ("−0.0106", "−0.0106"),
    "paper/epochs": ("200", "200"),
    "formula/cos.lipschitz": ("1.1218", "1.1218"),
    "formula/cos.minimum": ("−0.037573", "−0.037573"),
    "formula/cos.minimum.at": ("−0.16715", "−0.16715"),
    "formula/swish.minimum.at": ("−1 − W(1/e)", "−1 − W(1/e)"),
    "formula/swish.minimum.near": ("−1.2785", "−1.2785"),
    "formula/cos.asymptotes": ("1/4, x + 1/4", "1/4, x + 1/4"),
    "formula/relu.lipschitz": ("1", "1"),
    "claims/B6": ("right, with a slip", "맞으나 사소한 오류 있음"),
    "claims/P20": ("confirmed in part", "일부 확인됨"),
    "claims/all": ("33", "33"),
    "paper/times": ("1.28 to 1.53", "1.28~1.53"),
    "answer/tables": (
        "Of the paper's three tables, run again at its full length: Table 3",
        "논문과 같은 길이로 다시 학습한 표: 표 3.",
    ),
    "answer/cost": ("not measured yet", "아직 측정되지 않았다"),
}


@pytest.mark.parametrize("key", NUMBERS)
def test_a_key_stands_for_its_number(key, recorded):
    assert (prose.number(key), prose.number(key, "ko")) == NUMBERS[key]


def test_verdicts_are_counted(recorded):
    counted = [part.partition(" ")[::2] for part in prose.number("claims/counts").split("; ")]
    assert sum(int(count) for count, _ in counted) == 33
    assert {word for _, word in counted} >= {"mixed", "not testable"}
    korean = re.findall(r"(\d+)(?:; |$)", prose.number("claims/counts", "ko"))
    assert korean == [count for count, _ in counted]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("accuracy", "is no key"),
        ("table-9/cos.accuracy", "table-9 has no records: there are some of figure-16-landscape, table-3-squeezenet"),
        ("table-3-squeezenet/mish.accuracy", "no 'accuracy' of 'mish': it has records of"),
        ("table-3-squeezenet/cos-.accuracy", "no 'accuracy' of ''"),
        ("table-3-squeezenet/cos.kinks", "no 'kinks' of 'cos'"),
        ("table-3-squeezenet/nonsense", "has no 'nonsense'"),
        ("figure-16-landscape/cos.accuracy", "no 'accuracy' of 'cos'"),
        ("figure-16-landscape/epochs", "has no 'epochs'"),
        ("paper/squeezenet.mish.accuracy", "the paper reports no"),
        ("paper/squeezenet.cos.seconds", "the paper reports no"),
        ("formula/cos.beauty", "cos has no property 'beauty'"),
        ("formula/cos.roots.at", "has no part 'at'"),
        ("formula/nobody.roots", "unknown activation 'nobody'"),
        ("claims/P99", "there is no claim 'P99'"),
    ],
)
def test_an_unknown_key_is_named(key, says, recorded):
    with pytest.raises(CosnbError, match=says):
        prose.number(key)
    with pytest.raises(CosnbError, match="'fr'"):
        prose.number("claims/all", "fr")


def test_activations_without_a_common_seed_have_no_difference(tmp_path, monkeypatch):
    records = [run("squeezenet", "relu", 0, 88, 0.5), run("squeezenet", "cos", 1, 88, 0.5)]
    monkeypatch.setattr(prose, "evidence", lambda: {"table-3-squeezenet": records})
    with pytest.raises(CosnbError, match="no seed in common"):
        prose.number("table-3-squeezenet/cos-relu.accuracy")


def test_the_paper_s_numbers_are_all_within_reach():
    for network, columns in TABLES.items():
        for name, column in columns.items():
            assert prose.number(f"paper/{network}.{name}.accuracy") == f"{column.accuracy:.2f} %"
            assert prose.number(f"paper/{network}.{name}.loss") == f"{column.loss:.4f}"


def test_without_records_no_table_has_been_run_again():
    assert answers.full_tables({}, korean=False).startswith("None of the paper's three tables")
    assert answers.accuracy({}, korean=False).startswith("Not known yet: 0 of the 8 blocks")
    assert answers.accuracy({}, korean=True).startswith("아직 모른다. 첫 판정에 필요한 시드 8개 가운데 0개")

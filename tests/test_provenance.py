"""What tables and figures say of their records: settings, n, device, date, commit, age, and where the files are."""

import json

from synthetic import complete, run, table_records

from cosnb.experiments.results import provenance

RECORDS = [complete(r, "table-3-squeezenet") for r in table_records("squeezenet", {"relu": (88, 1), "cos": (89, 1)})]


def test_says_settings_n_device_date_and_commit():
    said = str(provenance.provenance(RECORDS))
    for part in (
        "SqueezeNet, 50,000 images of CIFAR-10",
        "200 epochs",
        "16 runs, seeds 0 to 7 (ReLU 8, CoS 8)",
        "a GPU",
    ):
        assert part in said
    assert "Recorded 2026-01-02 at commit ccccccc" in said
    assert "**All were recorded with code that has changed since.**" in said  # their digest is made up


def test_a_formula_s_stars_are_not_emphasis():
    own = [json.loads(json.dumps(record)) for record in RECORDS[:1]]
    own[0]["config"]["activation"] = "x*tanh(exp(x))"
    assert r"(x\*tanh(exp(x)) 1)" in str(provenance.provenance(own))


def test_one_measurement_of_all_activations_has_no_seeds():
    config = {"activation": "all", "network": "mobilenet_v2", "batch": 64, "rounds": 20, "device": "cpu", "threads": 2}
    one = complete(run("x", "relu", 0, 0, 0), "cost") | {"config": config, "measured": {}, "data": None, "commit": None}
    said = str(provenance.provenance([one]))
    assert "MobileNet v2, batches of 64 images, 20 rounds. One measurement." in said
    assert ", commit not noted." in said
    assert "**It was recorded with code" in said
    assert "MobileNet v2" in str(provenance.table({"cost": [one]}))


def test_a_surface_s_settings_are_in_words():
    surface = {"points": 41, "reach": 0.5, "lines": 3, "on": 200}
    one = json.loads(json.dumps(RECORDS[0])) | {"measured": {}}
    one["config"] |= surface
    said = provenance.settings([one])
    assert said.startswith("protocol `paper`, SqueezeNet, 50,000 images of CIFAR-10, 200 epochs")
    assert said.endswith("41 points a line, as far as 0.5 times the weights' size, 3 random lines, loss on 200 images")


def test_links_records_that_are_in_the_repository(tmp_path, monkeypatch):
    assert "/results/table-3-squeezenet)." in str(provenance.provenance(RECORDS))
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path))
    (tmp_path / "table-3-squeezenet").mkdir()
    assert "](" not in str(provenance.provenance(RECORDS))


def test_several_groups_and_none():
    other = [json.loads(json.dumps(record)) for record in RECORDS[:2]]
    for record, lr in zip(other, (0.1, 0.01), strict=True):
        record["config"] |= {"epochs": 1, "lr": lr}
    said = str(provenance.provenance(RECORDS, [], other))
    line, head, *parts, end = said.split("\n\n")
    assert line.startswith("*18 runs, recorded 2026-01-02.* **All were recorded")
    assert (head.partition("><")[0], len(parts), end) == ('<details class="provenance"', 2, "</details>")
    assert "learning rate 0.01, 0.1" in said
    assert str(provenance.provenance([])) == ""
    assert [len(group) for group in provenance.split([*RECORDS, *other])] == [16, 2]


def test_a_change_of_the_deciding_code_makes_a_record_older(monkeypatch):
    from cosnb.experiments.records import digest
    from cosnb.experiments.records.digest import code_digest
    from cosnb.experiments.training.config import TrainingConfig

    record = json.loads(json.dumps(RECORDS[0]))
    record["code_digest"] = code_digest(TrainingConfig(**record["config"]))
    assert not provenance.is_older(record)
    monkeypatch.setattr(digest, "_same_code", lambda: {"e" * 16: record["code_digest"]})
    assert not provenance.is_older(record | {"code_digest": "e" * 16})  # earlier code that gave the same numbers
    assert provenance.is_older(record | {"code_digest": "f" * 16})
    assert provenance.is_older(record | {"config": record["config"] | {"a_setting_of_the_past": 1}})


def test_a_measurement_s_code_is_the_module_it_names():
    from cosnb.experiments.diagnostics import landscape
    from cosnb.experiments.records.digest import file_digest

    config = {"activation": "relu", "points": 9}
    record = complete(run("x", "relu", 0, 0, 0), "some") | {
        "config": config,
        "measured": {"kinks": 1.0},
        "data": None,
    }
    assert provenance.is_older(record)  # it names no module
    record |= {"code": "cosnb.experiments.diagnostics.landscape", "code_digest": file_digest(landscape.__file__)}
    assert not provenance.is_older(record)
    for name in ("os", "cosnb.experiments.diagnostics.gone", "cosnb...setup"):
        assert provenance.is_older(record | {"code": name})


def test_details_name_what_a_rerun_needs():
    head, _, row = str(provenance.table({"table-3-squeezenet": RECORDS}, "[{}]".format)).splitlines()
    said = dict(zip(*([cell.strip() for cell in line.strip("|").split(" | ")] for line in (head, row)), strict=True))
    assert said["page and settings"].startswith("[table-3-squeezenet]<br>")
    assert "SHA-256 dddddddddddddddd" in said["data"]
    assert "torch 2.13.0" in said["device and versions"]
    assert "16 ok" in said["runs"]
    assert "changed since for all of them" in said["code"]

"""Formula text is hostile: no code runs, each text is read or refused with one sentence, within 2 s and 500 MiB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import attacks
from counting import Tally

ITEM = "1 formula text"
HERE = Path(__file__).parent
SECONDS, MIB = 2.0, 500.0


def read(texts: list[str], folder: Path) -> list[dict[str, object]]:
    """Return what `read_formulas` says of each text."""
    (folder / "texts.json").write_text(json.dumps(texts))
    program = [sys.executable, str(HERE / "read_formulas.py"), str(folder / "texts.json"), str(folder / "out")]
    subprocess.run(program, check=True, timeout=280, env={**os.environ, "PYTHONHASHSEED": "0"})
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


def is_one_sentence(message: str) -> bool:
    """Say whether a refusal is one line of sensible length; the text and a mark under its column may follow."""
    first, *rest = message.split("\n")
    return (
        15 < len(first) < 1000
        and len(rest) in (0, 2)
        and len(message) < 1200
        and message.replace("\n", "").isprintable()
    )


def complaints(text: str, outcome: dict[str, object]) -> list[str]:
    """Return what is wrong with how reading `text` ended."""
    found = []
    if outcome["ended"] == "failed":
        found.append(f"{outcome['message']}")
    if outcome["ended"] == "refused" and not is_one_sentence(str(outcome["message"])):
        found.append(f"not one sentence: {outcome['message']!r:.300}")
    if outcome["events"]:
        found.append(f"it did {outcome['events']}")
    if outcome["seconds"] > SECONDS:
        found.append(f"{outcome['seconds']:.1f} s")
    if outcome["mib"] > MIB:
        found.append(f"{outcome['mib']:.0f} MiB")
    return [f"{text!r:.80}: {what}" for what in found]


@pytest.mark.long
def test_no_attack_runs_or_lasts(tally: Tally, tmp_path: Path) -> None:
    texts = list(attacks())
    assert len(texts) >= 2000
    outcomes = read(texts, tmp_path)
    assert len(outcomes) == len(texts)
    tally(len(texts), [c for text, outcome in zip(texts, outcomes, strict=True) for c in complaints(text, outcome)])


def test_the_corpus_of_the_fuzzer(tally: Tally, tmp_path: Path) -> None:
    texts = [path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted((HERE / "corpus").iterdir())]
    assert len(texts) >= 20
    outcomes = read(texts, tmp_path)
    tally(len(texts), [c for text, outcome in zip(texts, outcomes, strict=True) for c in complaints(text, outcome)])


def test_the_drill_sees_what_runs(tmp_path: Path) -> None:
    """The watch itself: an import and a file opened while a text is read are noted."""
    program = (
        "import sys; sys.argv = ['', sys.argv[1], sys.argv[2]]\n"
        "import cosnb.activations as a\n"
        "original = a.activation\n"
        "def spy(text):\n"
        "    if text == 'x': open(__import__('os').devnull).close()\n"
        "    return original(text)\n"
        "a.activation = spy\n"
        f"exec(open({str(HERE / 'read_formulas.py')!r}).read())\n"
    )
    (tmp_path / "texts.json").write_text('["x", "x*x"]')
    arguments = [str(tmp_path / "texts.json"), str(tmp_path / "out")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, timeout=120)
    first, second = (json.loads(line) for line in (tmp_path / "out").read_text().splitlines())
    assert any(event.startswith("open") for event in first["events"])
    assert second["events"] == []

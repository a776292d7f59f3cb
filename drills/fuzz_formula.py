"""Coverage-guided fuzzing of the formula parser (atheris, LibFuzzer): ten minutes find nothing.

    pip install -r requirements/fuzz.lock
    python drills/fuzz_formula.py -max_total_time=600 -timeout=2 -rss_limit_mb=900 CORPUS

Ends with an error, and writes the text to a file crash-…, where a text raises anything but CosnbError, or takes longer
than 2 s. `drills/corpus` is what it found worth keeping, reduced by `-merge=1 drills/corpus CORPUS`.
"""

import sys

import atheris

with atheris.instrument_imports(include=["cosnb.symbolic.parsing", "cosnb.symbolic.grammar"]):
    from cosnb.symbolic.parsing import from_text

from cosnb.errors import CosnbError


def read(data: bytes) -> None:
    """Read one text."""
    try:
        from_text(data.decode("utf-8", "surrogateescape"))
    except CosnbError as error:
        if not str(error).replace("\n", "").isprintable():
            raise AssertionError(f"a refusal that cannot be printed: {error!r}") from None


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()

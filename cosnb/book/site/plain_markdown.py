"""Markdown of notebooks, plain for any Jupyter, as the site has it: links become citations of the bibliography.

In a notebook one reads ([Misra, 2020](https://arxiv.org/abs/1908.08681)), with "; " between several. The text is the
bibliography's label and the target the entry's own address. When Sphinx reads a page, such links become the role
`cite`, a solution in `<details>` the directive `dropdown`, and an anchor the target of an equation, which no other
reader of notebooks knows.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import yaml
from pybtex.database import Entry, Person, parse_file

_LINK = r"\[[^\]]+\]\([^)\s]+\)"
_CITED = re.compile(rf"\(({_LINK}(?:; {_LINK})*)\)")
_ANCHOR = re.compile(r'^<a id="(eq-\d+)"></a>$', re.MULTILINE)
_DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)


class Source(NamedTuple):
    """An entry of the bibliography: its key, and where one finds the work, or else the entry."""

    key: str
    address: str


def sources(root: Path) -> dict[str, Source]:
    """Return {label: source} of the bibliography in the repository at `root`."""
    site = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
    entries = parse_file(str(root / "book" / "references.bib")).entries
    named = zip(labels(list(entries.values())), entries.items(), strict=True)
    return {label: Source(key, _address(entry, f"{site}book/references.html")) for label, (key, entry) in named}


def labels(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield each entry's label: last names of one or two authors, "et al." after the first of more, and the year.

    Of equal ones the second gets a b, and so on.
    """
    seen: Counter[str] = Counter()
    for entry in entries:
        names = [_last(person) for person in entry.persons.get("author") or entry.persons.get("editor") or []]
        shown = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        label = f"{shown}, {entry.fields['year']}"
        yield label + (chr(ord("a") + seen[label]) if seen[label] else "")
        seen[label] += 1


def for_site(text: str, known: Mapping[str, Source]) -> str:
    """Return a Markdown cell's text as the site has it."""

    def cite(found: re.Match[str]) -> str:
        names = re.findall(r"\[([^\]]+)\]", found[1])
        if not all(name in known for name in names):
            return found[0]
        return "{cite}`" + ",".join(known[name].key for name in names) + "`"

    text = _ANCHOR.sub(r"(\1)=", _CITED.sub(cite, text))
    return _DETAILS.sub(r"````{dropdown} \1\n\2\n````", text)


def _last(person: Person) -> str:
    return " ".join(str(name) for name in [*person.rich_prelast_names, *person.rich_last_names])


def _address(entry: Entry, other: str) -> str:
    fields = entry.fields
    if "doi" in fields:
        return f"https://doi.org/{quote(fields['doi'])}"  # one has parentheses, which would end a link
    return f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else fields.get("url", other)

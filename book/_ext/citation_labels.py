"""Labels of the bibliography as citations in the text have them: "Han and Kang, 2021"."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pybtex.database import Entry, Person
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle


class AuthorYear(BaseLabelStyle):
    """Last names of one or two authors, "et al." after the first of more, and the year."""

    def format_labels(self, entries: Sequence[Entry]) -> Iterator[str]:
        """Return the label of each entry; of equal ones the second gets a b, and so on."""
        seen: Counter[str] = Counter()
        for entry in entries:
            names = [_last(person) for person in entry.persons.get("author") or entry.persons.get("editor") or []]
            shown = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            label = f"{shown}, {entry.fields['year']}"
            yield label + (chr(ord("a") + seen[label]) if seen[label] else "")
            seen[label] += 1


class Labelled(Style):
    """Entries by author, with these labels."""

    default_sorting_style = "author_year_title"
    default_label_style = "cosnb_author_year"


def _last(person: Person) -> str:
    return " ".join(str(name) for name in [*person.rich_prelast_names, *person.rich_last_names])


def setup(app: Any) -> dict[str, Any]:
    """Register with pybtex, whose style the configuration names."""
    register_plugin("pybtex.style.labels", "cosnb_author_year", AuthorYear)
    register_plugin("pybtex.style.formatting", "cosnb_author_year", Labelled)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

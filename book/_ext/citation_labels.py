"""Labels of the bibliography as citations in the text have them: "Han and Kang, 2021"."""

from collections.abc import Iterator, Sequence
from typing import Any

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle

from cosnb.book.site.plain_markdown import labels


class AuthorYear(BaseLabelStyle):
    """Last names and the year."""

    def format_labels(self, entries: Sequence[Entry]) -> Iterator[str]:
        """Return the label of each entry."""
        return labels(entries)


class Labelled(Style):
    """Entries by author, with these labels."""

    default_sorting_style = "author_year_title"
    default_label_style = "cosnb_author_year"


def setup(app: Any) -> dict[str, Any]:
    """Register with pybtex, whose style the configuration names."""
    register_plugin("pybtex.style.labels", "cosnb_author_year", AuthorYear)
    register_plugin("pybtex.style.formatting", "cosnb_author_year", Labelled)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

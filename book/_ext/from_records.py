"""Roles and directives that print what records, formulas and verdicts say, so that nothing of it is typed into a page.

    {result}`table-3-squeezenet/cos.accuracy`  a number with interval and unit (`result-ko`: words in Korean)
    {verdict}`P12`                             the verdict on a claim, as a badge (`verdict-ko`)
    {repository}`README.md`                    a link to a file or folder of the repository, at its public address
    ```{records-table}                         where every recorded run comes from
    ```{worked-verdict}                        one recorded contrast with its verdict, drawn

Keys are those of `cosnb.book.prose`. An unknown one is a warning, which fails a build with `-W`.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from cosnb.book import answers, notebooks, prose
from cosnb.book.claims.finding import MARKS, style
from cosnb.book.plots import save_svg
from cosnb.errors import CosnbError
from cosnb.experiments.results import provenance
from cosnb.experiments.statistics import Verdict
from cosnb.paths import repository_address

logger = logging.getLogger(__name__)


class FromRecords(SphinxRole):
    """A role whose text is a key; what `show` makes of it depends on records, so its page is read in every build."""

    def __init__(self, show: Callable[[str, str], nodes.Node], language: str) -> None:
        self.show, self.language = show, language

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return what the key stands for, or a warning where it stands for nothing."""
        self.env.note_reread()
        try:
            return [self.show(self.text, self.language)], []
        except CosnbError as error:
            logger.warning("%s: %s", self.name, error, location=self.get_location(), type="cosnb", subtype="key")
            return [nodes.problematic(self.rawtext, self.rawtext)], []


def show_number(key: str, language: str) -> nodes.Node:
    """Return a number's text."""
    return nodes.inline("", prose.number(key, language), classes=["result"])


def show_verdict(key: str, language: str) -> nodes.Node:
    """Return a claim's verdict as a badge: a sign and a word, so that colour says nothing alone."""
    verdict = Verdict(prose.number(f"claims/{key}").removesuffix(" in part"))
    word = prose.number(f"claims/{key}", language)
    return nodes.inline("", f"{MARKS[verdict]}\u00a0{word}", classes=style(verdict).split())


class Repository(SphinxRole):
    """A link to a file or folder of the repository."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link; its text is the path."""
        path = self.text.strip()
        link = nodes.reference("", "", nodes.literal("", path), refuri=f"{repository_address()}/{path}", internal=False)
        return [link], []


class Generated(SphinxDirective):
    """A directive whose content is Markdown that is made when the page is read."""

    def parse(self, markdown: str) -> list[nodes.Node]:
        """Return the nodes of `markdown`."""
        self.env.note_reread()
        holder = nodes.container(classes=["from-records"])
        lines = StringList(markdown.splitlines(), source=self.env.docname)
        self.state.nested_parse(lines, self.content_offset, holder)
        return [holder]


class RecordsTable(Generated):
    """Every group of records with its settings, devices, versions, dates, commits and code, then what has none."""

    def run(self) -> list[nodes.Node]:
        """Return the table, a row a group."""
        evidence, runs = prose.evidence(), notebooks.read_runs()
        parts = [str(provenance.table(evidence, self.link))]
        recorded = {runs[name].notebook for name, records in evidence.items() if records and name in runs}
        keeping = [run for run in runs.values() if "keep" in run.parameters["full"]]
        missing = [self.link(run.name) for run in keeping if run.notebook not in recorded]
        return self.parse("\n\n".join([*parts, f"No record yet: {', '.join(missing)}."] if missing else parts))

    def link(self, experiment: str) -> str:
        """Return an experiment's title, a link where its notebook is a page."""
        run = notebooks.read_runs().get(experiment)
        if run is None:
            return experiment
        page = f"notebooks/{run.notebook}"
        return f"{{doc}}`{run.title} </{page}>`" if page in self.env.found_docs else run.title


class WorkedVerdict(Generated):
    """One recorded contrast read in words, and its figure; nothing before there is one."""

    def run(self) -> list[nodes.Node]:
        """Return the sentence and the figure."""
        self.env.note_reread()
        if (found := answers.worked(prose.evidence())) is None:
            return []
        text, figure = found
        buffer = io.StringIO()
        save_svg(figure, buffer)
        data = base64.b64encode(buffer.getvalue().encode()).decode()
        alt = "A number line of the difference: its mean and interval, zero, and the claimed lead as a diamond; right "
        alt += "of zero is the claimed side, left of it the other side"
        image = f'<p><img class="worked-verdict" alt="{alt}" src="data:image/svg+xml;base64,{data}"></p>'
        return [*self.parse(text), nodes.raw("", image, format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    for language, suffix in (("en", ""), ("ko", "-ko")):
        app.add_role(f"result{suffix}", FromRecords(show_number, language))
        app.add_role(f"verdict{suffix}", FromRecords(show_verdict, language))
    app.add_role("repository", Repository())
    app.add_directive("records-table", RecordsTable)
    app.add_directive("worked-verdict", WorkedVerdict)
    app.add_css_file("records.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

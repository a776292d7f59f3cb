"""Subsections of one section as tabs; in Jupyter, where this does not run, they follow each other."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_design.shared import create_component

SECTIONS = {"notebooks/tables": "network-by-network"}  # the section's id, by page
SCRIPT = "tabs.js"


class TabSections(SphinxPostTransform):
    """Puts each subsection of a page's section into a tab of sphinx-design, its title on the tab and in it.

    The page's list of contents, made before, keeps the subsections; `tabs.js` opens the tab that a link leads into.
    """

    default_priority = 150  # before sphinx-design makes HTML of its tabs, at 200
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Change the page's section, if it has one."""
        wanted = SECTIONS.get(self.env.docname)
        for section in list(self.document.findall(nodes.section)) if wanted else []:
            if wanted in section["ids"]:
                parts = [child for child in section if isinstance(child, nodes.section)]
                place = section.index(parts[0])
                for part in parts:
                    section.remove(part)
                tabs = create_component("tab-set", classes=["sd-tab-set"], children=[tab(part) for part in parts])
                section.insert(place, tabs)


def tab(section: nodes.section) -> nodes.container:
    """Return a section as a tab; what its title has before a colon is left out of the label on a narrow screen."""
    title = section[section.first_child_matching_class(nodes.title)]
    label = nodes.rubric("", "", *(child.deepcopy() for child in title), classes=["sd-tab-label"])
    before, colon, name = title.astext().partition(": ")
    if colon and len(title) == 1:
        label.clear()
        label += [nodes.inline("", before + colon, classes=["on-wide-screens"]), nodes.Text(name)]
    content = create_component("tab-content", classes=["sd-tab-content"], children=[section])
    item: nodes.container = create_component("tab-item", classes=["sd-tab-item"], children=[label, content])
    return item


def add_script(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.Node) -> None:
    """Let a page with such tabs load the script."""
    if app.builder.format == "html" and pagename in SECTIONS:
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_post_transform(TabSections)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

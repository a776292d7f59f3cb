"""Under each table and figure made of records, a link to the page's provenance and to the records."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from cosnb.paths import repository_address

PLACE = "provenance"  # its anchor


class NoteProvenance(SphinxPostTransform):
    """Puts a link to the provenance under each table and figure that a cell shows after it.

    The provenance is the paragraph of `results.provenance` that links records. A cell after it that shows something
    else, computed on the page, is tagged `computed`; a cell before it, a page's first figure, is tagged `records`.
    """

    default_priority = 20  # after MyST-NB has chosen each output's format

    def run(self, **kwargs: Any) -> None:
        """Go through the page's cells in order."""
        place, cells = "", list(self.document.findall(_is_cell))
        first = next((cell for cell in cells if any(map(_records, cell.findall(nodes.paragraph)))), None)
        links = _links(first) if first is not None else []
        for cell in cells:
            tags = cell["cell_metadata"].get("tags", [])
            source = next((node for node in cell.findall(nodes.paragraph) if _records(node)), None)
            if source is not None:
                place = PLACE
                source["ids"].append(place)
                links = _links(cell)
            elif (place and "computed" not in tags) or (first is not None and "records" in tags):
                captions = list(cell.findall(nodes.caption))
                for shown in captions or cell.findall(nodes.table):  # a table that has a caption needs one link
                    _add_note(shown, PLACE, links)


def _is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def _links(cell: nodes.container) -> list[nodes.reference]:
    return [link.deepcopy() for paragraph in cell.findall(nodes.paragraph) for link in _records(paragraph)]


def _records(paragraph: nodes.Element) -> list[nodes.reference]:
    root = f"{repository_address()}/results/"
    return [link for link in paragraph.findall(nodes.reference) if link.get("refuri", "").startswith(root)]


def _add_note(shown: nodes.Element, place: str, links: list[nodes.reference]) -> None:
    note = nodes.inline("", "", classes=["provenance-note"])
    note += nodes.reference("", "data, n, device, date, commit", internal=True, refid=place)
    for link in links if len(links) == 1 else ():
        note += [nodes.Text("; "), nodes.reference("", "records", internal=False, refuri=link["refuri"])]
    if isinstance(shown, nodes.table):
        shown.parent.insert(shown.parent.index(shown) + 1, nodes.paragraph("", "", note, classes=["provenance-note"]))
    else:
        shown += [nodes.Text(" "), note]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_post_transform(NoteProvenance)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Markdown of notebooks as the site has it, put in while Sphinx reads them: the copies for download stay plain."""

import json
from typing import Any

from cosnb.book.site import plain_markdown
from cosnb.paths import repository_root


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    known = plain_markdown.sources(repository_root())

    def read(app: Any, name: str, source: list[str]) -> None:
        if name.startswith("notebooks/"):
            notebook = json.loads(source[0])
            for cell in notebook["cells"]:
                if cell["cell_type"] == "markdown":
                    cell["source"] = plain_markdown.for_site("".join(cell["source"]), known)
            source[0] = json.dumps(notebook)

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

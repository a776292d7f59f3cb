"""Checks of a built site's pages: nothing loaded from elsewhere, no dead link or anchor, no image without text."""

from collections.abc import Callable
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
_NOT_LOADED = {"canonical", "next", "prev", "search", "index", "license", "author"}  # <link rel=...> that fetch nothing
_PICTURES = (".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp")


def pages(site: Path) -> list[Path]:
    """Return the site's pages, sorted, without the theme's templates in _static and the page for missing pages."""
    found = (page for page in site.rglob("*.html") if "_static" not in page.relative_to(site).parts)
    return sorted(page for page in found if page.name != "404.html")


def check(site: Path) -> list[str]:
    """Return the faults of a built site's pages, one a line.

    A page may load nothing from the network and only files that exist. A link inside the site must lead to a file and
    to an anchor in it. An image needs an alternative text, which may be empty only outside the article and may not be a
    file's name.
    """
    faults = []
    read = lru_cache(maxsize=None)(_Page)
    for page in pages(site):
        content = read(page)
        found = [
            *(_loading(page, tag, url) for tag, url in content.loaded),
            *(_link(page, url, read) for url in content.links),
        ]
        found += [f"the image {url[:80]} has no alternative text, but {text!r}" for url, text in content.mute]
        faults += [f"{page.relative_to(site)}: {fault}" for fault in found if fault]
    return faults


def _loading(page: Path, tag: str, url: str) -> str | None:
    """Return what is wrong with a file that a page loads."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") or parts.netloc:
        return f"<{tag}> loads {url}"
    if not parts.scheme and parts.path and not (page.parent / unquote(parts.path)).exists():
        return f"<{tag}> needs {url}, which is missing"
    return None


def _link(page: Path, url: str, read: Callable[[Path], "_Page"]) -> str | None:
    """Return what is wrong with a link."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return f"the link to {url} leads nowhere"
    if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
        return f"the link to {url} names an anchor that is not there"
    return None


class _Page(HTMLParser):
    """A page's anchors, links, what it loads, and its images without an alternative text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[tuple[str, str]] = []
        self.mute: list[tuple[str, str | None]] = []
        self._articles = 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._articles += tag == "article"
        self.anchors |= {name for name in (values.get("id"), values.get("name")) if name}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        url = values.get(_LOADED.get(tag, ""))
        if url and not (tag == "link" and _NOT_LOADED & set((values.get("rel") or "").split())):
            self.loaded.append((tag, url))
        if tag == "img" and self._is_mute(text := values.get("alt")):
            self.mute.append((values.get("src") or "", text))

    def _is_mute(self, text: str | None) -> bool:
        return text is None or bool(self._articles and (not text.strip() or text.endswith(_PICTURES)))

    def handle_endtag(self, tag: str) -> None:
        self._articles -= tag == "article"

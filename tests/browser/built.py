"""The built site that these tests read, and what to do where it or a browser is missing."""

import os

import pytest

from cosnb.book.site.build import pages
from cosnb.paths import repository_root

SITE = repository_root() / "_build" / "site"
PAGES = [page.relative_to(SITE).as_posix() for page in pages(SITE)]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def unavailable(reason: str) -> None:
    """Skip, saying why; in CI a skip is a failure."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

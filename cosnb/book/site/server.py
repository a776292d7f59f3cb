"""A local web server for the built site: browsers start no engine from a file."""

import functools
import http.server
import sys
from pathlib import Path

from cosnb.errors import CosnbError


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012  (as the base class has it)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",  # else it is compiled only when all of it is there
    }

    def log_message(self, *arguments: object) -> None:
        """Say nothing of each request."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where a reader went to another page before all of this one had been sent."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def server(site: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Return a server of the folder `site` on this machine alone, at `port` or a free one; CosnbError where none is."""
    if not (site / "index.html").is_file():
        raise CosnbError(f"there is no site in {site}: say `cosnb book` first")
    return _Server(("127.0.0.1", port), functools.partial(_Handler, directory=str(site)))


def address(served: http.server.ThreadingHTTPServer) -> str:
    """Return the address of the site."""
    return f"http://127.0.0.1:{served.server_port}/"

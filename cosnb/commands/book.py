"""Commands that run notebooks and show them: run, book, serve, report."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError


def add_to(commands: Any) -> None:
    """Add the commands run, book, serve and report."""
    run = commands.add_parser(
        "run",
        help="run notebooks with papermill",
        description="Run notebooks with papermill and write the executed copies to _build/notebooks. With --profile "
        "full, a notebook first trains the runs that have no record yet and then shows all records.",
    )
    run.add_argument("name", metavar="NAME", nargs="+", help="a notebook, such as derive-cos")
    run.add_argument("--profile", default="quick", help="quick (CPU, minutes; the default) or full (GPU, hours)")
    run.add_argument(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter instead of the profile's value: a TOML number, boolean or array; anything else is text",
    )
    run.add_argument("--seeds", metavar="SEEDS", help="set the parameter seeds, such as 0:20 (0 to 19) or 0,4,7")
    run.add_argument("--activations", metavar="NAMES", help="set the parameter activations, such as relu,cos")
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="train the missing runs on the Dask cluster at this address (tcp://host:8786), one task for each "
        "configuration and seed; runs on a GPU go to workers started with --resources GPU=1; local:4 "
        "starts four processes on this machine",
    )
    run.set_defaults(command=_run)

    book = commands.add_parser(
        "book",
        help="run the notebooks' quick profile, then build the site",
        description="Run the quick profile of every notebook that is a page and has changed in source, parameters, "
        "code or records. Then build the site and print the path of its first page.",
    )
    which = book.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="run every notebook, whether changed or not")
    which.add_argument("--reuse", action="store_true", help="run no notebook; use the copies executed last")
    book.set_defaults(command=_book)
    for command in (run, book):
        command.add_argument(
            "--jobs", type=int, metavar="N", help="notebooks run at a time (default: 2; 1 on a single core)"
        )

    serve = commands.add_parser(
        "serve",
        help="serve the built site on this machine",
        description="Serve _build/site to this machine only and print its address; Ctrl-C ends it. The page “Try your"
        " own formula” needs a server; the others can be opened as files.",
    )
    serve.add_argument("--port", type=int, default=0, help="the port (default: any free one)")
    serve.set_defaults(command=_serve)

    report = commands.add_parser(
        "report",
        help="write a page about your own activation",
        description="Run the notebook your-own-activation for a formula, write one HTML page that needs no network, "
        "print its path and open it in the browser. The page has derivatives, properties, a comparison, "
        "code, accuracy, speed and a short training; it takes about a minute and a half.",
    )
    report.add_argument(
        "formula",
        metavar="NAME_OR_FORMULA",
        help="a catalogue name such as mish, or a formula such as 'x*tanh(exp(x))'",
    )
    report.add_argument(
        "-p", "--parameter", metavar="NAME=VALUE", action="append", default=[], help="set a parameter, such as a=5"
    )
    report.add_argument("--output", metavar="FILE", help="the file to write (default: NAME.html in this folder)")
    report.add_argument("--no-open", dest="open", action="store_false", help="do not open the page in the browser")
    report.set_defaults(command=_make_report)


def _run(options: argparse.Namespace) -> int:
    from cosnb.book import notebooks

    overrides = dict(notebooks.parse_override(text) for text in options.parameter)
    overrides |= {name: given for name in ("seeds", "activations") if (given := getattr(options, name)) is not None}
    failures = notebooks.run(options.name, options.profile, overrides, options.jobs, scheduler=options.scheduler)
    failed = {failure.name for failure in failures}
    for name in dict.fromkeys(options.name):
        if name not in failed:
            print(notebooks.executed_path(name, options.profile))
    return _report(failures)


def _book(options: argparse.Namespace) -> int:
    from cosnb.book import notebooks
    from cosnb.book.site import build
    from cosnb.book.site.stage import notebook_pages
    from cosnb.paths import repository_root

    if not (repository_root() / "_config.yml").exists():
        raise CosnbError("the book is built from a clone of the repository, and this is the installed package alone")
    with build.Builder() as builder:
        if not options.reuse:
            pages = notebook_pages(repository_root())
            code = _report(notebooks.run(pages, "quick", jobs=options.jobs, reuse=not options.all))
            if code:
                return code
        print("site: building")
        print(builder.build())
    return 0


def _serve(options: argparse.Namespace) -> int:
    from cosnb.book.site.server import address, server
    from cosnb.paths import repository_root

    with server(repository_root() / "_build" / "site", options.port) as served:
        print(address(served), flush=True)
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            print("cosnb: stopped; nothing is left running.", file=sys.stderr)
    return 0


def _make_report(options: argparse.Namespace) -> int:
    import webbrowser

    from cosnb.book.parameters import parse_values
    from cosnb.book.report.command import report
    from cosnb.paths import is_stream

    output = Path(options.output) if options.output else None
    path = report(options.formula, parse_values(options.parameter), output)
    if is_stream(path):
        return 0
    print(path)
    if options.open:
        webbrowser.open(path.as_uri())
    return 0


def _report(failures: Sequence[object]) -> int:
    for failure in failures:
        print(f"cosnb: {failure}", file=sys.stderr)
    return 1 if failures else 0

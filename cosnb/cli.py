"""The command `cosnb`: run notebooks, build the book, look at data and records, export and measure activations."""

import argparse
import sys
from collections.abc import Sequence

from cosnb.commands import book, experiments, formulas, gpu
from cosnb.errors import CosnbError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 a notebook failed, 2 a mistake the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except CosnbError as error:
        print(f"cosnb: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"cosnb: the package {error.name} is missing: install cosnb with its extra `book`.", file=sys.stderr)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"cosnb: {error.filename}: {error.strerror}; is the folder there and writable?", file=sys.stderr)
    except KeyboardInterrupt:
        print("cosnb: stopped; nothing is left running.", file=sys.stderr)
        return 130
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cosnb",
        description="Run the book's notebooks, build its site, look at data and recorded runs, export code.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (book, experiments, formulas, gpu):
        group.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

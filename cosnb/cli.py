"""The command `cosnb`: runs notebooks, builds the book, inspects data and records, and exports activations."""

import argparse
import os
import sys
from collections.abc import Sequence

import cosnb
from cosnb.commands import book, completion, experiments, formulas, gpu
from cosnb.errors import CosnbError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 a notebook failed, 2 an error of the user."""
    try:
        options = _parser().parse_args(arguments)
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, `head` for one, has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 0
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
        description="Run the book's notebooks, build its site, inspect data and records, and measure and export "
        "activations.",
    )
    parser.add_argument("--version", action="version", version=f"cosnb {cosnb.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (book, experiments, formulas, gpu):
        group.add_to(commands)
    completion.add_to(commands, parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())

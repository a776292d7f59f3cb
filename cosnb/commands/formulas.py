"""Commands on one activation's code: export, accuracy."""

import argparse
import sys
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError


def add_to(commands: Any) -> None:
    """Add the commands export and accuracy."""
    export = commands.add_parser(
        "export",
        help="write an activation as files that need no cosnb",
        description="Write an activation as a Python file for PyTorch and a C header, neither of which needs cosnb, "
        "and print their paths. The head of each gives formula, derivative, error and speed, measured "
        "now.",
    )
    export.add_argument(
        "formula", metavar="NAME_OR_FORMULA", help="a catalogue name such as cos, or a formula such as 'x*sigmoid(a*x)'"
    )
    export.add_argument("--output", metavar="DIR", default=".", help="the folder to write to (default: this one)")
    export.add_argument("--name", metavar="FILE", help="the name of files and functions (default: the activation's)")
    export.add_argument(
        "-p", "--parameter", metavar="NAME=VALUE", action="append", default=[], help="set a parameter, such as a=5"
    )
    export.add_argument("--force", action="store_true", help="overwrite existing files")
    export.set_defaults(command=_export)

    accuracy = commands.add_parser(
        "accuracy",
        help="measure the error of an activation's code in ulp",
        description="Measure the error of f, f' and f'' against high precision, for every target and number format "
        "available here, and print a Markdown table. Inputs: all 16-bit numbers, 2^18 float32 numbers "
        "(with --full 2^24, on CUDA all), 2^12 float64 numbers (with --full 2^16). Class 1: |f| is at "
        "least 2^-6 of its largest term; the error is in ulp of f. Class 2: all other inputs; the error "
        "is in ulp of the largest term. With --record, all float32, bfloat16 and float16 numbers are "
        "inputs, on CUDA also for the Triton kernels and those of Inductor, and each activation is "
        "recorded under results/. Run again, it continues with those that have no record.",
    )
    accuracy.add_argument(
        "formula",
        metavar="NAME_OR_FORMULA",
        nargs="+",
        help="a catalogue name such as cos, or a formula such as 'x*sigmoid(2*x)'; with --record several, or "
        "all for the whole catalogue",
    )
    accuracy.add_argument(
        "--target",
        action="append",
        help="c, pytorch, compiled, numpy, triton (CUDA) or inductor (CUDA, compiled); may be repeated "
        "(default: all, the compiled ones only with --full)",
    )
    accuracy.add_argument(
        "--format", action="append", help="float32, float64, bfloat16 or float16; may be repeated (default: all)"
    )
    accuracy.add_argument(
        "--order", type=int, choices=(0, 1, 2), help="the order of the derivative (default: all three)"
    )
    accuracy.add_argument(
        "--full", action="store_true", help="use many more inputs, which takes minutes instead of one"
    )
    accuracy.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="use every N-th float32 number, also on a CPU (default with --record: 1, all)",
    )
    accuracy.add_argument("--record", action="store_true", help="measure what has no record yet, and record it")
    accuracy.add_argument(
        "--minutes", type=float, metavar="M", help="with --record: start no activation after M minutes"
    )
    accuracy.add_argument("--json", metavar="FILE", help="write the numbers as JSON, with the largest error along x")
    accuracy.add_argument("--plot", metavar="FILE", help="draw the largest error along x as SVG")
    accuracy.set_defaults(command=_accuracy)


def _export(options: argparse.Namespace) -> int:
    from cosnb.activations import activation
    from cosnb.book.parameters import parse_values
    from cosnb.export import export

    values: dict[str, Any] = dict(parse_values(options.parameter))
    act = activation(options.formula, **values)
    for path in export(act, Path(options.output), options.name, options.force):
        print(path)
    return 0


def _accuracy(options: argparse.Namespace) -> int:
    if options.record:
        return _record_accuracy(options)
    import json

    from cosnb import accuracy
    from cosnb.activations import activation

    if len(options.formula) > 1:
        raise CosnbError("more than one activation at once only with --record")
    subject = activation(options.formula[0])
    measurements = accuracy.measure(
        subject,
        options.target or (),
        options.format or (),
        (0, 1, 2) if options.order is None else (options.order,),
        options.full,
        lambda line: print(f"{line} ...", file=sys.stderr),
        options.stride,
    )
    print(f"{subject.formula.title}: f(x) = {subject.expr}\n")
    print(accuracy.table(measurements))
    record = accuracy.record(subject, measurements)
    if options.json:
        Path(options.json).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        from cosnb.book.plots.accuracy import errors_over_x
        from cosnb.book.plots.style import save_svg

        save_svg(errors_over_x(record), options.plot)
    return 0


def _record_accuracy(options: argparse.Namespace) -> int:
    from cosnb import accuracy
    from cosnb.experiments.diagnostics import exhaustive
    from cosnb.symbolic.catalogue import CATALOGUE

    if options.format or options.order is not None or options.json or options.plot:
        raise CosnbError(
            "--record keeps all derivatives and the formats up to 32 bits: leave out --format, --order, "
            "--json and --plot"
        )
    names = list(CATALOGUE) if options.formula == ["all"] else options.formula
    left = exhaustive.record_missing(
        names,
        options.target or (),
        options.stride or 1,
        options.minutes,
        say=lambda line: print(f"{line} ...", file=sys.stderr),
        done=lambda act, found: print(
            f"\n{act.formula.title}: f(x) = {act.expr}\n\n{accuracy.table(found)}", flush=True
        ),
    )
    print(f"\n{len(names) - len(left)} recorded" + (f", left: {', '.join(left)}" if left else ""))
    return 0

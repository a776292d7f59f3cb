"""The command `cosnb`: run notebooks, build the book, look at data and records, export and measure activations."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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


def _run(options: argparse.Namespace) -> int:
    from cosnb.book import notebooks

    overrides = dict(notebooks.parse_override(text) for text in options.parameter)
    overrides |= {name: given for name in ("seeds", "activations") if (given := getattr(options, name)) is not None}
    failures = notebooks.run(
        options.name,
        options.profile,
        overrides,
        options.jobs,
        scheduler=options.scheduler,
    )
    failed = {failure.name for failure in failures}
    for name in dict.fromkeys(options.name):
        if name not in failed:
            print(notebooks.executed_path(name, options.profile))
    return _report(failures)


def _book(options: argparse.Namespace) -> int:
    from cosnb.book import notebooks
    from cosnb.book.site import build

    with build.Builder() as builder:
        if not options.reuse:
            names = list(notebooks.read_runs())
            code = _report(notebooks.run(names, "quick", jobs=options.jobs, reuse=not options.all))
            if code:
                return code
        print("site: building")
        print(builder.build())
    return 0


def _campaign(options: argparse.Namespace) -> int:
    import torch

    from cosnb.experiments.runner import campaign

    stages = campaign.get(options.name)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    executor = options.executor or ("streams" if device.startswith("cuda") else "auto")
    if options.rehearse:
        return 0 if campaign.rehearse(stages, device, options.max_parallel, executor) else 1
    if not options.list:
        campaign.carry_out(stages, options.minutes, device, max_parallel=options.max_parallel, executor=executor)
    print(campaign.table(campaign.progress(stages, device)))
    return 0


def _report(failures: Sequence[object]) -> int:
    for failure in failures:
        print(f"cosnb: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _data(options: argparse.Namespace) -> int:
    from cosnb.experiments import data
    from cosnb.paths import data_dir

    if options.download:
        data.load(options.download)
    print(f"Data folder: {data_dir()}")
    for name in ("cifar10", "mnist", "digits"):
        try:
            found = data.load(name, download=False)
        except CosnbError as error:
            print(f"{name:8} {error}")
        else:
            print(f"{name:8} {len(found.train_images):,} + {len(found.test_images):,} images, {found.digest[:10]}")
    return 0


def _results(options: argparse.Namespace) -> int:
    from cosnb.experiments import results
    from cosnb.experiments.results.summary import group
    from cosnb.paths import results_dir

    folder = results_dir()
    print(f"Results folder: {folder}")
    for experiment in sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []:
        print(experiment)
        for settings, records in group(results.read(experiment)):
            print("  " + ", ".join(f"{key} {value}" for key, value in settings.items()))
            counts = Counter((record["config"]["activation"], record["status"]) for record in records)
            print("    " + ", ".join(f"{name}: {count} {status}" for (name, status), count in counts.items()))
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


def _export(options: argparse.Namespace) -> int:
    from cosnb.activations import activation
    from cosnb.export import export

    act = activation(options.formula, **_values(options.parameter))
    for path in export(act, Path(options.output), options.name, options.force):
        print(path)
    return 0


def _make_report(options: argparse.Namespace) -> int:
    import webbrowser

    from cosnb.book.report.command import report

    output = Path(options.output) if options.output else None
    path = report(options.formula, _values(options.parameter), output)
    print(path)
    if options.open:
        webbrowser.open(path.as_uri())
    return 0


def _values(parameters: Sequence[str]) -> dict[str, str]:
    values = {}
    for text in parameters:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise CosnbError(f"{text!r} sets no parameter: write it like a=5")
        values[name] = value
    return values


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cosnb",
        description="Run the book's notebooks, build its site, look at data and recorded runs, export code.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run notebooks with papermill",
        description="Run notebooks of notebooks/runs.toml with papermill; executed copies go to _build/notebooks. "
        "With the profile full, a notebook trains what has no record yet, then shows all records.",
    )
    run.add_argument("name", metavar="NAME", nargs="+", help="a notebook, for example derive-cos")
    run.add_argument("--profile", default="quick", help="quick (CPU, minutes; the default) or full (GPU, hours)")
    run.add_argument(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter, over the profile's value; a TOML number, boolean or array, anything else is text",
    )
    run.add_argument("--seeds", metavar="SEEDS", help="the parameter of that name, for example 0:20 (0 to 19) or 0,4,7")
    run.add_argument("--activations", metavar="NAMES", help="the parameter of that name, for example relu,cos")
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="train the missing runs on this Dask cluster (tcp://host:8786), one task a configuration and seed; those "
        "on a GPU go to workers started with --resources GPU=1; local:4 is four processes of this machine",
    )
    run.set_defaults(command=_run)

    book = commands.add_parser(
        "book",
        help="run the notebooks' quick profile, then build the site",
        description="Run every notebook's quick profile, except where source, parameters, code and records are as they "
        "were, then build the site and print the path of its first page.",
    )
    which = book.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="run every notebook, changed or not")
    which.add_argument("--reuse", action="store_true", help="build from the notebooks executed last, running none")
    book.set_defaults(command=_book)
    for command in (run, book):
        command.add_argument("--jobs", type=int, metavar="N", help="notebooks at a time (default: 2, 1 on one core)")

    campaign = commands.add_parser(
        "campaign",
        help="train the recorded runs that are still wanted, for some minutes",
        description="Train, or measure, what has no record yet of a campaign, what is wanted most first; said again, "
        "the command goes on where it stopped. Then print what is left.",
    )
    campaign.add_argument(
        "name", metavar="NAME", help="answer, tables, depth, sensitivity, probes, modern, trained, precision or cost"
    )
    campaign.add_argument("--minutes", type=float, metavar="M", help="stop after so many (default: when all is done)")
    campaign.add_argument(
        "--max-parallel", "--together", type=int, default=1, metavar="N", help="runs trained at once (default: 1)"
    )
    campaign.add_argument(
        "--executor", help="how they are trained at once: streams (the default on a GPU) or processes (on a CPU)"
    )
    campaign.add_argument("--device", help="cuda, cuda:1, cpu (default: the GPU where there is one)")
    action = campaign.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="train nothing: say where the campaign stands")
    action.add_argument(
        "--rehearse", action="store_true", help="one epoch of a few digits for each stage, recorded nowhere"
    )
    campaign.set_defaults(command=_campaign)

    data = commands.add_parser(
        "data",
        help="say which data sets are there, or download one",
        description="Say where the data folder is (COSNB_DATA, else the user's cache) and what is in it, verified.",
    )
    actions = data.add_subparsers(metavar="ACTION")
    download = actions.add_parser("download", help="download a data set into the data folder, verified")
    download.add_argument("download", metavar="NAME", help="cifar10 or mnist")
    data.set_defaults(command=_data, download=None)

    export = commands.add_parser(
        "export",
        help="write an activation as files that need no cosnb",
        description="Write an activation as one Python file for PyTorch and one C header that need no cosnb, each with "
        "its formula, derivative, error and speed (measured now) in its head, and print their paths.",
    )
    export.add_argument("formula", metavar="NAME_OR_FORMULA", help="for example cos, or 'x*sigmoid(a*x)'")
    export.add_argument("--output", metavar="DIR", default=".", help="the folder to write into (default: this one)")
    export.add_argument("--name", metavar="FILE", help="the files' and functions' name (default: the activation's)")
    export.add_argument(
        "-p", "--parameter", metavar="NAME=VALUE", action="append", default=[], help="set a parameter, for example a=5"
    )
    export.add_argument("--force", action="store_true", help="write over files that are there")
    export.set_defaults(command=_export)

    report = commands.add_parser(
        "report",
        help="write a page about an activation of your own",
        description="Run the notebook your-own-activation for a formula and write one HTML page that needs no network: "
        "formula, derivatives, properties, comparison, code, accuracy, speed and a short training, in about a minute "
        "and a half; print its path and open it in the browser.",
    )
    report.add_argument("formula", metavar="NAME_OR_FORMULA", help="for example mish, or 'x*tanh(exp(x))'")
    report.add_argument(
        "-p", "--parameter", metavar="NAME=VALUE", action="append", default=[], help="set a parameter, for example a=5"
    )
    report.add_argument("--output", metavar="FILE", help="the page's file (default: NAME.html in this folder)")
    report.add_argument("--no-open", dest="open", action="store_false", help="do not open it in the browser")
    report.set_defaults(command=_make_report)

    results = commands.add_parser(
        "results",
        help="list recorded runs",
        description="List the experiments that have records (COSNB_RESULTS, else results/), with every configuration "
        "and its number of runs.",
    )
    results.set_defaults(command=_results)

    accuracy = commands.add_parser(
        "accuracy",
        help="measure the error of an activation's code in ulp",
        description="Measure f, f' and f'' of every target and number format that runs here against high precision: "
        "every 16-bit number, 2^18 float32 ones (with --full 2^24, on CUDA all), 2^12 float64 ones (2^16). Class 1: "
        "|f| is at least 2^-6 of its largest term, error in ulp of f; class 2: elsewhere, in ulp of the largest term. "
        "The table is Markdown. With --record every float32, bfloat16 and float16 number is tried, on CUDA with the "
        "Triton kernels and Inductor's, and each activation is kept under results/; said again, it goes on with those "
        "that have no record.",
    )
    accuracy.add_argument(
        "formula",
        metavar="NAME_OR_FORMULA",
        nargs="+",
        help="for example cos, or 'x*sigmoid(2*x)'; with --record several, or all for the catalogue",
    )
    accuracy.add_argument(
        "--target",
        action="append",
        help="c, pytorch, compiled, numpy, triton (CUDA) or inductor (CUDA, compiled); may be repeated (default: all, "
        "those compiled with --full only)",
    )
    accuracy.add_argument("--format", action="append", help="float32, float64, bfloat16 or float16; may be repeated")
    accuracy.add_argument("--order", type=int, choices=(0, 1, 2), help="of the derivative (default: all three)")
    accuracy.add_argument("--full", action="store_true", help="many more inputs: minutes instead of one")
    accuracy.add_argument(
        "--stride", type=int, metavar="N", help="of float32 every N-th number, on a CPU too (--record: 1, all)"
    )
    accuracy.add_argument("--record", action="store_true", help="measure what has no record yet, and keep it")
    accuracy.add_argument("--minutes", type=float, metavar="M", help="with --record: begin no activation after so many")
    accuracy.add_argument("--json", metavar="FILE", help="write the figures, the largest error along x too")
    accuracy.add_argument("--plot", metavar="FILE", help="draw the largest error along x, as SVG")
    accuracy.set_defaults(command=_accuracy)
    return parser


if __name__ == "__main__":
    sys.exit(main())

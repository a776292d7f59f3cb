"""Commands on experiments: campaign, data, results."""

import argparse
from collections import Counter
from typing import Any

from cosnb.errors import CosnbError


def add_to(commands: Any) -> None:
    """Add the commands campaign, data and results."""
    campaign = commands.add_parser(
        "campaign",
        help="train the runs of a campaign that have no record yet",
        description="Train or measure what has no record yet in a campaign, in order of priority, then print what is "
        "left. Run again, the command resumes where it stopped.",
    )
    campaign.add_argument(
        "name",
        metavar="NAME",
        help="answer, tables, depth, sensitivity, probes, modern, trained, precision, cost or wide",
    )
    campaign.add_argument(
        "--minutes", type=float, metavar="M", help="stop after M minutes (default: when everything is done)"
    )
    campaign.add_argument(
        "--max-parallel",
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="runs trained at the same time (default: 1)",
    )
    campaign.add_argument(
        "--executor",
        help="how several are trained at the same time: streams (the default on a GPU) or processes (the "
        "default on a CPU)",
    )
    campaign.add_argument("--device", help="cuda, cuda:1 or cpu (default: the GPU if there is one)")
    action = campaign.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="train nothing; print what is recorded and what is left")
    action.add_argument(
        "--rehearse", action="store_true", help="train one epoch on a few digits for each stage and record nothing"
    )
    campaign.set_defaults(command=_campaign)

    data = commands.add_parser(
        "data",
        help="show which data sets are there, or download one",
        description="Print the data folder (COSNB_DATA, else the user's cache) and the data sets in it, verified.",
    )
    actions = data.add_subparsers(metavar="ACTION")
    download = actions.add_parser("download", help="download a data set into the data folder and verify it")
    download.add_argument("download", metavar="NAME", help="cifar10 or mnist")
    data.set_defaults(command=_data, download=None)

    results = commands.add_parser(
        "results",
        help="list recorded runs",
        description="List the experiments that have records in COSNB_RESULTS, else results/, with each configuration "
        "and its number of runs.",
    )
    results.set_defaults(command=_results)


def _campaign(options: argparse.Namespace) -> int:
    import torch

    from cosnb.experiments.runner import campaign
    from cosnb.experiments.runner.runs import resolve_executor
    from cosnb.experiments.training.device import require_device

    stages = campaign.get(options.name)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    require_device(device)
    executor = options.executor or ("streams" if device.startswith("cuda") else "auto")
    resolve_executor(executor, device, options.max_parallel)
    if options.rehearse:
        return 0 if campaign.rehearse(stages, device, options.max_parallel, executor) else 1
    if not options.list:
        campaign.carry_out(stages, options.minutes, device, max_parallel=options.max_parallel, executor=executor)
    print(campaign.table(campaign.progress(stages, device)))
    return 0


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
    from cosnb.experiments.records import record
    from cosnb.experiments.results.summary import group
    from cosnb.paths import results_dirs

    print(f"Results folder: {' and '.join(map(str, results_dirs()))}")
    for experiment in record.experiments():
        print(experiment)
        for settings, records in group(results.read(experiment)):
            print("  " + ", ".join(f"{key} {value}" for key, value in settings.items()))
            counts = Counter((record["config"]["activation"], record["status"]) for record in records)
            print("    " + ", ".join(f"{name}: {count} {status}" for (name, status), count in counts.items()))
    return 0

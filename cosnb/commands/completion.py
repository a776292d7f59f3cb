"""The command completion: a script by which a shell completes commands, options and names."""

import argparse
from typing import Any

_SHELLS = ("bash", "fish", "powershell", "tcsh", "zsh")


def add_to(commands: Any, parser: argparse.ArgumentParser) -> None:
    """Add the command completion, for all commands of `parser`."""
    completion = commands.add_parser(
        "completion",
        help="print a script that completes commands and names in your shell",
        description='Print a completion script. In bash, put eval "$(cosnb completion bash)" into ~/.bashrc; other '
        "shells likewise.",
    )
    completion.add_argument("shell", choices=_SHELLS)
    completion.set_defaults(command=lambda options: _print(options.shell, parser, commands.choices))


def _print(shell: str, parser: argparse.ArgumentParser, commands: dict[str, argparse.ArgumentParser]) -> int:
    import shtab

    from cosnb.experiments.registry import read_runs
    from cosnb.experiments.runner.campaigns import CAMPAIGNS

    for command, names in (("run", read_runs()), ("campaign", CAMPAIGNS)):
        (name,) = (action for action in commands[command]._actions if action.dest == "name")
        name.choices = list(names)
    print(shtab.complete(parser, shell))
    return 0

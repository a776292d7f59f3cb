"""The command completion: what a shell needs to complete commands, options and names of notebooks."""

import argparse
from typing import Any

_SCRIPTS = {
    "bash": "_cosnb() {{\n"
    '    local words="{commands}" before="${{COMP_WORDS[1]}}"\n'
    '    [ "$COMP_CWORD" -gt 1 ] && case "$before" in\n{cases}\n        *) words="" ;;\n    esac\n'
    '    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))\n'
    "}}\n"
    "complete -o default -F _cosnb cosnb",
    "zsh": "autoload -U +X bashcompinit && bashcompinit\n{bash}",
    "fish": "complete -c cosnb -n __fish_use_subcommand -f -a '{commands}'\n{lines}",
}


def add_to(commands: Any, parser: argparse.ArgumentParser) -> None:
    """Add the command completion, which prints what the other commands of `parser` take."""
    completion = commands.add_parser(
        "completion",
        help="print a script that completes commands and names in your shell",
        description='Print the script; in bash or zsh say eval "$(cosnb completion bash)", in fish cosnb completion '
        "fish | source, or put that line into the shell's start-up file.",
    )
    completion.add_argument("shell", choices=sorted(_SCRIPTS))
    completion.set_defaults(command=lambda options: _print(options.shell, commands.choices))


def _print(shell: str, commands: dict[str, argparse.ArgumentParser]) -> int:
    from cosnb.experiments.registry import read_runs
    from cosnb.experiments.runner.campaigns import CAMPAIGNS

    names = {"run": list(read_runs()), "campaign": list(CAMPAIGNS), "completion": sorted(_SCRIPTS)}
    words = {
        command: [*names.get(command, []), *(option for option in parser._option_string_actions if option[:2] == "--")]
        for command, parser in commands.items()
    }
    cases = "\n".join(f'        {command}) words="{" ".join(known)}" ;;' for command, known in words.items())
    lines = "\n".join(
        f"complete -c cosnb -n '__fish_seen_subcommand_from {command}' -a '{' '.join(known)}'"
        for command, known in words.items()
    )
    given = {"commands": " ".join(words), "cases": cases, "lines": lines}
    print(_SCRIPTS[shell].format(bash=_SCRIPTS["bash"].format(**given), **given))
    return 0

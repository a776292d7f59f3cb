"""The runner: trains what has no record yet, one run or many, within a time limit, and writes the records."""

from cosnb.experiments.runner.runs import run_missing

__all__ = ["run_missing"]

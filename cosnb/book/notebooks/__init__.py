"""Execution of the registry's notebooks: parameters checked first, papermill in processes of its own."""

from cosnb.book.notebooks.execution import Failure, Job
from cosnb.book.notebooks.runs import available_cores, executed_path, plan, run
from cosnb.book.parameters import check_parameters, parse_override, read_defaults
from cosnb.experiments.registry import PROFILES, Run, read_runs

__all__ = [
    "PROFILES",
    "Failure",
    "Job",
    "Run",
    "available_cores",
    "check_parameters",
    "executed_path",
    "parse_override",
    "plan",
    "read_defaults",
    "read_runs",
    "run",
]

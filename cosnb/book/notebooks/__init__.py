"""The book's notebooks: `runs.toml` says what to run, parameters are checked first, papermill does the work on Dask."""

from cosnb.book.notebooks.execution import Failure, Job
from cosnb.book.notebooks.parameters import check_parameters, parse_override, read_defaults
from cosnb.book.notebooks.runs import PROFILES, Run, available_cores, executed_path, plan, read_runs, run

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

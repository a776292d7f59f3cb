"""Summaries, tables, curves and verdicts of records, and their provenance."""

from cosnb.experiments.records import SCHEMA, checked_out, find, read, require_writable, write

__all__ = ["SCHEMA", "checked_out", "find", "read", "require_writable", "write"]

"""What records say: summaries, tables, curves, verdicts, and where each number comes from."""

from cosnb.experiments.records import SCHEMA, checked_out, find, read, require_writable, write

__all__ = ["SCHEMA", "checked_out", "find", "read", "require_writable", "write"]

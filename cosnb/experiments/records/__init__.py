"""Records: small JSON files, one a (configuration, seed), written once and never changed."""

from cosnb.experiments.records.record import SCHEMA, checked_out, find, read, require_writable, write

__all__ = ["SCHEMA", "checked_out", "find", "read", "require_writable", "write"]

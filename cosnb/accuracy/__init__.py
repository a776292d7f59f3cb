"""Errors of computed values in units of the last place: the tool behind `cosnb accuracy`."""

from cosnb.accuracy.measure import Measurement, measure, measure_own
from cosnb.accuracy.pointwise import ulp_errors
from cosnb.accuracy.report import record, table

__all__ = ["Measurement", "measure", "measure_own", "record", "table", "ulp_errors"]

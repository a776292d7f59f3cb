"""How far computed values lie from the true ones, in units of the last place: the tool behind `cosnb accuracy`."""

from cosnb.accuracy.measure import Measurement, measure, measure_own
from cosnb.accuracy.report import record, table
from cosnb.accuracy.ulp import ulp_errors

__all__ = ["Measurement", "measure", "measure_own", "record", "table", "ulp_errors"]

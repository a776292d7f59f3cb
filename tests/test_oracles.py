"""The hand-written derivatives that other tests trust, against mpmath's numerical differentiation of f."""

import pytest
from mpmath import mp, mpf
from oracles import NAMES, oracle


@pytest.mark.parametrize("name", NAMES)
def test_hand_written_derivatives_equal_numerical_ones(name: str) -> None:
    with mp.workdps(30):
        for x in (mpf(v) for v in (-11.3, -2.4, -1.27, -0.31, -1e-3, 1e-3, 0.57, 2.9, 7.25)):
            for order in (1, 2):
                numerical = mp.diff(lambda z: oracle(name, z), x, order)
                assert abs(oracle(name, x, order) - numerical) <= mpf(10) ** -20 * max(1, abs(numerical))

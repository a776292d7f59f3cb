"""The timing harness: turns, clocks and ratios, by a clock that counts."""

import gc
import itertools
import time

import pytest

from cosnb.kernels import timing


def test_ratios_are_taken_within_rounds() -> None:
    assert timing.quartiles([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == (2, 2, 2)
    assert timing.quartiles([2.0], [1.0]) == (2, 2, 2)
    assert timing.quartiles([1.0, 4.0, 3.0, 2.0, 5.0], [1.0] * 5) == (2, 3, 4)


def test_a_call_s_seconds_are_the_mean_of_several_by_the_clock_given() -> None:
    calls: list[int] = []
    clock = itertools.count(10, 6).__next__
    assert timing.seconds(lambda: calls.append(0), calls=3, clock=clock) == 2.0
    assert len(calls) == 3


def test_each_has_a_turn_in_every_round_after_the_warm_up_without_garbage_collection() -> None:
    seen: list[str] = []
    collected: set[bool] = set()

    def function(name: str) -> None:
        seen.append(name)
        collected.add(gc.isenabled())

    functions = {name: (lambda name=name: function(name)) for name in "abcd"}
    times = timing.turns(functions, 12, warm_up=2)
    assert {name: len(taken) for name, taken in times.items()} == dict.fromkeys("abcd", 12)
    assert all(second >= 0 for taken in times.values() for second in taken)
    assert seen[:8] == list("aabbccdd")
    orders = {tuple(seen[start : start + 4]) for start in range(8, len(seen), 4)}
    assert all(sorted(order) == list("abcd") for order in orders)
    assert len(orders) > 3, "the order is drawn again in every round"
    assert collected == {True, False}
    assert gc.isenabled()


def test_a_longer_call_has_the_greater_ratio() -> None:
    assert timing.ratio(lambda: time.sleep(0.002), lambda: None) > 10


def test_rounds_go_on_while_there_is_time_and_one_may_sit_out() -> None:
    samples = timing.in_turns("ab", lambda key, done: None if key == "b" and done % 3 else done, 4, seconds=0.0)
    assert samples == {"a": [0, 1, 2, 3], "b": [0, 3]}
    assert len(timing.in_turns("a", lambda key, done: done, 1, seconds=60.0)["a"]) == timing.MOST


def test_garbage_collection_is_on_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        timing.turns({"a": lambda: 1 // 0}, 1, warm_up=0)
    assert gc.isenabled()

"""The worker process: what it answers, that it ends in time, with its caller, and leaves nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import sympy
import worker_functions

from cosnb.analysis import limited
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid

SECONDS = 60.0  # generous: a busy machine


def call(name: str, *args: object) -> object:
    return limited.call(getattr(worker_functions, name), *args, seconds=SECONDS)


def gone(pid: int, seconds: float = 20) -> bool:
    """Whether the process has ended, or ends within `seconds`."""
    for _ in range(int(seconds * 20)):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_expressions_travel_both_ways() -> None:
    assert limited.call(worker_functions.solve, x**2 - 2, x) == [-sympy.sqrt(2), sympy.sqrt(2)]
    expr = sigmoid(5 * x) + sympy.Piecewise((0, x <= 0), (x, True))
    assert call("identity", expr) == expr


def test_calls_share_one_process() -> None:
    assert call("process_id") == call("process_id") != os.getpid()


def test_the_worker_imports_no_torch() -> None:
    loaded = call("modules")
    assert isinstance(loaded, list)
    assert "sympy" in loaded
    assert "torch" not in loaded


def test_a_function_without_end_is_ended_and_the_next_call_works() -> None:
    call("process_id")  # so that the worker stands ready
    before = time.monotonic()
    with pytest.raises(limited.TimeLimit, match=r"limit of 0\.5 s"):
        limited.call(worker_functions.endless, seconds=0.5)
    assert time.monotonic() - before < 1.5
    assert call("identity", 3) == 3


def test_a_worker_that_was_ended_is_no_zombie() -> None:
    pid = call("process_id")
    assert isinstance(pid, int)
    with pytest.raises(limited.TimeLimit):
        limited.call(worker_functions.endless, seconds=0.1)
    assert not psutil.pid_exists(pid)


def test_what_is_printed_is_no_part_of_the_answer() -> None:
    assert call("chatter") == "answer"


def test_a_crash_is_reported_and_the_worker_replaced() -> None:
    with pytest.raises(CosnbError, match="ended with code 3"):
        call("crash")
    assert call("identity", 3) == 3


def test_a_worker_killed_between_two_calls_is_replaced() -> None:
    pid = call("process_id")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    assert limited._worker is not None
    limited._worker.process.wait(10)  # a zombie counts as gone, but poll() may not see its end yet
    assert call("process_id") != pid


def test_errors_of_the_function_are_raised_here() -> None:
    pid = call("process_id")
    with pytest.raises(ZeroDivisionError, match="by zero"):
        call("fail", "plain")
    with pytest.raises(CosnbError, match="Awkward: 1 and 2"):
        call("fail", "awkward")
    with pytest.raises(AttributeError):  # a value that cannot be pickled
        call("identity", lambda: 0)
    assert call("process_id") == pid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps to RLIMIT_AS")
def test_memory_is_limited() -> None:
    with pytest.raises(MemoryError):
        call("allocate", 3 << 30)


def test_threads_take_turns() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: call("identity", i), range(64))) == list(range(64))


def test_a_large_message_goes_through() -> None:
    data = bytes(5_000_000)
    assert call("identity", data) == data


def test_a_worker_may_have_its_own() -> None:
    assert call("nested", 0.2) == "ended"


def run(program: str) -> subprocess.Popen[str]:
    """Start Python on a program that prints its worker's process id first."""
    start = "import os, sys, time\nfrom cosnb.analysis import limited\nimport worker_functions as w\n"
    start += "print(limited.call(w.process_id, seconds=60), flush=True)\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", start + program], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("program", ["limited.call(w.endless, seconds=60)", "time.sleep(60)"], ids=["busy", "idle"])
def test_the_worker_ends_with_its_parent(program: str) -> None:
    with run(program) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        time.sleep(0.3)  # into the calculation
        assert not gone(worker, 0.1)
        parent.kill()
        parent.wait()
        assert gone(worker)


def test_the_worker_ends_at_exit() -> None:
    with run("") as parent:
        output, _ = parent.communicate(timeout=SECONDS)
        assert parent.returncode == 0
        assert gone(int(output))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_process_gets_a_worker_of_its_own() -> None:
    program = """
pid = os.fork()
if pid == 0:
    print(limited.call(w.process_id, seconds=60), flush=True)
    limited._end()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print(limited.call(w.process_id, seconds=60), flush=True)
"""
    with run(program) as parent:
        output, _ = parent.communicate(timeout=SECONDS)
    first, forked, last = output.split()
    assert first == last != forked


def test_ctrl_c_costs_the_worker_but_not_the_next_answer() -> None:
    pid = call("process_id")
    main = os.getpid()
    # A shell without job control starts background processes, a CI run among them, with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: (time.sleep(0.5), os.kill(main, signal.SIGINT)))
            with pytest.raises(KeyboardInterrupt):
                limited.call(worker_functions.endless, seconds=30)
    finally:
        signal.signal(signal.SIGINT, before)
    assert call("process_id") != pid
    gc.collect()  # pipes left open would warn here


def test_the_package_is_lazy_and_activation_stays_the_function() -> None:
    program = """
import sys, cosnb, cosnb.analysis.worker
assert "torch" not in sys.modules
assert "activation" in dir(cosnb)
import cosnb.activations as module
assert type(module) is type(sys)
from cosnb.activations import activation
from cosnb import Activation, CosnbError, swap
assert cosnb.activation is activation
assert not hasattr(cosnb, "nothing")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)

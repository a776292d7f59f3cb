"""No test reaches beyond this machine: pytest-socket refuses it in this process, an empty network, for root, in all."""

import os
import signal
from contextlib import suppress
from importlib.util import find_spec

import network
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the settings of plugins that a lent machine may lack, so that the tests run there without them."""
    if find_spec("pytest_socket") is None:
        parser.addoption("--allow-hosts")
        parser.addoption("--allow-unix-socket", action="store_true")
    if find_spec("pytest_timeout") is None:
        parser.addini("timeout", "seconds a test may take: no limit here")


def pytest_configure(config: pytest.Config) -> None:
    network.leave()
    if find_spec("pytest_timeout") is None:
        config.addinivalue_line("markers", "timeout: no limit here")
    if "CC" in os.environ:
        find_out_whether_the_compiler_works()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and all it starts, ignores it


def find_out_whether_the_compiler_works() -> None:
    """Have `compiler()` say None where $CC names one that does not work: that is found out when it first fails."""
    from cosnb import CosnbError
    from cosnb.kernels import compiler

    with suppress(CosnbError, OSError):
        compiler.build("int nothing(void) { return 0; }")


def pytest_report_header(config: pytest.Config) -> str:
    return "network: loopback alone" + ("" if network.left else ", but for processes that tests start")

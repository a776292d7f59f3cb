"""No test reaches beyond this machine: pytest-socket refuses it in this process, an empty network, for root, in all."""

import signal
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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and all it starts, ignores it


def pytest_report_header(config: pytest.Config) -> str:
    return "network: loopback alone" + ("" if network.left else ", but for processes that tests start")

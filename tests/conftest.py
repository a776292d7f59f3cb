"""No test reaches beyond this machine: pytest-socket refuses it in this process, an empty network, for root, in all."""

import signal

import network
import pytest


def pytest_configure(config: pytest.Config) -> None:
    network.leave()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and all it starts, ignores it


def pytest_report_header(config: pytest.Config) -> str:
    return "network: loopback alone" + ("" if network.left else ", but for processes that tests start")

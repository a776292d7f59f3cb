"""Processes that a test started, directly or through others, found by a mark in their environment."""

import os

import psutil


def alive(mark: str) -> list[str]:
    """Return the command lines of the processes that have `mark` in their environment, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("COSNB_TEST_MARK") == mark:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found

"""An empty network for this process and what it starts: a namespace of Linux's that has the loopback device alone."""

import contextlib
import ctypes
import os
import socket
import struct
import sys

_NEWNET = 0x40000000  # clone(2)
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41  # netdevice(7)
left: bool = False  # whether this process is in one


def leave() -> None:
    """Go there where that is allowed, to root outside of some containers; threads started before would stay behind."""
    global left
    if sys.platform != "linux" or os.geteuid() != 0 or ctypes.CDLL(None).unshare(_NEWNET) != 0:
        return
    import fcntl

    # Some sandboxes have no such request, and their new namespace no loopback.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, contextlib.suppress(OSError):
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
    left = True

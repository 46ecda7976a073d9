"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def is_same_user(link: socket.socket) -> bool:
    """Whether the process at the other end belongs to our user.

    Where the system does not say (it does on Linux), the folder's permissions are all there is.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    try:
        data = link.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    except OSError:
        return False
    _, user, _ = _CREDENTIALS.unpack(data)
    return bool(user == os.geteuid())

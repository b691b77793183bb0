"""Gives up what root may do, for good: for processes that read what strangers wrote. Linux only."""

from __future__ import annotations

import ctypes
import os

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES = 64
"""The kernel numbers them from 0; it knows some 40, and says EINVAL past its last one."""
_CAPABILITY_VERSION = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Looked up before any fork."""


def give_up(uid: int, gid: int) -> None:
    """Becomes that user: no other groups, no capabilities, and no way to win any by executing something.

    Raises OSError where the kernel does not let us (it asks for CAP_SETUID, CAP_SETGID and CAP_SETPCAP).
    """
    for capability in range(_CAPABILITIES):  # first, while we may
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == 1:
            raise PermissionError(1, "the bounding set of capabilities cannot be dropped")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _clear_capabilities()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")


def _clear_capabilities() -> None:
    """The inheritable set too, which outlives a change of user."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be cleared")

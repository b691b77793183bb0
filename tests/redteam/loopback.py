"""Checks that a run connects only to the loopback interface: in a network without any other, and by its sockets."""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.step_checks import children_of, link_target

_CLONE_NEWNET = 0x40000000
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_PAUSE = 0.01


def run_without_network(work: Callable[[], object]) -> int | None:
    """Does the work in a thread whose network, and its children's, is only a loopback interface.

    Returns the number of attempts to reach another address by TCP or UDP, which the kernel counts as missing routes.
    Returns None without the permission to create a network (that takes root): the work is done in the usual one then.
    """
    attempts: list[int] = []
    failed: list[BaseException] = []

    def within() -> None:
        try:
            isolated = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) == 0
            if isolated:
                _raise_loopback()
            work()
            if isolated:
                attempts.append(_without_route())
        except BaseException as error:  # noqa: BLE001  # raised in the waiting thread
            failed.append(error)

    thread = threading.Thread(target=within, name="without network")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return attempts[0] if attempts else None


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        fcntl.ioctl(way, _SET_FLAGS, struct.pack("16sh14s", b"lo", _UP_AND_RUNNING, b""))


def _without_route() -> int:
    """Reads the counters of this thread's network."""
    network = Path("/proc/thread-self/net")
    names, numbers = (line.split() for line in (network / "snmp").read_text().splitlines()[:2])
    table = network / "snmp6"
    ipv6 = [line.split() for line in table.read_text().splitlines()] if table.is_file() else []
    return int(numbers[names.index("OutNoRoutes")]) + sum(
        int(n) for name, n in ipv6 if name == "Ip6OutNoRoutes"
    )


@dataclass
class Sockets:
    """The remote addresses of the sockets of a process and its children, except for the loopback."""

    remote_addresses: set[str] = field(default_factory=set)
    looks: int = 0


@contextmanager
def watch_sockets(pid: int) -> Iterator[Sockets]:
    """Looks at them repeatedly: connections shorter than some hundredths of a second are missed."""
    seen, over = Sockets(), threading.Event()

    def look() -> None:
        while not over.wait(_PAUSE):
            for process in (pid, *children_of(pid)):
                seen.remote_addresses |= set(_remote_addresses_of(Path(f"/proc/{process}")))
            seen.looks += 1

    thread = threading.Thread(target=look, name="sockets")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _remote_addresses_of(process: Path) -> Iterator[str]:
    with suppress(OSError):  # it has ended
        links = {link_target(one) for one in (process / "fd").iterdir()}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            yield from remote_addresses_in((process / "net" / table).read_text(), links)


def remote_addresses_in(table: str, links: Iterable[str]) -> Iterator[str]:
    """Yields the remote addresses, except for the loopback, of the sockets in the kernel's table."""
    mine = set(links)
    for line in table.splitlines()[1:]:
        columns = line.split()
        remote = _address(columns[2].partition(":")[0])
        if f"socket:[{columns[9]}]" in mine and not (remote.is_loopback or remote.is_unspecified):
            yield str(remote)


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parses an address, of which the kernel writes each 32 bits in the machine's byte order."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    found = ipaddress.ip_address(packed)
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found

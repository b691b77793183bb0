"""Proves that a run leaves the loopback alone: in a network that has nothing else, and by what its sockets say."""

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

from tests.end_to_end.test_model_faults import children_of

_CLONE_NEWNET = 0x40000000
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_PAUSE = 0.01


def alone(work: Callable[[], object]) -> int | None:
    """Does the work in a thread whose network, and its children's, is a loopback and nothing else.

    Gives how often somebody in there looked for a way out, by TCP or UDP: the kernel counts what it finds no route
    for. None where we may not make a network (that takes root): the work is done in the usual one then.
    """
    looked: list[int] = []
    failed: list[BaseException] = []

    def within() -> None:
        try:
            made = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) == 0
            if made:
                _raise_loopback()
            work()
            if made:
                looked.append(_without_route())
        except BaseException as error:  # noqa: BLE001  # carried to whoever waits for the thread
            failed.append(error)

    thread = threading.Thread(target=within, name="alone")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return looked[0] if looked else None


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        fcntl.ioctl(way, _SET_FLAGS, struct.pack("16sh14s", b"lo", _UP_AND_RUNNING, b""))


def _without_route() -> int:
    """The network's own counters, of this thread's network."""
    network = Path("/proc/thread-self/net")
    names, numbers = (line.split() for line in (network / "snmp").read_text().splitlines()[:2])
    table = network / "snmp6"
    ipv6 = [line.split() for line in table.read_text().splitlines()] if table.is_file() else []
    return int(numbers[names.index("OutNoRoutes")]) + sum(
        int(n) for name, n in ipv6 if name == "Ip6OutNoRoutes"
    )


@dataclass
class Sockets:
    """Whom the sockets of a process and its children were seen to talk to, beside the loopback."""

    strangers: set[str] = field(default_factory=set)
    looks: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Sockets]:
    """Looks at them again and again: what lives for less than some hundredths of a second is not seen."""
    seen, over = Sockets(), threading.Event()

    def look() -> None:
        while not over.wait(_PAUSE):
            for process in (pid, *children_of(pid)):
                seen.strangers |= set(_strangers_of(Path(f"/proc/{process}")))
            seen.looks += 1

    thread = threading.Thread(target=look, name="sockets")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _strangers_of(process: Path) -> Iterator[str]:
    with suppress(OSError):  # it ended while we looked
        links = {_link(one) for one in (process / "fd").iterdir()}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            yield from strangers_in((process / "net" / table).read_text(), links)


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


def strangers_in(table: str, links: Iterable[str]) -> Iterator[str]:
    """The far ends that are not on the loopback, of the sockets among the links; by the kernel's table of sockets."""
    mine = set(links)
    for line in table.splitlines()[1:]:
        columns = line.split()
        far = _address(columns[2].partition(":")[0])
        if f"socket:[{columns[9]}]" in mine and not (far.is_loopback or far.is_unspecified):
            yield str(far)


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel writes each 32 bits in the machine's own order."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    found = ipaddress.ip_address(packed)
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found

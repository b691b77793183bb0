"""Addresses that settings name: URLs and `host:port`, checked, and how far their host is away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<rest>.*)", re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home.arpa", ".localhost")


@dataclass(frozen=True, slots=True)
class Url:
    """A checked http or https URL, without user, query, fragment and final slash."""

    text: str
    scheme: str
    host: str

    @property
    def encrypted(self) -> bool:
        return self.scheme == "https"


def parse_url(text: str) -> Url:
    """The URL in `text`. Raises ValueError that says what is wrong, without repeating the text."""
    parts = _URL.fullmatch(text)
    if parts is None:
        raise ValueError("is not a URL; write one such as https://api.example.com/v1")
    scheme = parts["scheme"].lower()
    if scheme not in ("http", "https"):
        raise ValueError("must begin with https:// (or http:// within a private network)")
    if "@" in parts["authority"]:
        raise ValueError("must not hold a user name or password; leave out everything up to the @")
    if parts["rest"]:
        raise ValueError("must end with its path; leave out everything from the ? or # on")
    if re.search(r"[^!-~]", text):
        raise ValueError("holds a blank or a character outside ASCII; remove it, or percent-encode it")
    host, port = _host_and_port(parts["authority"])
    path = (parts["path"] or "").rstrip("/")
    return Url(f"{scheme}://{_authority(host, port)}{path}", scheme, host)


def parse_host_port(text: str) -> str:
    """`host:port` in one spelling (IPv6 in brackets). Raises ValueError that says what is wrong."""
    if "://" in text:
        raise ValueError("must be host:port without a scheme, such as 127.0.0.1:4321")
    host, port = _host_and_port(text) if ":" in text else ("", None)
    if port is None:
        raise ValueError("has no port; write host:port, such as 127.0.0.1:4321")
    return _authority(host, port)


def host_of(address: str) -> str:
    """The host of what `parse_host_port` gave."""
    return address.rpartition(":")[0].strip("[]")


def port_of(address: str) -> int:
    """The port of what `parse_host_port` gave."""
    return int(address.rpartition(":")[2])


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if (number := _number(host)) is not None:
        return number.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Whether the host is this machine or, by its name or number, in a private network."""
    if (number := _number(host)) is not None:
        return number.is_private and not number.is_link_local
    return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _number(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _host_and_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError(
            "has no valid host and port; write them as example.com:4321, an IPv6 address as [::1]:4321"
        )
    host = parts["host"].strip("[]").lower()
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 1 <= port <= 65_535:
        raise ValueError("has a port that is not between 1 and 65535")
    labels = host.split(".")
    named = len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if not named and _number(host) is None:
        raise ValueError("has no valid host; write a host name or an IP address")
    return host, port


def _authority(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"

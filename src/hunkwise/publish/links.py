"""Renders places in the code, and links to pages of GitHub's server."""

from __future__ import annotations

import re
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.text import cut, one_line
from hunkwise.publish import sanitize

_LONGEST_LINK = 1_000
_PLAIN_ADDRESS = re.compile(r"/[A-Za-z0-9._~/%?=&#+-]*")


def place_of(finding: Finding) -> str:
    """Returns `path:40–42`, `path:7 (before the change)`, or only the path."""
    path = cut(one_line(finding.path), 300)
    anchor = finding.anchor
    if anchor is None:
        return path
    lines = f"{anchor.line}" if anchor.start_line is None else f"{anchor.start_line}–{anchor.line}"
    return f"{path}:{lines}" + (" (before the change)" if anchor.side is Side.LEFT else "")


def linked(label: str, address: str | None, server_url: str) -> str:
    """Returns the label (Markdown), as a link if the address is a plain one on GitHub's own server."""
    server = server_url.rstrip("/")
    if not address or not server or not address.startswith(f"{server}/") or len(address) > _LONGEST_LINK:
        return label
    return f"[{label}]({address})" if _PLAIN_ADDRESS.fullmatch(address.removeprefix(server)) else label


def code_link(finding: Finding, server_url: str, repository: str, head_sha: str) -> str:
    """Returns the place in the code, as a permanent link if it is at the head, on a GitHub server."""
    label = sanitize.code_span(place_of(finding))
    anchor, path = finding.anchor, _quote_path(finding.path)
    on_head = anchor is None or anchor.side is Side.RIGHT
    if not (server_url and repository and head_sha and on_head and path):
        return label
    lines = f"#L{anchor.lines.start}-L{anchor.line}" if anchor else ""
    address = f"{server_url}/{repository}/blob/{head_sha}/{path}{lines}"
    return f"[{label}]({address})" if len(address) <= _LONGEST_LINK else label


def _quote_path(path: str) -> str:
    """Returns the path for an address; empty if it has segments that a browser resolves, or cannot be encoded."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return ""
    try:
        return quote(path.encode("utf-8", "surrogateescape"), safe="/")
    except UnicodeEncodeError:
        return ""

"""Where a finding is in the code, and where it was posted, in words and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Where
from hunkwise.publish import sanitize
from hunkwise.publish.characters import cut, one_line
from hunkwise.publish.view import View

_LONGEST_LINK = 1_000
_PLAIN_ADDRESS = re.compile(r"/[A-Za-z0-9._~/%?=&#+-]*")
_RUNGS = {
    Where.INLINE: "commented on the line",
    Where.FILE: "commented on the file",
    Where.BODY: "in the review's body",
    Where.ANNOTATION: "an annotation of the check run",
}
_STATES = {
    Where.INLINE: "new, on the line",
    Where.FILE: "new, on the file",
    Where.BODY: "new, in the review",
    Where.ANNOTATION: "new, an annotation of the check run",
    Where.SUMMARY: "new, in the job summary",
    Where.REPORT: "new, in the JSON report",
}
_EARLIER = {
    Where.BODY: ", in a review's body",
    Where.ANNOTATION: ", as an annotation",
    Where.SUMMARY: ", in a job summary",
    Where.REPORT: ", in a JSON report",
}


def place_of(finding: Finding) -> str:
    """`path:40–42`, `path:7 (before the change)`, or the path alone."""
    path = cut(one_line(finding.path), 300)
    anchor = finding.anchor
    if anchor is None:
        return path
    lines = f"{anchor.line}" if anchor.start_line is None else f"{anchor.start_line}–{anchor.line}"
    return f"{path}:{lines}" + (" (before the change)" if anchor.side is Side.LEFT else "")


def linked(label: str, address: str | None, server_url: str) -> str:
    """The label (Markdown) as a link, where the address is a plain one on the forge's own server."""
    server = server_url.rstrip("/")
    if not address or not server or not address.startswith(f"{server}/") or len(address) > _LONGEST_LINK:
        return label
    return f"[{label}]({address})" if _PLAIN_ADDRESS.fullmatch(address.removeprefix(server)) else label


@dataclass(frozen=True, slots=True)
class Places:
    """Writes where the findings of one run are, and what became of each."""

    view: View

    def of(self, finding: Finding) -> str:
        """The place in the code, as a permanent link where the head has the lines and is on a server."""
        label = sanitize.code_span(place_of(finding))
        anchor, view = finding.anchor, self.view
        path = _quoted(finding.path)
        on_head = anchor is None or anchor.side is Side.RIGHT
        if not (view.server_url and view.repository and view.review.head_sha and on_head and path):
            return label
        lines = f"#L{anchor.lines.start}-L{anchor.line}" if anchor else ""
        address = f"{view.server_url}/{view.repository}/blob/{view.review.head_sha}/{path}{lines}"
        return f"[{label}]({address})" if len(address) <= _LONGEST_LINK else label

    def with_rung(self, finding: Finding) -> str:
        """The place in the code, then where it was posted, as far as that is not where the reader is."""
        parts = [self.of(finding)]
        rung = self.view.posted.where.get(finding)
        if self.view.known(finding):
            parts.append(self.state(finding))
        elif rung in _RUNGS:
            parts.append(_RUNGS[rung])
        return " · ".join(parts)

    def state(self, finding: Finding) -> str:
        """What became of the finding: new and on which rung, or raised before and since when nothing changed."""
        view = self.view
        rung = view.posted.where.get(finding)
        if not view.known(finding):
            said = _STATES[rung] if rung else "new"
            return linked(said, view.posted.review_url, view.server_url) if rung is Where.BODY else said
        kept = view.kept_by_finding.get(finding)
        thread = kept.thread if kept else None
        if thread is None:
            return f"raised before{_EARLIER.get(kept.raised.where, '') if kept else ''}"
        said = "resolved by the pull request's author, still counted" if thread.resolved else "raised before"
        return linked(said, thread.url, view.server_url)


def _quoted(path: str) -> str:
    """The path for an address; empty where no server could be meant by it, or a browser would leave the tree."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return ""
    try:
        return quote(path.encode("utf-8", "surrogateescape"), safe="/")
    except UnicodeEncodeError:
        return ""

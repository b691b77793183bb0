"""Findings of all chunks and prompts, without twins and without those below the asked severity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hunkwise.domain.finding import Finding, Severity, reading_order
from hunkwise.publish.code import fence

_LONGEST_BODY = 8_000


def merge(findings: Iterable[Finding], min_severity: Severity) -> tuple[tuple[Finding, ...], int]:
    """The findings to publish, by path, line and severity, and how many have no place of their own.

    Of findings on the same lines with the same title the most severe stays, and among equals the one that
    says most. Another title with the same fingerprint on overlapping lines may be a second fault at that
    place: its words are added to the first's body, not dropped.
    """
    offered = list(findings)
    wanted = [finding for finding in offered if finding.severity >= min_severity]
    wanted.sort(key=lambda finding: (-finding.severity, -len(finding.body), finding.title, finding.body))
    kept: list[Finding] = []
    titles: set[tuple[str, range | None, str, str]] = set()
    akin: dict[tuple[str, str], list[int]] = {}
    for finding in wanted:
        title = _title_key(finding)
        if title in titles:
            continue
        titles.add(title)
        places = akin.setdefault((finding.path, finding.fingerprint), [])
        twin = next((place for place in places if _overlap(finding, kept[place])), None)
        if twin is not None and len(kept[twin].body) + len(finding.body) <= _LONGEST_BODY:
            kept[twin] = _with(kept[twin], finding)
            continue
        places.append(len(kept))
        kept.append(finding)
    kept.sort(key=reading_order)
    return tuple(kept), len(offered) - len(kept)


def _with(finding: Finding, other: Finding) -> Finding:
    body = f"{finding.body}\n\n**Also:** {other.title}\n\n{other.body}"
    if other.suggestion is not None and other.suggestion != finding.suggestion:
        body += f"\n\n{fence(other.suggestion)}"
    return replace(finding, body=body)


def _title_key(finding: Finding) -> tuple[str, range | None, str, str]:
    anchor = finding.anchor
    spelt = finding.title.casefold()
    # Titles without any letter or digit are not all the same one.
    words = " ".join("".join(char if char.isalnum() else " " for char in spelt).split()) or spelt
    if anchor is None:
        return finding.path, None, "", words
    return finding.path, anchor.lines, anchor.side.value, words


def _overlap(one: Finding, other: Finding) -> bool:
    if one.anchor is None or other.anchor is None:
        return one.anchor is other.anchor
    lines, others = one.anchor.lines, other.anchor.lines
    same_side = one.anchor.side is other.anchor.side
    return same_side and lines.start < others.stop and others.start < lines.stop

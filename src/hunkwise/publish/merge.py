"""Findings of all chunks and prompts, without twins and without those below the asked severity."""

from __future__ import annotations

from collections.abc import Iterable

from hunkwise.domain.finding import Finding, Severity


def merge(findings: Iterable[Finding], min_severity: Severity) -> tuple[tuple[Finding, ...], int]:
    """The findings to publish, by path, line and severity, and how many were left out.

    Twins are findings on the same lines with the same title, or with the same fingerprint on lines that
    overlap; the most severe stays, and among equals the one that says most.
    """
    offered = list(findings)
    wanted = [finding for finding in offered if finding.severity >= min_severity]
    wanted.sort(key=lambda finding: (-finding.severity, -len(finding.body)))
    kept: list[Finding] = []
    titles: set[tuple[str, range | None, str, str]] = set()
    by_fingerprint: dict[tuple[str, str], list[Finding]] = {}
    for finding in wanted:
        title = _title_key(finding)
        akin = by_fingerprint.setdefault((finding.path, finding.fingerprint), [])
        if title in titles or any(_overlap(finding, other) for other in akin):
            continue
        titles.add(title)
        akin.append(finding)
        kept.append(finding)
    kept.sort(key=reading_order)
    return tuple(kept), len(offered) - len(kept)


def reading_order(finding: Finding) -> tuple[str, int, int, str]:
    """Sort key: path, line (those of the whole file first), the most severe first."""
    line = finding.anchor.line if finding.anchor else 0
    return finding.path, line, -finding.severity, finding.title


def _title_key(finding: Finding) -> tuple[str, range | None, str, str]:
    anchor = finding.anchor
    words = " ".join("".join(char if char.isalnum() else " " for char in finding.title.casefold()).split())
    if anchor is None:
        return finding.path, None, "", words
    return finding.path, anchor.lines, anchor.side.value, words


def _overlap(one: Finding, other: Finding) -> bool:
    if one.anchor is None or other.anchor is None:
        return one.anchor is other.anchor
    lines, others = one.anchor.lines, other.anchor.lines
    same_side = one.anchor.side is other.anchor.side
    return same_side and lines.start < others.stop and others.start < lines.stop

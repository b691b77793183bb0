"""Prints a finished review or audit in the format of `--format`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from hunkwise import __version__
from hunkwise.commands.terminal import console, show
from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Finding, severity_order
from hunkwise.domain.text import one_line, visible
from hunkwise.publish.annotations import find_nearest_line
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.documents import job_summary
from hunkwise.publish.report import as_json
from hunkwise.publish.sarif import as_sarif, with_root


def print_review(kind: str, view: PublishedReview, root: Path | None = None) -> None:
    """Prints the review. `root`: the root of the checkout on this machine, for editors that read SARIF."""
    review = view.review
    match kind:
        case "json":
            print(encode_json(as_json(view)))
        case "sarif":
            where = {"repository": view.repository, "server_url": view.server_url}
            log = as_sarif(review, **where, version=__version__)
            print(encode_json(log if root is None else with_root(log, root)))
        case "markdown":
            print(job_summary(view).text)
        case "quickfix":
            print_quickfix(review.findings, review.files)
        case _:
            show(review, console(), view.posted.review_url)


def encode_json(contents: object) -> str:
    """Returns indented JSON, with escapes if the terminal cannot show Unicode."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(contents, indent=1, ensure_ascii=not unicode)


def print_quickfix(findings: Iterable[Finding], files: Iterable[FileDiff]) -> None:
    """Prints one line for each finding, the most severe first."""
    for line in quickfix_lines(findings, files):
        print(line)


def quickfix_lines(findings: Iterable[Finding], files: Iterable[FileDiff]) -> Iterator[str]:
    """Yields `path:line:column: severity: title`, as compilers print errors and editors read them.

    Paths are relative to the repository's root. A finding on removed lines is at the nearest line that is still there.
    """
    changed = by_path(files)
    for finding in sorted(findings, key=severity_order):
        anchor = finding.anchor
        removed = anchor is not None and anchor.side is Side.LEFT
        line = 1 if anchor is None else anchor.lines.start
        if anchor is not None and removed:
            line = find_nearest_line(anchor, changed.get(finding.path))
        title = visible(one_line(finding.title))
        note = " (removed)" if removed else ""
        yield f"{visible(finding.path)}:{line}:1: {finding.severity.label}: {title}{note}"

"""Writes a review as lines of JSON while it runs: `hunkwise review --format jsonl`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from hunkwise import __version__
from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Destination, Review, SuppressedFinding
from hunkwise.errors import Error
from hunkwise.flows.review import ReviewRequest
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.report import ReportedFinding, as_json
from hunkwise.redaction import SecretScan, without_secrets

VERSION: Final = 1
KEPT: Final = "kept"
DROPPED: Final = "dropped"
"""Below `min-severity`, the same as another finding of the run, or withheld."""


class FindingStream:
    """Writes one JSON object for each event to standard output, and flushes it.

    `start`, then `finding` for each one that the model reports, at once and before its verification; then `verdict`
    for each of these, and `result` with the report; or `error` at any time. docs/command-line.md describes the keys.
    """

    def __init__(self, scan: SecretScan) -> None:
        """No line has a secret of `scan`."""
        self._scan = scan
        self._taken: list[Finding] = []
        self._failed: OSError | None = None

    @classmethod
    @contextmanager
    def open(cls, scan: SecretScan) -> Iterator[FindingStream]:
        """Yields a stream; an Error that ends the run is its last line, and is raised again."""
        stream = cls(scan)
        try:
            yield stream
        except Error as error:
            stream._write("error", {"exit_code": error.exit_code, "messages": list(error.faults)})
            raise

    def start(self, request: ReviewRequest) -> None:
        """Writes what is reviewed, and by which model: null where Copilot or the provider chooses it."""
        of = request.snapshot.pull_request
        values = {
            "version": VERSION,
            "tool": {"name": "hunkwise", "version": __version__, "demo": request.demo},
            "repository": of.repository,
            "pull_request": of.number or None,
            "base": of.base,
            "base_sha": of.base_sha,
            "head": of.head,
            "head_sha": of.head_sha,
            "model": request.config.model_order[0],
        }
        self._write("start", values)

    def add(self, finding: Finding) -> None:
        """Writes a finding that a model has reported."""
        self._taken.append(finding)
        self._write("finding", {"id": len(self._taken), **_dump(finding)})

    def finish(self, view: PublishedReview) -> None:
        """Writes what happened to each finding, and the report. Raises OSError if a line could not be written."""
        for number, verdict in enumerate(_verdicts(self._taken, view.review), 1):
            self._write("verdict", {"id": number, **verdict})
        self._write("result", as_json(view))
        if self._failed is not None:
            raise self._failed

    def _write(self, event: str, values: dict[str, Any]) -> None:
        line = {"event": event, **without_secrets(values, self._scan)}
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        try:
            sys.stdout.write(json.dumps(line, ensure_ascii=not unicode) + "\n")
            sys.stdout.flush()
        except OSError as error:  # raised at the end: here it would be an error of the model's tool
            self._failed = error


def _dump(finding: Finding) -> dict[str, Any]:
    return ReportedFinding.dump(finding, where=Destination.REPORT, known=False, thread_url=None)


def _verdicts(taken: list[Finding], review: Review) -> Iterator[dict[str, Any]]:
    """Yields what happened to each finding: verification changes neither its fingerprint nor its title."""
    left: list[Finding | SuppressedFinding] = [*review.findings, *review.suppressed]
    for finding in taken:
        key = (finding.fingerprint, finding.title)
        found = next((each for each in left if _key(each) == key), None)
        if found is not None:
            left.remove(found)
        values = {
            "fingerprint": finding.fingerprint,
            "outcome": DROPPED,
            "severity": finding.severity.label,
            "check": None,
            "reason": "",
        }
        match found:
            case Finding():
                after = {"severity": found.severity.label, "check": found.check, "reason": found.evidence}
                values |= {"outcome": KEPT, **after}
            case SuppressedFinding():
                values |= {"outcome": found.kind, "reason": found.reason}
        yield values


def _key(outcome: Finding | SuppressedFinding) -> tuple[str, str]:
    finding = outcome.finding if isinstance(outcome, SuppressedFinding) else outcome
    return finding.fingerprint, finding.title

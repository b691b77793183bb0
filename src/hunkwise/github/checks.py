"""Writes check runs and uploads SARIF to code scanning."""

from __future__ import annotations

import gzip
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hunkwise.domain.text import cut
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.github.connection import PAGE
from hunkwise.github.responses import malformed_response_error
from hunkwise.github.writer import Writer
from hunkwise.publish.annotations import Annotation, as_request
from hunkwise.redaction import SecretScan

NAME = "hunkwise"
_MOST_ANNOTATIONS = 50  # in one request
_TITLE_LIMIT = 255
_TEXT_LIMIT = 65_535  # bytes, of the summary and of the text
_IN_PROGRESS = "in_progress"
_log = logging.getLogger(__name__)


class CheckRuns:
    """Writes check runs of our name."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = github.connection
        self._root = f"/repos/{github.repository}"
        self._outgoing = Writer(github, scan, sleep=sleep)
        self._silent = False

    def start(
        self, head_sha: str, *, external_id: str, title: str, summary: str, details_url: str = ""
    ) -> int:
        """The id of a new check run that is in progress. `external_id` must be this run's alone. Raises GitHubError."""
        body = {
            "name": NAME,
            "head_sha": head_sha,
            "external_id": external_id,
            "status": _IN_PROGRESS,
            "output": _output(title, summary),
            **({"details_url": details_url} if details_url else {}),
        }
        return self._outgoing.surely(
            lambda: self._outgoing.post("check-runs", body).number("id"),
            lambda: self._created(head_sha, external_id),
        )

    def progress(self, check_id: int, title: str, summary: str) -> None:
        """Shows how far the review is. Never raises; after one failure nothing more is shown."""
        if self._silent:
            return
        body = {"status": _IN_PROGRESS, "output": _output(title, summary)}
        try:
            self._outgoing.patch(f"check-runs/{check_id}", body)
        except GitHubError as error:
            self._silent = True
            _log.info("The check run shows no more progress: %s", error)

    def conclude(
        self,
        check_id: int,
        *,
        conclusion: str,
        title: str,
        summary: str,
        text: str = "",
        annotations: Sequence[Annotation] = (),
    ) -> int:
        """How many of the annotations GitHub took, from the first.

        A failure among them ends them. Raises GitHubError only where the conclusion could not be sent at all.
        """
        waiting = [as_request(annotation) for annotation in annotations]
        last = max(len(waiting) - 1, 0) // _MOST_ANNOTATIONS * _MOST_ANNOTATIONS
        begun = {"status": _IN_PROGRESS, "output": _output(title, summary)}
        ended = {"status": "completed", "conclusion": conclusion, "output": _output(title, summary, text)}
        taken = 0
        while taken < last:
            if not self._annotate(check_id, begun, waiting[taken : taken + _MOST_ANNOTATIONS], taken):
                break
            taken += _MOST_ANNOTATIONS
        if waiting and taken == last and self._annotate(check_id, ended, waiting[last:], taken):
            return len(waiting)
        self._outgoing.surely(
            lambda: self._outgoing.patch(f"check-runs/{check_id}", ended).number("id"),
        )
        return taken

    def _created(self, head_sha: str, external_id: str) -> int | None:
        query = {"check_name": NAME, "filter": "all", "per_page": PAGE}
        listed = self._connection.get(f"{self._root}/commits/{head_sha}/check-runs", query)
        for run in listed.entries("check_runs"):
            if run.text_or("external_id", "") == external_id:
                return run.number("id")
        return None

    def _annotate(
        self, check_id: int, body: Mapping[str, Any], batch: Sequence[Mapping[str, Any]], before: int
    ) -> bool:
        """Whether GitHub is known to have taken them all. GitHub appends, so nothing is sent twice blindly."""
        whole = {**body, "output": {**body["output"], "annotations": list(batch)}}
        try:
            self._outgoing.surely(
                lambda: self._outgoing.patch(f"check-runs/{check_id}", whole).number("id"),
                lambda: self._appended(check_id, before, len(batch)),
            )
        except GitHubError as error:
            _log.warning("Annotations %s and on were not posted: %s", before + 1, error)
            return False
        return True

    def _appended(self, check_id: int, before: int, more: int) -> int | None:
        said = self._connection.get(f"{self._root}/check-runs/{check_id}")
        count = said.number("output.annotations_count")
        if count == before + more:
            return check_id
        if count != before:
            raise malformed_response_error(
                said.request, f"{count} annotations, where {before} or {before + more} must be"
            )
        return None


def _output(title: str, summary: str, text: str = "") -> dict[str, Any]:
    output = {"title": cut(title, _TITLE_LIMIT), "summary": _within(summary)}
    return {**output, "text": _within(text)} if text else output


def _within(text: str) -> str:
    """At most GitHub's number of bytes; what was longer ends in an ellipsis."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= _TEXT_LIMIT:
        return text
    return encoded[: _TEXT_LIMIT - len("…".encode())].decode("utf-8", "ignore") + "…"


_MOST_BYTES = 10 * 1024 * 1024  # of the compressed file: https://docs.github.com/rest/code-scanning
_TOO_LARGE = (
    "GitHub takes no more than 10 MB of compressed SARIF: "
    "raise `min-severity`, or take the file from the output `sarif`."
)
_PERMISSION = (
    "Give the job `permissions: security-events: write`, and see that code scanning is available in the "
    "repository; the SARIF file is at the output `sarif` in any case."
)
_REFUSED = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND)


class CodeScanning:
    """Uploads what was found. The same upload twice shows each finding once."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._outgoing = Writer(github, scan, sleep=sleep)

    def upload(self, sarif_text: str, commit_sha: str, ref: str) -> str:
        """The upload's id. `ref` is `refs/pull/N/head` or a branch's. Raises GitHubError."""
        self._outgoing.refuse_secrets(sarif_text)
        packed = gzip.compress(sarif_text.encode("utf-8", "replace"), mtime=0)
        if len(packed) > _MOST_BYTES:
            size = f"{len(packed) / 1024 / 1024:.1f} MB"
            raise GitHubError(
                GitHubErrorKind.INVALID, f"The SARIF file is too large to upload: {size}.", _TOO_LARGE
            )
        body = {
            "commit_sha": commit_sha,
            "ref": ref,
            "sarif": b64encode(packed).decode("ascii"),
            "tool_name": "hunkwise",
        }
        try:
            return self._outgoing.surely(lambda: self._outgoing.post("code-scanning/sarifs", body).text("id"))
        except GitHubError as error:
            if error.kind not in _REFUSED:
                raise
            raise GitHubError(error.kind, error.message, _PERMISSION) from error

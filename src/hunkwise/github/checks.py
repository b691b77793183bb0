"""Writes check runs and uploads SARIF to code scanning."""

from __future__ import annotations

import gzip
import logging
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hunkwise.domain.limits import ANNOTATIONS_PER_REQUEST, CHECK_TEXT_BYTES, TITLE_CHARACTERS
from hunkwise.domain.pull_request import CheckRun
from hunkwise.domain.review import CheckOutput, Conclusion
from hunkwise.domain.text import cut, cut_bytes
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.conversation_graphql import read_check_runs
from hunkwise.github.responses import malformed_response_error
from hunkwise.github.writer import Writer
from hunkwise.publish.annotations import Annotation, as_request

NAME = "hunkwise"
_IN_PROGRESS = "in_progress"
_log = logging.getLogger(__name__)


class CheckRuns:
    """Creates and updates check runs with the name `hunkwise`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._progress_failed = False

    def at(self, head_sha: str) -> tuple[CheckRun, ...]:
        """Returns the newest hundred at a commit, oldest first. Raises GitHubError."""
        github = self._writer.github
        return read_check_runs(github.connection, github.repository, head_sha, NAME)

    def start(self, head_sha: str, external_id: str, output: CheckOutput, details_url: str = "") -> int:
        """Creates a check run in progress and returns its id. `external_id` must be unique. Raises GitHubError."""
        return self._create(head_sha, external_id, output, details_url, status=_IN_PROGRESS)

    def create_completed(
        self, head_sha: str, external_id: str, output: CheckOutput, details_url: str, conclusion: Conclusion
    ) -> None:
        """Creates a check run that has its conclusion already. `external_id` must be unique. Raises GitHubError."""
        ended = {"status": "completed", "conclusion": conclusion.value}
        self._create(head_sha, external_id, output, details_url, **ended)

    def _create(
        self, head_sha: str, external_id: str, output: CheckOutput, details_url: str, **state: str
    ) -> int:
        body = {
            "name": NAME,
            "head_sha": head_sha,
            "external_id": external_id,
            "output": _as_request(output),
            **state,
            **({"details_url": details_url} if details_url else {}),
        }
        return self._writer.surely(
            lambda: self._writer.post("check-runs", body).number("id"),
            lambda: self._find_created(head_sha, external_id),
        )

    def progress(self, check_id: int, output: CheckOutput) -> None:
        """Updates the progress that the check run shows. Never raises; after one failure it does nothing."""
        if self._progress_failed:
            return
        body = {"status": _IN_PROGRESS, "output": _as_request(output)}
        try:
            self._writer.patch(f"check-runs/{check_id}", body)
        except GitHubError as error:
            self._progress_failed = True
            _log.info("The check run shows no more progress: %s", error)

    def annotate(self, check_id: int, output: CheckOutput, annotations: Sequence[Annotation]) -> int:
        """Adds annotations to the check run in progress; returns how many GitHub accepted, counted from the first.

        The first failed request ends the annotations. Never raises. `output` is what the check run shows meanwhile.
        """
        for start in range(0, len(annotations), ANNOTATIONS_PER_REQUEST):
            batch = [
                as_request(annotation) for annotation in annotations[start : start + ANNOTATIONS_PER_REQUEST]
            ]
            body = {"status": _IN_PROGRESS, "output": {**_as_request(output), "annotations": batch}}
            try:
                self._patch(check_id, body, partial(self._find_appended, check_id, start, len(batch)))
            except GitHubError as error:
                _log.warning("Annotations %s and on were not posted: %s", start + 1, error)
                return start
        return len(annotations)

    def complete(self, check_id: int, conclusion: Conclusion, output: CheckOutput) -> None:
        """Completes the check run. Raises GitHubError."""
        body = {"status": "completed", "conclusion": conclusion.value, "output": _as_request(output)}
        self._patch(check_id, body)

    def _patch(
        self, check_id: int, body: Mapping[str, Any], look: Callable[[], int | None] = lambda: None
    ) -> None:
        self._writer.surely(lambda: self._writer.patch(f"check-runs/{check_id}", body).number("id"), look)

    def _find_created(self, head_sha: str, external_id: str) -> int | None:
        return next((run.id for run in self.at(head_sha) if run.external_id == external_id), None)

    def _find_appended(self, check_id: int, before: int, more: int) -> int | None:
        """Returns the id if the annotations were stored: GitHub appends, so that sending again would repeat them."""
        response = self._writer.get(f"check-runs/{check_id}")
        count = response.number("output.annotations_count")
        if count == before + more:
            return check_id
        if count != before:
            raise malformed_response_error(
                response.request, f"{count} annotations, where {before} or {before + more} must be"
            )
        return None


def _as_request(output: CheckOutput) -> dict[str, Any]:
    texts = {
        "title": cut(output.title, TITLE_CHARACTERS),
        "summary": cut_bytes(output.summary, CHECK_TEXT_BYTES),
    }
    return {**texts, "text": cut_bytes(output.text, CHECK_TEXT_BYTES)} if output.text else texts


_MAX_BYTES = 10 * 1024 * 1024  # of the compressed file: https://docs.github.com/rest/code-scanning
_TOO_LARGE = (
    "GitHub takes no more than 10 MB of compressed SARIF: "
    "raise `min-severity`, or take the file from the output `sarif`.",
    "GitHub takes no more than 10 MB of compressed SARIF: raise `min-severity`, or use `--format sarif`.",
)
_PERMISSION = (
    "Give the job `permissions: security-events: write`, and see that code scanning is available in the "
    "repository; the SARIF file is at the output `sarif` in any case.",
    'Give the token in GITHUB_TOKEN the permission "Code scanning alerts: read and write", and see that code scanning '
    "is available in the repository; `--format sarif` prints the file in any case.",
)
_REFUSED = (GitHubErrorKind.FORBIDDEN, GitHubErrorKind.NOT_FOUND)


class CodeScanning:
    """Uploads findings as SARIF. Repeating an upload shows each finding only once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def upload(self, sarif_text: str, commit_sha: str, ref: str) -> str:
        """Uploads the SARIF and returns the upload's id. `ref`: `refs/pull/N/head`, or a branch. Raises GitHubError."""
        self._writer.refuse_secrets(sarif_text)
        compressed = gzip.compress(sarif_text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
        if len(compressed) > _MAX_BYTES:
            size = f"{len(compressed) / 1024 / 1024:.1f} MB"
            raise GitHubError(
                GitHubErrorKind.INVALID, f"The SARIF file is too large to upload: {size}.", *_TOO_LARGE
            )
        body = {
            "commit_sha": commit_sha,
            "ref": ref,
            "sarif": b64encode(compressed).decode("ascii"),
            "tool_name": "hunkwise",
        }
        try:
            return self._writer.surely(lambda: self._writer.post("code-scanning/sarifs", body).text("id"))
        except GitHubError as error:
            if error.kind not in _REFUSED:
                raise
            raise GitHubError(error.kind, error.message, *_PERMISSION) from error

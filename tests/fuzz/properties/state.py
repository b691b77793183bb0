"""Properties of states, markers and reports that were read from GitHub or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hunkwise.domain.limits import BODY_CHARACTERS, JOB_SUMMARY_BYTES
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import ExitCode, ReviewEvent
from hunkwise.domain.text import one_line
from hunkwise.errors import SettingsError
from hunkwise.publish.conclusion import RunConclusion
from hunkwise.publish.documents import job_summary, review_body, summary_comment
from hunkwise.publish.placement import place
from hunkwise.publish.report import as_json, digest_of
from hunkwise.publish.report_input import as_review, check, read_report
from hunkwise.tracking.markers import HiddenState, raised_in
from hunkwise.tracking.state import SUMMARY_MARKER, decode, encode, latest_state
from tests.fuzz.github_markdown import shown
from tests.publish.samples import file_diff, state, view

FILES = (file_diff(), file_diff("src/b.py"))
_LONGEST_FAULT = 1_000


def check_state_round_trip(known: HiddenState, room: int) -> None:
    """Checks that a written state is read unchanged, or without entries above the limit."""
    line = encode(known, room)
    assert len(line) <= max(room, 0)
    comment = Comment(1, f"{SUMMARY_MARKER}\nWords.\n\n{line}")
    decoded = decode(comment, repository=known.repository, number=known.number)
    if decoded is None:
        return
    assert decoded.hunks <= known.hunks
    assert set(decoded.findings) <= set(known.findings)
    assert (decoded.head_sha, decoded.base, decoded.settings) == (known.head_sha, known.base, known.settings)
    assert decode(comment, repository="other/name", number=known.number) is None
    assert decode(comment, repository=known.repository, number=known.number + 1) is None


def check_comment(body: str) -> None:
    """Checks that any comment has a state that can be written, or none; the same for markers."""
    decoded = latest_state([Comment(1, body)], repository="o/r", number=7)
    if decoded is not None:
        assert encode(decoded, BODY_CHARACTERS)
        assert (decoded.repository.casefold(), decoded.number) == ("o/r", 7)
    for record in raised_in(body):
        assert record.path
        assert record.line is None or record.line > 0


def check_report(raw: bytes) -> None:
    """Checks that any bytes are a report that can be published, or faults on one line each."""
    try:
        report = read_report(raw)
        check(report, repository="o/r", number=7)
    except SettingsError as error:
        _check_faults(error)
        return
    whole = as_review(report, FILES, ())
    assert len(whole.findings) == len(report.findings)
    assert {file.path for file in FILES} <= {file.path for file in whole.coverage.files}
    assert not whole.hunks
    for finding in whole.findings:
        assert finding.anchor is None or finding.anchor.path in {file.path for file in FILES}
    seen = view(whole, RunConclusion(ExitCode.REVIEWED))
    placed = place(whole.findings, FILES, max_comments=3)
    pages = (
        (job_summary(seen).text, JOB_SUMMARY_BYTES),
        (summary_comment(seen, state()), BODY_CHARACTERS),
        (review_body(seen, placed, ReviewEvent.COMMENT).text, BODY_CHARACTERS),
    )
    for page, limit in pages:
        assert len(page.encode("utf-8")) <= limit
        assert shown(page).faults == []
    json.dumps(as_json(seen), allow_nan=False).encode("utf-8")


def _check_faults(error: SettingsError) -> None:
    assert error.faults
    assert all(one_line(fault) == fault and len(fault) <= _LONGEST_FAULT for fault in error.faults)


def signed(report: Mapping[str, Any]) -> bytes:
    """Returns the report's bytes with a matching digest, which anyone can compute."""
    with_digest = {**report, "digest": digest_of(report)}
    return json.dumps(with_digest).encode("utf-8", "surrogatepass")

"""Reports of other workflows: which values are used, and which are checked."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.finding import Area, Finding, Risk, RiskLevel, Severity, Verification, Walkthrough
from hunkwise.domain.review import (
    Coverage,
    ExitCode,
    FileCoverage,
    PostResult,
    Review,
    ReviewFault,
    SkipReason,
    SuppressedFinding,
    Suppression,
)
from hunkwise.domain.text import one_line
from hunkwise.errors import SettingsError
from hunkwise.prompts.report_verdicts import MAX_EVIDENCE
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.placement import resolve_anchor
from hunkwise.publish.report import ReportedReview, as_json, digest_of
from hunkwise.publish.report_input import MAX_BYTES, as_review, check, read_report
from tests.fakes.changes import added
from tests.publish.samples import HEAD, file_diff, finding, review, view

FILES = (
    file_diff(),
    FileDiff("src/b.py", FileStatus.ADDED, additions=10),
    FileDiff("poetry.lock", FileStatus.MODIFIED, additions=900),
)
SKIPPED = (FileCoverage("poetry.lock", 900, reason=SkipReason.LOCK_FILE),)
"""The files of FILES that this job would skip."""
SAME_COMMIT = "Use the same commit of hunkwise to make the report and to read it."


WHY = "Row 3 lets it through."
OF_OPEN_ONES = {"where", "known", "thread_url", "check", "evidence"}


DAMAGED = "The report is damaged: its digest does not fit what it says. Make it again."


def anchored(line: int, start_line: int | None = None, side: Side = Side.RIGHT, **fields: Any) -> Finding:
    """Returns a finding whose anchor has the code of the diff."""
    at = resolve_anchor("src/a.py", line, start_line, side, by_path(FILES))
    assert not isinstance(at, str)
    return finding(at=at, **fields)


def written_report(whole: Review | None = None) -> dict[str, Any]:
    """Returns a report in the form that the other run writes."""
    seen = view(whole or review(anchored(2), finding("On the file")))
    return as_json(replace(seen, base_sha="b" * 40), head_repository="mona/r")


def changed_report(**changes: object) -> dict[str, Any]:
    """Returns a report with changed values and a matching digest."""
    return signed(written_report() | changes)


def signed(report: Mapping[str, object]) -> dict[str, Any]:
    return {**report, "digest": digest_of(report)}


def raw(report: object) -> bytes:
    return json.dumps(report).encode()


def parsed_report(**changes: object) -> ReportedReview:
    return read_report(raw(changed_report(**changes)))


def parsed_review(report: object) -> Review:
    """Returns the review that this job reads from a report."""
    return as_review(read_report(raw(report)), FILES, SKIPPED)


def faults_of(content: bytes) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_report(content)
    return list(caught.value.faults)


def with_finding(**changes: object) -> dict[str, Any]:
    report = written_report()
    report["findings"][0] |= changes
    return signed(report)


def test_review_round_trips() -> None:
    whole = replace(
        review(
            anchored(3, 2, severity=Severity.HIGH, suggestion="two", confidence=0.5, category="security"),
            anchored(2, side=Side.LEFT, title="Gone"),
            replace(finding("On the file"), check=Verification.CONFIRMED, evidence=WHY),
            replace(anchored(3, title="Doubtful"), check=Verification.UNVERIFIED),
        ),
        suppressed=(
            SuppressedFinding(anchored(3, title="Gone"), WHY),
            SuppressedFinding(anchored(3, title="Small"), WHY, Suppression.NOT_WORTH_COMMENT),
        ),
        summary="It counts.",
        walkthrough=Walkthrough((Area("A", "What.", "Why."),), Risk(RiskLevel.LOW, "Small."), "graph LR"),
        faults=(ReviewFault("timeout", "It took long.", "Wait."),),
        notes=("GitHub was slow.",),
        dropped=3,
        demo=True,
        carried_lines=2,
    )
    assert parsed_review(written_report(whole)) == replace(whole, seconds=12.34, files=FILES, questions=1)


@pytest.mark.parametrize("walkthrough", [Walkthrough(), Walkthrough(risk=Risk(RiskLevel.HIGH))])
def test_partial_walkthrough_round_trips(walkthrough: Walkthrough) -> None:
    assert (
        parsed_review(written_report(replace(review(), walkthrough=walkthrough))).walkthrough == walkthrough
    )


def test_report_without_walkthrough_and_verification_is_read() -> None:
    report = written_report()
    del report["walkthrough"], report["suppressed"]
    for one in report["findings"]:
        del one["check"], one["evidence"]
    old = parsed_review(signed(report))
    assert (old.walkthrough, old.suppressed, {one.check for one in old.findings}) == (None, (), {None})


def test_report_accepts_longest_texts_of_a_model() -> None:
    long = "x" * MAX_EVIDENCE
    lowered = f"Lowered to low, and critical is the least that is asked for: {long}"
    held = replace(anchored(2), check=Verification.CONFIRMED, evidence=long)
    read = parsed_review(
        written_report(replace(review(held), suppressed=(SuppressedFinding(anchored(2), lowered),)))
    )
    assert (read.findings[0].evidence, read.suppressed[0].reason) == (long, lowered)


def test_report_cannot_make_later_runs_skip_code() -> None:
    whole = replace(review(), hunks=frozenset({"AAAAAAAA"}))
    read = parsed_review(written_report(whole))
    assert (read.hunks, read.questions) == (frozenset(), 1)


def test_other_run_without_posting_is_not_reported_for_this_run() -> None:
    report = as_json(
        replace(view(review()), posted=PostResult(notes=("Dry run: nothing was posted.", "Slow.")))
    )
    assert parsed_review(report).notes == ("Slow.",)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Disables garbage collection: finalizers of other tests' objects would fail at the recursion limit."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"line": 30}, 30),
        ({"line": 3, "start_line": 42}, 3),
        ({"line": 2, "path": "src/other.py"}, 2),
        ({"line": 2, "side": None}, 2),
        ({"line": None, "reported_line": 9}, 9),
        ({"line": None}, None),
    ],
)
def test_location_that_is_not_in_the_diff_is_kept_as_reported_line(
    fields: dict[str, object], line: int | None
) -> None:
    report = with_finding(**fields)
    shared = {key: value for key, value in report["findings"][0].items() if key not in OF_OPEN_ONES}
    report["suppressed"] = [{**shared, "reason": WHY}]
    read = parsed_review(signed(report))
    first = read.findings[0]
    assert read.suppressed == (SuppressedFinding(first, WHY),)
    assert first.anchor is None
    assert (first.title, first.reported_line) == ("A title", line)
    assert first.path == fields.get("path", "src/a.py")


def test_anchored_code_is_from_the_diff() -> None:
    (first, _) = parsed_review(with_finding(fingerprint="f" * 16)).findings
    assert first.anchor is not None
    assert first.anchor.code == "two!"
    assert first.fingerprint == anchored(2).fingerprint


def test_known_finding_keeps_its_fingerprint() -> None:
    whole = review(replace(finding("Stands outside"), raised_as="0123456789abcdef", reported_line=7))
    (first,) = parsed_review(written_report(whole)).findings
    assert (first.raised_as, first.reported_line) == ("0123456789abcdef", 7)


def test_changed_file_missing_from_report_is_unreviewed() -> None:
    files = (*FILES, FileDiff("src/hidden.py", FileStatus.ADDED, additions=40))
    coverage = as_review(parsed_report(), files, SKIPPED).coverage
    assert coverage.files[-1] == FileCoverage(
        "src/hidden.py", 40, 0, SkipReason.FAILED, "the report does not name it"
    )
    assert not coverage.complete


def test_file_name_that_json_cannot_encode_is_matched_by_its_replacement() -> None:
    file = FileDiff("src/\udcff.py", FileStatus.ADDED, additions=1)
    whole = replace(review(), coverage=Coverage((FileCoverage(file.path, 1, 1),)))
    coverage = as_review(read_report(raw(written_report(whole))), (file,), ()).coverage
    assert [file.path for file in coverage.files] == ["src/\ufffd.py"]
    assert coverage.complete


@pytest.mark.parametrize(
    ("reviewed", "counted", "reason"), [(40, 4, None), (3, 3, SkipReason.FAILED), (4, 4, None)]
)
def test_lines_missing_from_report_are_unreviewed(
    reviewed: int, counted: int, reason: SkipReason | None
) -> None:
    report = written_report()
    report["coverage"]["files"][0]["reviewed_lines"] = reviewed
    (first, *_) = parsed_review(signed(report)).coverage.files
    assert (first.reviewed_lines, first.reason) == (counted, reason)


DOUBT = "the report skips it ({}), but it is to be reviewed"


@pytest.mark.parametrize("reported", [reason for reason in SkipReason if reason.deliberate])
@pytest.mark.parametrize("own", [None, SkipReason.IGNORED, SkipReason.NO_PATCH])
def test_deliberate_skip_counts_only_where_this_job_would_skip(
    reported: SkipReason, own: SkipReason | None
) -> None:
    report = written_report()
    report["coverage"]["files"][0] |= {"reason": reported.value, "reviewed_lines": 0, "changed_lines": 0}
    skipped = [FileCoverage("src/a.py", 4, reason=own)] if own else []
    (first, *_) = as_review(read_report(raw(signed(report))), FILES, skipped).coverage.files
    assert first == FileCoverage(
        "src/a.py", 4, 0, own or SkipReason.FAILED, "" if own else DOUBT.format(reported.value)
    )
    assert first.missing is (own is not SkipReason.IGNORED)


@pytest.mark.parametrize(
    ("reviewed", "long_lines", "reason"),
    [(3, 1, SkipReason.DATA), (2, 2, SkipReason.DATA), (2, 1, SkipReason.FAILED), (0, 0, SkipReason.FAILED)],
)
def test_data_lines_count_only_where_this_job_finds_them(
    reviewed: int, long_lines: int, reason: SkipReason
) -> None:
    rows = ["x,y " * 2_000] * long_lines + ["x,y"] * (4 - long_lines)
    report = written_report()
    report["coverage"]["files"] = [
        {**report["coverage"]["files"][0], "path": "a.csv", "changed_lines": 4, "reviewed_lines": reviewed}
        | {"reason": SkipReason.DATA.value}
    ]
    (first, *_) = as_review(read_report(raw(signed(report))), [added("a.csv", *rows)], ()).coverage.files
    assert (first.reason, first.reviewed_lines) == (reason, reviewed if reason is SkipReason.DATA else 0)


@pytest.mark.parametrize("reported", [reason for reason in SkipReason if not reason.deliberate])
def test_file_that_the_other_run_could_not_review_is_unreviewed(reported: SkipReason) -> None:
    report = written_report()
    report["coverage"]["files"][2] |= {"reason": reported.value, "detail": "Why."}
    assert parsed_review(signed(report)).coverage.files[2] == FileCoverage(
        "poetry.lock", 900, 0, reported, "Why."
    )


@pytest.mark.parametrize(
    ("file", "reported", "counted"),
    [
        pytest.param({}, (2, 2), (4, 2), id="fewer lines than GitHub counts"),
        pytest.param({}, (40, 40), (4, 4), id="more lines than GitHub counts"),
        pytest.param({"patch_missing": True}, (40, 40), (40, 40), id="GitHub counts only a part"),
        pytest.param({"patch_missing": True}, (2, 2), (4, 2), id="a part of what GitHub counts"),
    ],
)
def test_number_of_changed_lines_is_from_github(
    file: dict[str, Any], reported: tuple[int, int], counted: tuple[int, int]
) -> None:
    report = written_report()
    report["coverage"]["files"] = [
        {**report["coverage"]["files"][0], "changed_lines": reported[0], "reviewed_lines": reported[1]}
    ]
    coverage = as_review(read_report(raw(signed(report))), [replace(file_diff(), **file)], ()).coverage
    assert (coverage.changed_lines, coverage.reviewed_lines) == counted
    assert coverage.complete is (counted[0] == counted[1])


@pytest.mark.parametrize(
    ("unlisted", "paths", "remaining"), [(0, [], 0), (1, ["x0"], 0), (5, ["x0", "x1"], 3)]
)
def test_unlisted_files_are_limited_by_github_count(unlisted: int, paths: list[str], remaining: int) -> None:
    report = written_report()
    first = report["coverage"]["files"][0]
    report["coverage"]["files"] = [first, {**first, "path": "x0"}, {**first, "path": "x1"}]
    report["coverage"]["unlisted_files"] = 0
    coverage = as_review(read_report(raw(signed(report))), [file_diff()], (), unlisted).coverage
    assert [file.path for file in coverage.files] == ["src/a.py", *paths]
    assert coverage.unlisted_files == remaining


def test_duplicate_file_entries_use_the_fewest_reviewed_lines() -> None:
    report = written_report()
    first = report["coverage"]["files"][0]
    report["coverage"]["files"] = [{**first, "reviewed_lines": 1}, first, {**first, "reviewed_lines": 3}]
    coverage = as_review(read_report(raw(signed(report))), [file_diff()], ()).coverage
    assert [file.reviewed_lines for file in coverage.files] == [1]


def test_lines_of_an_earlier_run_are_limited_to_all_lines() -> None:
    report = written_report()
    report["coverage"]["carried_lines"] = 10**9
    assert parsed_review(signed(report)).carried_lines == 4


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "The report is not JSON, or not whole."),
        (b'{"version": 1', "The report is not JSON, or not whole."),
        (b"\xff{}", "The report is not JSON, or not whole."),
        (b'{"version": NaN}', "The report is not JSON, or not whole."),
        (b'{"version": 1, "version": 1}', "The report is not JSON, or not whole."),
        (b'{"n": ' + b"9" * 5_000 + b"}", "The report is not JSON, or not whole."),
        (
            json.dumps({f"k{number}": 1 for number in range(65)}).encode(),
            "The report is not JSON, or not whole.",
        ),
        (b"[" * 200_000, "The report is nested too deeply."),
        (b"[]", "The report is not an object of JSON."),
    ],
    ids=["empty", "cut", "utf-8", "nan", "twice", "huge number", "many keys", "deep", "list"],
)
@pytest.mark.usefixtures("no_collection")
def test_invalid_report_is_one_error(content: bytes, fault: str) -> None:
    assert faults_of(content) == [f"{fault} Make it again."]


def test_too_large_report_is_not_parsed() -> None:
    assert faults_of(b"[" * (MAX_BYTES + 1)) == [
        "The report has more than 10,485,760 bytes, and is not read; narrow the run by `paths`."
    ]


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_other_version_has_an_error_with_hint(version: object) -> None:
    (fault,) = faults_of(raw(changed_report(version=version)))
    assert fault.startswith(
        "The report is not of version 1, the only one that this hunkwise reads; use the same"
    )


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "", None, 5, []])
def test_wrong_digest_is_an_error(digest: object) -> None:
    assert faults_of(raw(written_report() | {"digest": digest})) == [DAMAGED]


def test_change_without_new_digest_is_an_error() -> None:
    report = written_report()
    report["findings"][0]["severity"] = "low"
    assert faults_of(raw(report)) == [DAMAGED]


def test_too_many_findings_are_an_error() -> None:
    report = written_report()
    report["findings"] = report["findings"][:1] * 1_001
    assert faults_of(raw(signed(report))) == [
        "The report has 1,001 findings, and at most 1,000 are published; narrow the review by `paths`, or raise"
        " `min-severity`."
    ]
    del report["findings"][0]
    assert len(parsed_review(signed(report)).findings) == 1_000


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"line": 0}, "findings.0.line"),
        ({"line": "2"}, "findings.0.line"),
        ({"line": True}, "findings.0.line"),
        ({"line": 10**9}, "findings.0.line"),
        ({"side": "right"}, "findings.0.side"),
        ({"severity": "blocker"}, "findings.0.severity"),
        ({"confidence": 1.5}, "findings.0.confidence"),
        ({"title": "x" * 301}, "findings.0.title"),
        ({"body": "x" * 20_001}, "findings.0.body"),
        ({"suggestion": "x" * 10_001}, "findings.0.suggestion"),
        ({"path": "x" * 4_097}, "findings.0.path"),
        ({"prompt": "<!-- -->"}, "findings.0.prompt"),
        ({"fingerprint": "F" * 16}, "findings.0.fingerprint"),
        ({"title": "\ud800"}, "findings.0.title"),
        ({"event": "APPROVE"}, "findings.0.event"),
        ({"check": "approved"}, "findings.0.check"),
        ({"check": True}, "findings.0.check"),
        ({"evidence": "x" * 4_001}, "findings.0.evidence"),
        ({"evidence": None}, "findings.0.evidence"),
    ],
)
def test_error_in_finding_names_its_location(changes: dict[str, object], place: str) -> None:
    first, last = faults_of(raw(with_finding(**changes)))
    assert first.startswith(f"The report has a fault at {place}: ")
    assert last == SAME_COMMIT


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"reason": "x" * 4_001}, "suppressed.0.reason"),
        ({"reason": 1}, "suppressed.0.reason"),
        ({"severity": "blocker"}, "suppressed.0.severity"),
        ({"check": "confirmed"}, "suppressed.0.check"),
    ],
)
def test_error_in_suppressed_finding_names_its_location(changes: dict[str, object], place: str) -> None:
    report = written_report(replace(review(), suppressed=(SuppressedFinding(anchored(3), WHY),)))
    report["suppressed"][0] |= changes
    assert faults_of(raw(signed(report)))[0].startswith(f"The report has a fault at {place}: ")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("suppressed", [{}] * 1_001),
        ("head_sha", "main"),
        ("pull_request", 0),
        ("run", "a b"),
        ("seconds", -1),
        ("prompts", ["Review!"]),
        ("tool", {"name": "other", "demo": False}),
        ("notes", ["x"] * 1_001),
        ("walkthrough", []),
        ("walkthrough", {"areas": [], "risk": None}),
        ("walkthrough", {"areas": [{"area": "A", "what": "B", "why": ""}] * 21, "risk": None, "diagram": ""}),
        ("walkthrough", {"areas": [], "risk": {"level": "grave", "why": ""}, "diagram": ""}),
        ("walkthrough", {"areas": [], "risk": None, "diagram": "x" * 10_001}),
        ("approve", True),
    ],
)
def test_error_in_key_names_it(key: str, found: object) -> None:
    first, *_ = faults_of(raw(changed_report(**{key: found})))
    assert first.startswith(f"The report has a fault at {key}")


def test_all_faults_are_listed_up_to_a_limit_on_one_line_each() -> None:
    changes: dict[str, object] = {"dropped": -1, "\n::error::x": 1}
    *listed, last = faults_of(raw(changed_report(**changes)))
    assert listed[0].startswith("The report has a fault at dropped: ")
    assert all(one_line(fault) == fault for fault in listed)
    many = {f"key{number}": 1 for number in range(20)}
    assert faults_of(raw(changed_report(**many)))[-2:] == ["The report has 10 more faults.", last]
    assert len(faults_of(raw(changed_report(**many)))) == 12


def test_checking_stops_after_many_faults() -> None:
    coverage = written_report()["coverage"]
    first, *_ = faults_of(raw(changed_report(coverage={**coverage, "files": [{}] * 100_001})))
    assert first == "The report has a fault at coverage.files: At most 100000 are read."
    many = faults_of(raw(changed_report(coverage={**coverage, "files": [{}] * 100_000})))
    assert len(many) == len(coverage["files"][0]) + 1


def test_faults_do_not_contain_values() -> None:
    assert "s3cr3t" not in " ".join(faults_of(raw(changed_report(head_sha="s3cr3t", dropped="s3cr3t"))))


def test_matching_report_passes() -> None:
    check(parsed_report(), repository="O/R", number=7, head_sha=HEAD, head_repository="Mona/R")
    check(parsed_report(head_repository=""), repository="o/r", head_repository="mona/r")
    check(parsed_report(), repository="o/r")


def test_mismatched_report_is_rejected_with_all_differences() -> None:
    with pytest.raises(SettingsError) as caught:
        check(
            parsed_report(repository="o/\u202eother"),
            repository="o/r",
            number=8,
            head_sha="f" * 40,
            head_repository="eve/r",
        )
    assert caught.value.faults == (
        "The report is about the repository o/other, not about o/r; take the artifact of the run that started"
        " this one.",
        "The report is about pull request #7, not about #8; take the artifact of the run that reviewed it.",
        "The report is about the commit 0123456789ab, not about ffffffffffff; only the report of that commit's"
        " own run can be published.",
        "The report is about a head in the repository mona/r, not in eve/r; take the artifact of the run that"
        " started this one.",
    )


def test_report_of_local_range_is_rejected_for_pull_request() -> None:
    local = as_json(PublishedReview(review(), RunConclusion(ExitCode.REVIEWED), ()))
    with pytest.raises(SettingsError) as caught:
        check(read_report(raw(local | signed(local | {"repository": "o/r"}))), repository="o/r", number=7)
    assert caught.value.faults == (
        "The report is about a range of commits, not about a pull request; make it on pull_request.",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*written_report(), "other"])


@given(st.binary(max_size=60) | JSON.map(lambda found: raw(found)))
def test_any_bytes_are_rejected_with_one_line_errors(content: bytes) -> None:
    assert all(one_line(fault) == fault for fault in faults_of(content))


@given(
    st.dictionaries(KEYS, JSON, max_size=3),
    st.dictionaries(st.sampled_from([*written_report()["findings"][0]]), JSON),
)
def test_any_report_is_parsed_or_rejected_with_errors(
    changes: dict[str, object], of_finding: dict[str, object]
) -> None:
    report = written_report()
    report["findings"][0] |= of_finding
    report = signed(report | changes)
    faults: tuple[str, ...] = ()
    missing = len(report["findings"]) if isinstance(report["findings"], list) else 0
    try:
        missing -= len(parsed_review(report).findings)
    except SettingsError as error:
        faults = error.faults
    assert all(one_line(fault) == fault for fault in faults)
    assert faults or missing == 0

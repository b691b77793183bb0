"""Reads the JSON report of another workflow, with every error reported, and compares it with GitHub's data.

The job that wrote it ran on an untrusted pull request, whose author may have changed that job's workflow. So all of
the report is untrusted: it supplies findings and the lines that were reviewed, and decides nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from hunkwise.domain.data_lines import count_data_lines
from hunkwise.domain.diff import FileDiff, FileStatus, by_path
from hunkwise.domain.finding import Anchor, Area, Finding, Risk, Severity, Walkthrough
from hunkwise.domain.review import (
    Coverage,
    FileCoverage,
    Review,
    ReviewFault,
    SkipReason,
    SuppressedFinding,
    Usage,
)
from hunkwise.domain.text import cut, one_line, plain
from hunkwise.errors import SettingsError
from hunkwise.publish.placement import resolve_anchor
from hunkwise.publish.report import (
    MAX_FINDINGS,
    VERSION,
    ReportedFile,
    ReportedFinding,
    ReportedReview,
    ReportedSuppression,
    digest_of,
)

_DRY_RUN: Final = "Dry run:"
"""Start of the note that nothing was posted: it applies to the run that wrote the report, not to this one."""
_NOT_NAMED = "the report does not name it"


def as_review(
    report: ReportedReview,
    files: Sequence[FileDiff],
    skipped: Sequence[FileCoverage],
    unlisted_files: int = 0,
) -> Review:
    """Returns the report's review, with its findings checked against the files that GitHub returns now.

    `skipped`: the files that this job would not review, with its own reasons. A changed file that the report skips on
    purpose and this job would not skip counts as not reviewed, and so does one that the report does not name.
    `unlisted_files`: the number of files that GitHub counts and does not return. The review has no reviewed hunks, so
    that a report never makes a later run skip code.
    """
    files_by_path = by_path(files)
    usage, reported_lines = report.usage, sum(file.reviewed_lines for file in report.coverage.files)
    return report.load(
        Review,
        findings=tuple(_load_finding(reported, files_by_path) for reported in report.findings),
        suppressed=tuple(
            SuppressedFinding(_load_finding(reported, files_by_path), reported.reason, reported.kind)
            for reported in report.suppressed
        ),
        coverage=_load_coverage(report, files, skipped, unlisted_files),
        usage=usage.load(Usage),
        spent={part.prompt: part.load(Usage) for part in usage.by_prompt},
        walkthrough=_load_walkthrough(report),
        faults=tuple(fault.load(ReviewFault) for fault in report.faults),
        notes=tuple(note for note in report.notes if not note.startswith(_DRY_RUN)),
        demo=report.tool.demo,
        files=tuple(files),
        questions=1,
        carried_lines=min(report.coverage.carried_lines, reported_lines),
    )


def _load_finding(
    reported: ReportedFinding | ReportedSuppression, files_by_path: Mapping[str, FileDiff]
) -> Finding:
    """Returns the finding on its lines if GitHub's diff shows them; else on its file, with the reported line."""
    resolved: Anchor | str = ""
    if reported.line is not None and reported.side is not None:
        resolved = resolve_anchor(
            reported.path, reported.line, reported.start_line, reported.side, files_by_path
        )
    anchor = resolved if isinstance(resolved, Anchor) else None
    known = isinstance(reported, ReportedFinding) and reported.known
    return reported.load(
        Finding,
        path=anchor.path if anchor else reported.path,
        severity=Severity.from_label(reported.severity),
        anchor=anchor,
        reported_line=None if anchor else reported.line or reported.reported_line,
        raised_as=reported.fingerprint if known else None,
    )


def _load_walkthrough(report: ReportedReview) -> Walkthrough | None:
    reported = report.walkthrough
    if reported is None:
        return None
    areas = tuple(area.load(Area) for area in reported.areas)
    return reported.load(Walkthrough, areas=areas, risk=reported.risk.load(Risk) if reported.risk else None)


def _load_coverage(
    report: ReportedReview, files: Sequence[FileDiff], skipped: Sequence[FileCoverage], unlisted_files: int
) -> Coverage:
    # Of two entries with one path, the one with fewer reviewed lines counts.
    entries = sorted(report.coverage.files, key=lambda entry: -entry.reviewed_lines)
    reported = {entry.path: entry for entry in entries}
    reasons = {file.path: file.reason for file in skipped}
    listed = [_load_file(file, reported.get(plain(file.path)), reasons.get(file.path)) for file in files]
    paths = {plain(file.path) for file in files}
    # The other job may have read more files than GitHub lists, from a checkout.
    others = [
        _load_file(FileDiff(path, FileStatus.CHANGED, patch_missing=True), entry, None)
        for path, entry in reported.items()
        if path not in paths
    ][:unlisted_files]
    return Coverage((*listed, *others), unlisted_files - len(others))


def _load_file(file: FileDiff, reported: ReportedFile | None, own_reason: SkipReason | None) -> FileCoverage:
    """Returns the coverage of one file. `own_reason`: why this job would skip it, None if it would not."""
    if reported is None:
        return FileCoverage(file.path, file.changed_lines, 0, SkipReason.FAILED, _NOT_NAMED)
    changed = file.changed_lines
    if file.patch_missing:  # GitHub may count no lines then
        changed = max(changed, reported.changed_lines)
    if reported.reason is SkipReason.DATA and not own_reason:
        data = sum(count_data_lines(file, hunk.lines) for hunk in file.hunks)
        if changed - reported.reviewed_lines <= data:
            reviewed = min(reported.reviewed_lines, changed)
            return FileCoverage(reported.path, changed, reviewed, SkipReason.DATA, reported.detail)
    if reported.reason is not None and reported.reason.deliberate:
        detail = "" if own_reason else f"the report skips it ({reported.reason}), but it is to be reviewed"
        return FileCoverage(reported.path, changed, 0, own_reason or SkipReason.FAILED, detail)
    reviewed = min(reported.reviewed_lines, changed)
    missing = SkipReason.FAILED if reviewed < changed else None
    return FileCoverage(reported.path, changed, reviewed, reported.reason or missing, reported.detail)


MAX_BYTES: Final = 10 * 1024 * 1024
_MOST_KEYS = 64
"""Maximum number of keys in an object; every object of a report has fewer."""
_MOST_FAULTS = 10
_RUN_AGAIN = "Make it again."


_Report = TypeVar("_Report", bound=ReportedReview)


def read_report(raw: bytes) -> ReportedReview:
    """Returns the report of a review from a file's bytes. Raises SettingsError with all faults together."""
    return read_report_as(ReportedReview, raw)


def read_report_as(kind: type[_Report], raw: bytes) -> _Report:
    """Returns the report, of this kind, from a file's bytes. Raises SettingsError with all faults together.

    The digest detects a damaged file. It does not authenticate the author: anybody can compute it.
    """
    report, digest_matches = parse_json(raw, "report", MAX_BYTES, _MOST_KEYS)
    version, findings = report.get("version"), report.get("findings")
    if type(version) is not int or version != VERSION:
        raise SettingsError(
            [
                f"The report is not of version {VERSION}, the only one that this hunkwise reads; use the same"
                " commit of hunkwise to make it and to publish it."
            ]
        )
    if not digest_matches:
        raise SettingsError([f"The report is damaged: its digest does not fit what it says. {_RUN_AGAIN}"])
    if isinstance(findings, list) and len(findings) > MAX_FINDINGS:
        raise SettingsError(
            [
                f"The report has {len(findings):,} findings, and at most {MAX_FINDINGS:,} are published; narrow"
                " the review by `paths`, or raise `min-severity`."
            ]
        )
    try:
        return kind.model_validate(report)
    except ValidationError as error:
        raise SettingsError(describe_faults(error, "report")) from error


def check(
    report: ReportedReview,
    *,
    repository: str,
    number: int | None = None,
    head_sha: str | None = None,
    head_repository: str | None = None,
) -> None:
    """Raises SettingsError with every difference between the report and GitHub's data; None is not compared."""
    faults = []
    if report.repository.casefold() != repository.casefold():
        faults.append(
            f"The report is about the repository {_shorten(report.repository)}, not about {repository};"
            " take the artifact of the run that started this one."
        )
    if report.pull_request is None:
        faults.append(
            "The report is about a range of commits, not about a pull request; make it on pull_request."
        )
    elif number is not None and report.pull_request != number:
        faults.append(
            f"The report is about pull request #{report.pull_request}, not about #{number};"
            " take the artifact of the run that reviewed it."
        )
    if head_sha is not None and report.head_sha != head_sha:
        faults.append(
            f"The report is about the commit {report.head_sha[:12]}, not about {head_sha[:12]};"
            " only the report of that commit's own run can be published."
        )
    reported_head = report.head_repository
    if (
        head_repository is not None
        and reported_head
        and reported_head.casefold() != head_repository.casefold()
    ):
        faults.append(
            f"The report is about a head in the repository {_shorten(reported_head)}, not in {head_repository};"
            " take the artifact of the run that started this one."
        )
    if faults:
        raise SettingsError(faults)


def parse_json(raw: bytes, what: str, most: int, most_keys: int) -> tuple[dict[str, Any], bool]:
    """Returns the object in a file of at most `most` bytes, and whether its digest matches. Raises SettingsError.

    `what` is the file's name in messages; an object has at most `most_keys` keys.
    """
    if len(raw) > most:
        raise SettingsError(
            [f"The {what} has more than {most:,} bytes, and is not read; narrow the run by `paths`."]
        )
    try:
        values: object = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_build_object(most_keys), parse_constant=_reject_constant
        )
        digest_matches = isinstance(values, dict) and values.get("digest") == digest_of(values)
    except RecursionError as error:
        raise SettingsError([f"The {what} is nested too deeply. {_RUN_AGAIN}"]) from error
    except ValueError as error:
        raise SettingsError([f"The {what} is not JSON, or not whole. {_RUN_AGAIN}"]) from error
    if not isinstance(values, dict):
        raise SettingsError([f"The {what} is not an object of JSON. {_RUN_AGAIN}"])
    return values, digest_matches


def _build_object(most_keys: int) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Returns the function that builds an object; it raises ValueError for a duplicate key, or too many keys."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs) or len(pairs) > most_keys:
            raise ValueError(len(pairs))
        return values

    return build


def _reject_constant(constant: str) -> None:
    raise ValueError(constant)


def describe_faults(error: ValidationError, what: str) -> list[str]:
    """Returns a sentence for each fault, at most 10; `what` is the file's name in messages."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    sentences = [
        f"The {what} has a fault at {_shorten('.'.join(map(str, detail['loc'])))}: {detail['msg']}."
        for detail in details[:_MOST_FAULTS]
    ]
    if len(details) > _MOST_FAULTS:
        sentences.append(f"The {what} has {len(details) - _MOST_FAULTS:,} more faults.")
    return [
        *sentences,
        f"Use the same commit of hunkwise to make the {what} and to read it.",
    ]


def _shorten(untrusted: str) -> str:
    return cut(one_line(untrusted), 100)

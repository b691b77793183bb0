"""Reads the JSON report of another workflow, with every error named, and compares it with what GitHub says.

The job that wrote it ran on an untrusted pull request, whose author may have changed that job's workflow. So all of
the report is untrusted: it can name findings and coverage, and decides nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import (
    Anchor,
    Area,
    Finding,
    Risk,
    RiskLevel,
    Severity,
    Verification,
    Walkthrough,
)
from hunkwise.domain.review import (
    Coverage,
    FileCoverage,
    RefutedFinding,
    Review,
    ReviewFault,
    SkipReason,
    Usage,
)
from hunkwise.domain.text import cut, one_line, plain
from hunkwise.errors import SettingsError
from hunkwise.publish.placement import by_path, resolve_anchor
from hunkwise.publish.report import (
    MAX_FINDINGS,
    VERSION,
    ReportedFinding,
    ReportedRefutation,
    ReportedReview,
    ReportedUsage,
    ReportedWalkthrough,
    digest_of,
)

_DRY_RUN: Final = "Dry run:"
"""How the note begins that nothing was posted: true of the run that made the report, and not of this one."""
_NOT_NAMED = "the report does not name it"


def as_review(report: ReportedReview, files: Sequence[FileDiff]) -> Review:
    """The review that the report tells of, against the files as GitHub gives them now.

    It carries no reviewed hunks, so that a report never lets a later run skip code. A changed file that the
    report does not name counts as not reviewed.
    """
    known = by_path(files)
    usage, coverage = report.usage, report.coverage
    return Review(
        head_sha=report.head_sha,
        findings=tuple(_standing(said, known) for said in report.findings),
        refuted=tuple(RefutedFinding(_finding(said, known), said.reason) for said in report.refuted),
        coverage=_coverage(report, files),
        usage=_usage(usage),
        spent={part.prompt: _usage(part) for part in usage.by_prompt},
        summary=report.summary,
        walkthrough=_walkthrough(report.walkthrough),
        faults=tuple(ReviewFault(fault.kind, fault.message, fault.hint) for fault in report.faults),
        notes=tuple(note for note in report.notes if not note.startswith(_DRY_RUN)),
        dropped=report.dropped,
        demo=report.tool.demo,
        seconds=report.seconds,
        prompts=report.prompts,
        instructions=report.instructions,
        files=tuple(files),
        asked=1,
        carried_lines=min(coverage.carried_lines, sum(file.reviewed_lines for file in coverage.files)),
    )


def _usage(said: ReportedUsage) -> Usage:
    return Usage(
        said.model_calls,
        said.input_tokens,
        said.output_tokens,
        said.cached_tokens,
        said.tool_calls,
        said.models,
        said.nano_credits,
    )


def _standing(said: ReportedFinding, known: Mapping[str, FileDiff]) -> Finding:
    """With what is said of its check, which is believed no more than its severity is."""
    return replace(
        _finding(said, known),
        raised_as=said.fingerprint if said.known else "",
        check=Verification(said.check) if said.check else None,
        evidence=said.evidence,
    )


def _finding(said: ReportedFinding | ReportedRefutation, known: Mapping[str, FileDiff]) -> Finding:
    """The finding on its lines, where the diff as GitHub has it shows them; else on its file, with the said line."""
    proof: Anchor | str = ""
    if said.line is not None and said.side is not None:
        proof = resolve_anchor(said.path, said.line, said.start_line, Side(said.side), known)
    anchor = proof if isinstance(proof, Anchor) else None
    return Finding(
        path=anchor.path if anchor else said.path,
        severity=Severity.parse(said.severity),
        title=said.title,
        body=said.body,
        anchor=anchor,
        category=said.category,
        suggestion=said.suggestion,
        confidence=said.confidence,
        prompt=said.prompt,
        said_line=None if anchor else said.line or said.said_line,
    )


def _walkthrough(said: ReportedWalkthrough | None) -> Walkthrough | None:
    if said is None:
        return None
    areas = tuple(Area(one.area, one.what, one.why) for one in said.areas)
    risk = Risk(RiskLevel(said.risk.level), said.risk.why) if said.risk else None
    return Walkthrough(areas, risk, said.diagram)


def _coverage(report: ReportedReview, files: Sequence[FileDiff]) -> Coverage:
    told = [
        FileCoverage(
            file.path,
            file.changed_lines,
            min(file.reviewed_lines, file.changed_lines),
            file.reason or (SkipReason.FAILED if file.reviewed_lines < file.changed_lines else None),
            file.detail,
        )
        for file in report.coverage.files
    ]
    named = {file.path for file in told}
    unnamed = [
        FileCoverage(file.path, file.changed_lines, 0, SkipReason.FAILED, _NOT_NAMED)
        for file in files
        if plain(file.path) not in named
    ]
    return Coverage((*told, *unnamed), report.coverage.unlisted_files)


MAX_BYTES: Final = 10 * 1024 * 1024
_MOST_KEYS = 64
"""Keys of one object: more than any object of a report has."""
_MOST_FAULTS = 10
_MAKE_AGAIN = "Run the workflow that made it again."


def read_report(raw: bytes) -> ReportedReview:
    """The report in a file's bytes. Raises SettingsError with what is wrong with it, all faults at once.

    The digest tells of damage on the way. It proves nothing about who wrote the report: anybody can compute it.
    """
    report, whole = _parsed(raw)
    version, findings = report.get("version"), report.get("findings")
    if type(version) is not int or version != VERSION:
        raise SettingsError(
            [
                f"The report is not of version {VERSION}, the only one that this hunkwise reads; use the same"
                " commit of hunkwise in the workflow that makes it and in the one that publishes it."
            ]
        )
    if not whole:
        raise SettingsError([f"The report is damaged: its digest does not fit what it says. {_MAKE_AGAIN}"])
    if isinstance(findings, list) and len(findings) > MAX_FINDINGS:
        raise SettingsError(
            [
                f"The report has {len(findings):,} findings, and at most {MAX_FINDINGS:,} are published; narrow"
                " the review by `paths`, or raise `min-severity`."
            ]
        )
    try:
        return ReportedReview.model_validate(report)
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from error


def check(
    report: ReportedReview,
    *,
    repository: str,
    number: int | None = None,
    head_sha: str | None = None,
    head_repository: str | None = None,
) -> None:
    """Raises SettingsError with all in which the report differs from what GitHub says; None is not compared."""
    faults = []
    if report.repository.casefold() != repository.casefold():
        faults.append(
            f"The report is about the repository {_shown(report.repository)}, not about {repository};"
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
    said = report.head_repository
    if head_repository is not None and said and said.casefold() != head_repository.casefold():
        faults.append(
            f"The report is about a head in the repository {_shown(said)}, not in {head_repository};"
            " take the artifact of the run that started this one."
        )
    if faults:
        raise SettingsError(faults)


def _parsed(raw: bytes) -> tuple[dict[str, Any], bool]:
    """The object in the file, and whether its digest fits."""
    if len(raw) > MAX_BYTES:
        raise SettingsError(
            [f"The report has more than {MAX_BYTES:,} bytes, and is not read; narrow the review by `paths`."]
        )
    try:
        report: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse)
        whole = isinstance(report, dict) and report.get("digest") == digest_of(report)
    except RecursionError as error:
        raise SettingsError([f"The report is nested too deeply. {_MAKE_AGAIN}"]) from error
    except ValueError as error:
        raise SettingsError([f"The report is not JSON, or not whole. {_MAKE_AGAIN}"]) from error
    if not isinstance(report, dict):
        raise SettingsError([f"The report is not an object of JSON. {_MAKE_AGAIN}"])
    return report, whole


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each key once, and not more of them than a report can have."""
    made = dict(pairs)
    if len(made) != len(pairs) or len(pairs) > _MOST_KEYS:
        raise ValueError(len(pairs))
    return made


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = [
        f"The report has a fault at {_shown('.'.join(map(str, detail['loc'])))}: {detail['msg']}."
        for detail in found[:_MOST_FAULTS]
    ]
    if len(found) > _MOST_FAULTS:
        said.append(f"The report has {len(found) - _MOST_FAULTS:,} more faults.")
    return [
        *said,
        "Use the same commit of hunkwise in the workflow that makes the report and in the one that publishes it.",
    ]


def _shown(foreign: str) -> str:
    return cut(one_line(foreign), 100)

"""A report that was read → a review whose every place is proved again, against the files as GitHub has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Check, Finding, Severity
from hunkwise.domain.outcome import Coverage, Fault, FileCoverage, Refuted, Review, SkipReason, Usage
from hunkwise.domain.walkthrough import Area, Risk, RiskLevel, Walkthrough
from hunkwise.publish.anchors import anchor_fault, by_path
from hunkwise.publish.characters import plain
from hunkwise.publish.report_shape import (
    ReportedReview,
    SaidFinding,
    SaidRefuted,
    SaidUsage,
    SaidWalkthrough,
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
        refuted=tuple(Refuted(_finding(said, known), said.reason) for said in report.refuted),
        coverage=_coverage(report, files),
        usage=_usage(usage),
        spent={part.prompt: _usage(part) for part in usage.by_prompt},
        summary=report.summary,
        walkthrough=_walkthrough(report.walkthrough),
        faults=tuple(Fault(fault.kind, fault.message, fault.hint) for fault in report.faults),
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


def _usage(said: SaidUsage) -> Usage:
    return Usage(
        said.model_calls,
        said.input_tokens,
        said.output_tokens,
        said.cached_tokens,
        said.tool_calls,
        said.models,
        said.nano_credits,
    )


def _standing(said: SaidFinding, known: Mapping[str, FileDiff]) -> Finding:
    """With what is said of its check, which is believed no more than its severity is."""
    return replace(
        _finding(said, known),
        raised_as=said.fingerprint if said.known else "",
        check=Check(said.check) if said.check else None,
        evidence=said.evidence,
    )


def _finding(said: SaidFinding | SaidRefuted, known: Mapping[str, FileDiff]) -> Finding:
    """The finding on its lines, where the diff as GitHub has it shows them; else on its file, with the said line."""
    proof: Anchor | str = ""
    if said.line is not None and said.side is not None:
        proof = anchor_fault(said.path, said.line, said.start_line, Side(said.side), known)
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


def _walkthrough(said: SaidWalkthrough | None) -> Walkthrough | None:
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

"""The JSON report: everything that a run found out, for machines and for what fits nowhere else.

Version 1 has these keys:

`version`, `tool` (name, demo), `repository`, `pull_request` (null for a local range), `head_sha`,
`conclusion`, `exit_code`, `review_url`, `highest_severity`, `findings`, `dropped`, `coverage`, `usage`,
`prompts`, `summary`, `faults`, `notes`, `seconds`. A finding has `fingerprint`, `path`, `line`, `start_line`,
`side`, `said_line`, `severity`, `category`, `confidence`, `prompt`, `title`, `body`, `suggestion` and
`where` (inline, file, body, summary or report). Texts are as the model wrote them but for unseen characters:
whoever shows them must escape them.
"""

from __future__ import annotations

from typing import Any

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Coverage, ExitCode, Posted, Review, Usage, Where
from hunkwise.publish.characters import plain

VERSION = 1


def as_json(
    review: Review, posted: Posted, *, repository: str, pull_request: int | None, exit_code: ExitCode
) -> dict[str, Any]:
    """The report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    return {
        "version": VERSION,
        "tool": {"name": "hunkwise", "demo": review.demo},
        "repository": plain(repository),
        "pull_request": pull_request,
        "head_sha": review.head_sha,
        "conclusion": exit_code.conclusion.value,
        "exit_code": exit_code.value,
        "review_url": posted.review_url,
        "highest_severity": review.highest.label if review.highest else None,
        "findings": [_finding(one, posted.where.get(one, Where.REPORT)) for one in review.findings],
        "dropped": review.dropped,
        "coverage": _coverage(review.coverage),
        "usage": _usage(review.usage),
        "prompts": [plain(name) for name in review.prompts],
        "summary": plain(review.summary),
        "faults": [
            {"kind": plain(fault.kind), "message": plain(fault.message), "hint": plain(fault.hint)}
            for fault in (*review.faults, *([posted.fault] if posted.fault else []))
        ],
        "notes": [plain(note) for note in (*review.notes, *posted.notes)],
        "seconds": round(review.seconds, 3),
    }


def _finding(finding: Finding, where: Where) -> dict[str, Any]:
    anchor = finding.anchor
    return {
        "fingerprint": finding.fingerprint,
        "path": plain(finding.path),
        "line": anchor.line if anchor else None,
        "start_line": anchor.start_line if anchor else None,
        "side": anchor.side.value if anchor else None,
        "said_line": finding.said_line,
        "severity": finding.severity.label,
        "category": plain(finding.category),
        "confidence": finding.confidence,
        "prompt": plain(finding.prompt),
        "title": plain(finding.title),
        "body": plain(finding.body),
        "suggestion": None if finding.suggestion is None else plain(finding.suggestion),
        "where": where.value,
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "percent": coverage.percent,
        "changed_lines": coverage.changed_lines,
        "reviewed_lines": coverage.reviewed_lines,
        "complete": coverage.complete,
        "unlisted_files": coverage.unlisted_files,
        "files": [
            {
                "path": plain(file.path),
                "changed_lines": file.changed_lines,
                "reviewed_lines": file.reviewed_lines,
                "reason": file.reason.value if file.reason else None,
                "missing": file.missing,
                "detail": plain(file.detail),
            }
            for file in coverage.files
        ],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "model_calls": usage.model_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "tool_calls": usage.tool_calls,
        "models": [plain(model) for model in usage.models],
    }

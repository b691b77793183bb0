"""The JSON report: everything that a run found out, for machines and for what fits nowhere else.

Version 1 has these keys:

`version`, `tool` (name, demo), `run`, `repository`, `pull_request` (null for a local range), `base_sha`,
`head_sha`, `head_repository` (empty where they are not known), `conclusion`, `exit_code`, `review_url`,
`highest_severity`, `findings`, `refuted`, `fixed`, `dismissed`, `dropped`, `coverage`, `usage`, `prompts`,
`instructions` (paths of the files that were shown to a model), `summary`,
`walkthrough`, `faults`, `notes`, `seconds` and `digest`.

`findings` are all that stand. One has `fingerprint`, `path`, `line`, `start_line`, `side`, `said_line`,
`severity`, `category`, `confidence`, `prompt`, `title`, `body`, `suggestion`, `where` (inline, file, body,
annotation, summary or report), `known` (raised before this run), `thread_url` (of the thread that an
earlier run began, or null), `check` (confirmed, lowered or unverified; null where this run asked for no second
opinion on it) and `evidence` (what that says for it). `refuted` are the candidates that the second opinion
dropped: each has the keys of a finding up to `suggestion`, and `reason`. `fixed` has `fingerprint` (empty where
it cannot be told), `path` and `thread_url` of each thread of ours whose code was fixed; `dismissed` has
`fingerprint` and `path` of each finding that a person dismissed. `summary` is what is said of the change as a
whole; `walkthrough`, or null, has `areas` (area, what, why), `risk` (level, why; or null) and `diagram` (Mermaid,
or empty). `digest` is over all the other keys and tells a damaged file from a whole one; it proves nothing of who
wrote it. Texts are as the model wrote them but for unseen characters: whoever shows them must escape them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from hunkwise.domain.conversation import Thread
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Fault, Review, Usage
from hunkwise.domain.walkthrough import Walkthrough
from hunkwise.publish.characters import plain
from hunkwise.publish.markers import raised_in
from hunkwise.publish.view import View

VERSION = 1


def as_json(view: View, *, base_sha: str = "", head_repository: str = "") -> dict[str, Any]:
    """The report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    review, posted = view.review, view.posted
    report: dict[str, Any] = {
        "version": VERSION,
        "tool": {"name": "hunkwise", "demo": review.demo},
        "run": plain(view.run),
        "repository": plain(view.repository),
        "pull_request": view.number,
        "base_sha": plain(base_sha),
        "head_sha": plain(review.head_sha),
        "head_repository": plain(head_repository),
        "conclusion": view.verdict.exit_code.conclusion.value,
        "exit_code": view.verdict.exit_code.value,
        "review_url": _address(posted.review_url),
        "highest_severity": review.highest.label if review.highest else None,
        "findings": [_finding(one, view) for one in review.findings],
        "refuted": [{**_said(one.finding), "reason": plain(one.reason)} for one in review.refuted],
        "fixed": [_fixed(thread) for thread in view.fixed],
        "dismissed": [
            {"fingerprint": plain(one.fingerprint), "path": plain(one.path)} for one in view.dismissed
        ],
        "dropped": review.dropped,
        "coverage": _coverage(review),
        "usage": {**_usage(review.usage), "by_prompt": _by_prompt(review)},
        "prompts": [plain(name) for name in review.prompts],
        "instructions": [plain(path) for path in review.instructions],
        "summary": plain(review.summary),
        "walkthrough": _walkthrough(review.walkthrough),
        "faults": [_fault(fault) for fault in (*review.faults, *([posted.fault] if posted.fault else []))],
        "notes": [plain(note) for note in (*review.notes, *posted.notes)],
        "seconds": round(review.seconds, 3),
    }
    return {**report, "digest": digest_of(report)}


def digest_of(report: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hex digits over the canonical JSON of all keys but `digest` itself."""
    told = {key: value for key, value in report.items() if key != "digest"}
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{sha256(canonical.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _finding(finding: Finding, view: View) -> dict[str, Any]:
    kept = view.kept_by_finding.get(finding)
    return {
        **_said(finding),
        "where": view.where(finding).value,
        "known": view.known(finding),
        "thread_url": _address(kept.thread.url) if kept and kept.thread else None,
        "check": finding.check.value if finding.check else None,
        "evidence": plain(finding.evidence),
    }


def _said(finding: Finding) -> dict[str, Any]:
    """What was found, and where."""
    anchor = finding.anchor
    return {
        "fingerprint": plain(finding.fingerprint),
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
    }


def _fixed(thread: Thread) -> dict[str, Any]:
    raised = raised_in(thread.body)
    return {
        "fingerprint": plain(raised[0].fingerprint) if raised else "",
        "path": plain(thread.path),
        "thread_url": _address(thread.url),
    }


def _fault(fault: Fault) -> dict[str, str]:
    return {"kind": plain(fault.kind), "message": plain(fault.message), "hint": plain(fault.hint)}


def _walkthrough(walkthrough: Walkthrough | None) -> dict[str, Any] | None:
    if walkthrough is None:
        return None
    risk = walkthrough.risk
    return {
        "areas": [
            {"area": plain(one.area), "what": plain(one.what), "why": plain(one.why)}
            for one in walkthrough.areas
        ],
        "risk": {"level": risk.level.value, "why": plain(risk.why)} if risk else None,
        "diagram": plain(walkthrough.diagram),
    }


def _address(url: str | None) -> str | None:
    return plain(url) if url else None


def _coverage(review: Review) -> dict[str, Any]:
    coverage = review.coverage
    return {
        "percent": coverage.percent,
        "changed_lines": coverage.changed_lines,
        "reviewed_lines": coverage.reviewed_lines,
        "carried_lines": review.carried_lines,
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
        "nano_credits": usage.nano_credits,
    }


def _by_prompt(review: Review) -> list[dict[str, Any]]:
    """What each prompt has cost; together they are all that was."""
    return [{"prompt": plain(name), **_usage(usage)} for name, usage in sorted(review.spent.items())]

"""Validates and collects the findings that a model reports in one session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.model import ToolReply
from hunkwise.domain.text import one_line
from hunkwise.prompts.report_findings import FindingsReport, RawFinding, read_report
from hunkwise.publish.placement import find_file, resolve_anchor
from hunkwise.publish.sanitize import fence

MAX_FINDINGS = 200
"""Findings accepted for one question; a model that reports more no longer works on the task."""
MAX_RUN_FINDINGS = 1_000
"""Findings accepted in a run: the maximum in a report that another job publishes."""
_MAX_CALLS = 10
_SIMILAR = 0.5
"""Minimum share of common words in two titles for one finding to be the correction of the other."""


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A finding with an invalid field or anchor, and the number of the call that reported it."""

    finding: Finding
    call: int


@dataclass(slots=True)
class FindingQuota:
    """The number of findings that the questions of a run may still report together."""

    left: int = MAX_RUN_FINDINGS

    def take(self) -> bool:
        """Counts one more finding; returns False if none is left."""
        if self.left == 0:
            return False
        self.left -= 1
        return True


class FindingCollector:
    """Handles the calls of `report_findings` in one session."""

    def __init__(
        self,
        prompt: str,
        files: Mapping[str, FileDiff],
        journal: Callable[[Finding], None],
        quota: FindingQuota | None = None,
    ) -> None:
        """`quota` is the quota that the questions of a run share."""
        self._prompt = prompt
        self._quota = quota or FindingQuota()
        self._files = files
        self._journal = journal
        self._accepted: dict[Finding, None] = {}
        self._rejected: list[_Rejected] = []
        self._calls = 0
        self._faults: list[str] = []
        """The faults of the last call."""
        self.unreadable = 0
        """Unreadable findings that no later finding replaced."""
        self.above_cap = 0
        """Findings reported after MAX_FINDINGS, or after the run's quota was used up."""
        self.beyond = 0
        """Findings above the limit of a call that no later call reported."""
        self.summary = ""
        self.done = False
        """Whether collection is complete: nothing is left to fix, or the model has used up its calls."""
        self._is_done_reported = False

    @property
    def answered(self) -> bool:
        """Whether the model has reported `done`, even if it did not fix the rejected findings."""
        return self.done or self._is_done_reported

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The accepted findings, then the rejected ones that were not fixed."""
        return (*self._accepted, *(rejected.finding for rejected in self._rejected))

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. The reply is accepted if the model is done and nothing is left to fix, or at the limit.

        Further calls in the same answer as the accepted one still arrive: their findings count as well.
        """
        closed = self.done
        self._calls += 1
        report = read_report(arguments)
        before = len(self.findings)
        faults = [*report.faults, *self._take_all(report)]
        added = max(0, len(self.findings) - before)
        self.unreadable = max(0, self.unreadable - added) + report.unreadable
        self.beyond = max(report.beyond, self.beyond - added)
        self.summary = report.summary or self.summary
        last = self._calls >= _MAX_CALLS or self.above_cap > 0
        self._is_done_reported = self._is_done_reported or report.done
        repeated = report.done and not added and bool(faults) and faults == self._faults
        self._faults = faults
        self.done = closed or (report.done and not faults) or repeated or last
        return ToolReply(self._reply_text(report, faults, last=last or repeated), accepted=self.done)

    def _take_all(self, report: FindingsReport) -> list[str]:
        """Accepts the valid findings; returns a sentence for each of the others that says what to fix."""
        faults: list[str] = []
        for raw, invalid in (*((raw, "") for raw in report.findings), *report.kept):
            finding, misplaced = self._resolve(raw)
            fault = invalid or misplaced
            if self._replaces_rejected(
                finding
            ):  # what is wrong again is accepted instead of asking once more
                self._accept(finding)
            elif not self._exceeds_limit(finding):
                if not fault:
                    self._accept(finding)
                elif sentence := self._reject(finding, fault):
                    faults.append(sentence)
        return faults

    def _resolve(self, raw: RawFinding) -> tuple[Finding, str]:
        """Returns the finding on those of its lines that are certain, and what is wrong with the others."""
        file = find_file(raw.path, self._files)
        path = file.path if file else raw.path
        side = None if raw.side is None else Side(raw.side)
        anchor = resolve_anchor(path, raw.line, raw.start_line, side, self._files)
        fault = "" if isinstance(anchor, Anchor) else anchor
        if fault and side is None:
            anchor = resolve_anchor(path, raw.line, raw.start_line, Side.RIGHT, self._files)
        if fault and raw.start_line is not None and not isinstance(anchor, Anchor):
            anchor = resolve_anchor(path, raw.line, None, side or Side.RIGHT, self._files)
            # The suggestion would replace other lines.
            code = f"\n\n{fence(raw.replacement)}" if raw.replacement else ""
            raw = raw.model_copy(update={"body": raw.body + code, "suggestion": None, "delete_lines": False})
        raw = raw.model_copy(update={"path": path})
        return finding_from(raw, self._prompt, anchor if isinstance(anchor, Anchor) else None), fault

    def _replaces_rejected(self, finding: Finding) -> bool:
        """Removes the rejected finding of an earlier call that this one corrects; returns whether there is one."""
        earlier = [rejected for rejected in self._rejected if rejected.call < self._calls]
        same_title = [rejected for rejected in earlier if rejected.finding.title == finding.title]
        similar = (
            rejected
            for rejected in earlier
            if rejected.finding.path == finding.path and _similarity(rejected.finding, finding) >= _SIMILAR
        )
        original = next((rejected for rejected in same_title if rejected.finding.path == finding.path), None)
        original = original or next(iter(same_title), None) or next(similar, None)
        if original is not None:
            self._rejected.remove(original)
        return original is not None

    def _exceeds_limit(self, finding: Finding) -> bool:
        if finding in self._accepted:
            return False
        if len(self._accepted) + len(self._rejected) < MAX_FINDINGS and self._quota.take():
            return False
        self.above_cap += 1
        return True

    def _reject(self, finding: Finding, why: str) -> str | None:
        """Holds the finding back until it is fixed and returns the fault; None if it was accepted before."""
        if finding in self._accepted:
            return None
        self._rejected.append(_Rejected(finding, self._calls))
        return f'"{finding.title[:80]}": {why}'

    def _accept(self, finding: Finding) -> None:
        if finding not in self._accepted:
            self._accepted[finding] = None
            self._journal(finding)

    def _reply_text(self, report: FindingsReport, faults: list[str], *, last: bool) -> str:
        count = f"Taken so far: {len(self._accepted)}."
        if last:
            return f"{count} No more calls are taken."
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:30])
            return (
                f"{count} Not taken:\n{listed}\nFix these and call again with them alone and `done: true`. "
                "What is left out is kept without a line."
            )
        return count if report.done else f"{count} Go on, and call again with `done: true` at the end."


def _similarity(finding: Finding, other: Finding) -> float:
    words, others = set(finding.title.casefold().split()), set(other.title.casefold().split())
    return len(words & others) / max(1, len(words | others))


def finding_from(raw: RawFinding, prompt: str, anchor: Anchor | None) -> Finding:
    """Converts a reported finding; without an anchor, `reported_line` is the line that the model named."""
    finding = Finding(
        path=anchor.path if anchor else raw.path,
        severity=Severity.from_label(raw.severity),
        title=raw.title if one_line(raw.title) else one_line(raw.body)[:80],
        body=raw.body,
        anchor=anchor,
        category=raw.category,
        suggestion=raw.replacement,
        confidence=raw.confidence,
        prompt=prompt,
    )
    return finding if anchor else replace(finding, reported_line=raw.line or None)

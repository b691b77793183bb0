"""Takes a model's reports for one prompt: proves each anchor, journals what is taken, tells back the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.question import Reply
from hunkwise.prompts.answers import Report, SaidFinding, read_report
from hunkwise.publish.anchors import anchor_fault
from hunkwise.publish.characters import one_line

MAX_FINDINGS = 200
"""Findings that one question may bring; a model that reports more has lost its way."""
MAX_RUN_FINDINGS = 1_000
"""Findings that a run may bring: what a report may have that another job publishes."""
_MAX_CALLS = 10
_ALIKE = 0.5
"""Share of words that two titles have in common, from which one is the other mended."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A finding without a place in the diff, and the call that brought it."""

    finding: Finding
    call: int


@dataclass(slots=True)
class Allowance:
    """How many more findings the questions of a run may bring together."""

    left: int = MAX_RUN_FINDINGS

    def take(self) -> bool:
        """Whether there is room for one more; counts it if so."""
        if self.left == 0:
            return False
        self.left -= 1
        return True


class Intake:
    """Stands behind `report_findings` in one session."""

    def __init__(
        self,
        prompt: str,
        files: Mapping[str, FileDiff],
        journal: Callable[[Finding], None],
        allowance: Allowance | None = None,
    ) -> None:
        """`allowance` is what the questions of a run have together."""
        self._prompt = prompt
        self._allowance = allowance or Allowance()
        self._files = files
        self._journal = journal
        self._taken: dict[Finding, None] = {}
        self._refused: list[_Refused] = []
        self._calls = 0
        self.unreadable = 0
        """Findings of which nothing could be read, and in whose place none came later."""
        self.above_cap = 0
        """Findings that came after MAX_FINDINGS, or when the run's allowance was used up."""
        self.beyond = 0
        """Findings above the limit of a call, which no later call has brought."""
        self.summary = ""
        self.done = False
        """Whether nothing more is asked for: nothing is left to mend, or the model has used up its calls."""
        self._said_done = False

    @property
    def answered(self) -> bool:
        """Whether the model has said that it is done, also where it then left out what it was told to mend."""
        return self.done or self._said_done

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was taken; then, without an anchor, what could not be placed and was not mended."""
        return (*self._taken, *(refused.finding for refused in self._refused))

    def take(self, arguments: object) -> Reply:
        """Reads one call. Accepted where nothing is left to mend and the model is done, or goes on for ever.

        Calls that stand beside the last one in the same answer come behind it: their findings count as well.
        """
        closed = self.done
        self._calls += 1
        report = read_report(arguments)
        before = len(self.findings)
        faults = [*report.faults, *self._take_all(report)]
        came = max(0, len(self.findings) - before)
        self.unreadable = max(0, self.unreadable - came) + report.unreadable
        self.beyond = max(report.beyond, self.beyond - came)
        self.summary = report.summary or self.summary
        last = self._calls >= _MAX_CALLS or self.above_cap > 0
        self._said_done = self._said_done or report.done
        self.done = closed or (report.done and not faults) or last
        return Reply(self._answer(report, faults, last=last), accepted=self.done)

    def _take_all(self, report: Report) -> list[str]:
        """Takes what has its place; the sentences say what is to be mended in the rest."""
        faults: list[str] = []
        for said in report.findings:
            proof = anchor_fault(said.path, said.line, said.start_line, Side(said.side), self._files)
            placed = isinstance(proof, Anchor)
            finding = finding_from(said, self._prompt, proof if isinstance(proof, Anchor) else None)
            if self._mends(finding) or not self._full(finding):
                if placed:
                    self._keep(finding)
                elif fault := self._refuse(finding, str(proof)):
                    faults.append(fault)
        for kept in report.kept:
            finding = finding_from(kept, self._prompt, None)
            if self._mends(finding) or not self._full(finding):
                self._refuse(finding, "")
        return faults

    def _mends(self, finding: Finding) -> bool:
        """Forgets the refused finding of an earlier call that this one says again, if there is one."""
        earlier = [refused for refused in self._refused if refused.call < self._calls]
        same = [refused for refused in earlier if refused.finding.title == finding.title]
        alike = (
            refused
            for refused in earlier
            if refused.finding.path == finding.path and _likeness(refused.finding, finding) >= _ALIKE
        )
        mended = next((refused for refused in same if refused.finding.path == finding.path), None)
        mended = mended or next(iter(same), None) or next(alike, None)
        if mended is None:
            return False
        self._refused.remove(mended)
        if finding.anchor is None:  # told once already: kept without a line rather than asked for again
            self._keep(finding)
        return True

    def _full(self, finding: Finding) -> bool:
        if finding in self._taken:
            return False
        if len(self._taken) + len(self._refused) < MAX_FINDINGS and self._allowance.take():
            return False
        self.above_cap += 1
        return True

    def _refuse(self, finding: Finding, why: str) -> str | None:
        """Sets it aside until it is mended; None where it was mended in vain, and is taken as it is."""
        if finding in self._taken:
            return None
        self._refused.append(_Refused(finding, self._calls))
        return f'"{finding.title[:80]}": {why}'

    def _keep(self, finding: Finding) -> None:
        if finding not in self._taken:
            self._taken[finding] = None
            self._journal(finding)

    def _answer(self, report: Report, faults: list[str], *, last: bool) -> str:
        taken = f"Taken so far: {len(self._taken)}."
        if last:
            return f"{taken} No more calls are taken."
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:30])
            return (
                f"{taken} Not taken:\n{listed}\nMend these and call again with them alone and `done: true`. "
                "What is left out is kept without a line."
            )
        return taken if report.done else f"{taken} Go on, and call again with `done: true` at the end."


def _likeness(one: Finding, other: Finding) -> float:
    words, others = set(one.title.casefold().split()), set(other.title.casefold().split())
    return len(words & others) / max(1, len(words | others))


def finding_from(said: SaidFinding, prompt: str, anchor: Anchor | None) -> Finding:
    """What the model said as a Finding; without an anchor it keeps the line that was named."""
    finding = Finding(
        path=anchor.path if anchor else said.path,
        severity=Severity.parse(said.severity),
        title=said.title if one_line(said.title) else one_line(said.body)[:80],
        body=said.body,
        anchor=anchor,
        category=said.category,
        suggestion=said.suggestion,
        confidence=said.confidence,
        prompt=prompt,
    )
    return finding if anchor else replace(finding, said_line=said.line)

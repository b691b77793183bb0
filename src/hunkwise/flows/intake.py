"""Takes a model's reports for one prompt: proves each anchor, journals what is taken, tells back the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import SequenceMatcher

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.prompts.answers import Reply, Report, SaidFinding, read_report
from hunkwise.publish.anchors import anchor_fault

MAX_FINDINGS = 200
"""Findings that one prompt may bring; a model that reports more has lost its way."""
_MAX_CALLS = 10
_ALIKE = 0.6
"""Likeness of two titles, as difflib measures it, from which one is the other mended."""


class Intake:
    """Stands behind `report_findings` in one session."""

    def __init__(
        self, prompt: str, files: Mapping[str, FileDiff], journal: Callable[[Finding], None]
    ) -> None:
        self._prompt = prompt
        self._files = files
        self._journal = journal
        self._taken: dict[tuple[str, str], Finding] = {}
        self._refused: dict[tuple[str, str], Finding] = {}
        self._calls = 0
        self.unreadable = 0
        """Findings of the last call whose shape was wrong, and which were not reported again."""
        self.summary = ""
        self.done = False

    @property
    def answered(self) -> bool:
        """Whether the model has reported and said that it is done, or has used up its calls."""
        return self.done

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was taken; then, without an anchor, what could not be placed and was not mended."""
        return (*self._taken.values(), *self._refused.values())

    def take(self, arguments: object) -> Reply:
        """Reads one call. Accepted where nothing is left to mend and the model is done."""
        self._calls += 1
        report = read_report(arguments)
        faults = [*report.faults, *self._take_all(report)]
        self.unreadable = len(report.faults)
        self.summary = report.summary or self.summary
        last = self._calls >= _MAX_CALLS
        self.done = (report.done and not faults) or last
        return Reply(self._answer(report, faults, last=last), accepted=self.done)

    def _take_all(self, report: Report) -> list[str]:
        faults: list[str] = []
        for said in report.findings:
            key = (said.path, said.title)
            if key not in self._taken and len(self._taken) >= MAX_FINDINGS:
                return [*faults, f"More than {MAX_FINDINGS} findings are not taken: call with done: true."]
            proof = anchor_fault(said.path, said.line, said.start_line, Side(said.side), self._files)
            if isinstance(proof, Anchor):
                self._forget_refused(said)
                self._keep(key, finding_from(said, self._prompt, proof))
            elif key in self._refused:
                # Told once already: kept without a line rather than asked for again.
                self._keep(key, self._refused.pop(key))
            else:
                self._refused[key] = finding_from(said, self._prompt, None)
                faults.append(f'"{said.title[:80]}": {proof}')
        return faults

    def _forget_refused(self, said: SaidFinding) -> None:
        """A mended finding replaces the one that was refused, also where its path or title was mended too."""
        for key in list(self._refused):
            path, title = key
            alike = SequenceMatcher(None, title, said.title).ratio() > _ALIKE
            if title == said.title or (path == said.path and alike):
                del self._refused[key]

    def _keep(self, key: tuple[str, str], finding: Finding) -> None:
        self._taken[key] = finding
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


def finding_from(said: SaidFinding, prompt: str, anchor: Anchor | None) -> Finding:
    """What the model said as a Finding; without an anchor it keeps the line that was named."""
    finding = Finding(
        path=anchor.path if anchor else said.path,
        severity=Severity.parse(said.severity),
        title=said.title,
        body=said.body,
        anchor=anchor,
        category=said.category,
        suggestion=said.suggestion,
        confidence=said.confidence,
        prompt=prompt,
    )
    return finding if anchor else replace(finding, said_line=said.line)

"""Asks for a summary of the whole change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hunkwise.domain.finding import MAX_OVERVIEW, Finding, Walkthrough
from hunkwise.domain.model import Question, ReportTool, ToolReply
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import ReviewFault
from hunkwise.domain.text import cut, one_line
from hunkwise.errors import ModelError, SettingsError
from hunkwise.flows.analysis import Analysis, Ask
from hunkwise.flows.models import Budgets, together, with_something_left
from hunkwise.flows.prompting import PromptWriter
from hunkwise.prompts.report_summary import (
    DESCRIPTION,
    REPORT,
    Style,
    SummaryReport,
    parameters,
    read_telling,
)
from hunkwise.publish.change_summary import diagram_fault
from hunkwise.settings.config import Config

_PROMPT = "summary"
_MAX_CALLS = 3
_WORDS = 24_000
"""Characters of what the questions said of their parts, together."""
_LONGEST, _SHORTEST = 1_500, 200
_MOST_FINDINGS = 60
_MOST_FILES = 60
"""Files that were not reviewed and are named."""
_TITLE = 200
_INSTEAD = "What is said of the change is what was said of its parts."


@dataclass(frozen=True)
class SummaryResult:
    """What is told of the change."""

    text: str = ""
    faults: tuple[ReviewFault, ...] = ()
    walkthrough: Walkthrough | None = None
    notes: tuple[str, ...] = ()


class Summarizer:
    """Asks for the summary where one question did not see the whole change."""

    def __init__(
        self, snapshot: Snapshot, ask: Ask, prompting: PromptWriter, budgets: Budgets, config: Config
    ) -> None:
        self._snapshot = snapshot
        self._ask = ask
        self._prompting = prompting
        self._budgets = budgets
        self._config = config

    async def of(
        self, analysis: Analysis, findings: Sequence[Finding], interrupted: asyncio.Event, earlier: str
    ) -> SummaryResult:
        """`earlier` is the summary of the run before. Raises nothing that the model or the outside did wrong."""
        style = self._config.summary
        if style == "off":
            return SummaryResult()
        if style == "short" and analysis.asked == 1 == analysis.answered and not analysis.carried_lines:
            return SummaryResult(_joined(analysis.summaries))
        instead = SummaryResult(_joined((earlier, *analysis.summaries)))
        if interrupted.is_set() or not analysis.answered:
            return instead  # the run says so already
        asking = _Asking(style)
        await together([self._put(asking, analysis, findings, earlier)], interrupted)
        if asking.telling.overview:
            return _account(asking.telling)
        return replace(instead, faults=asking.faults, notes=asking.notes)

    async def _put(
        self, asking: _Asking, analysis: Analysis, findings: Sequence[Finding], earlier: str
    ) -> None:
        prompt = self._config.stage(_PROMPT)
        values = _values(analysis, findings, asking.style, earlier)
        try:
            budget = with_something_left(self._budgets.summary(prompt))
            text = await asyncio.to_thread(
                self._prompting.stage_text, prompt, self._config.min_severity, values
            )
            await self._ask(
                Question(
                    prompt.name,
                    self._prompting.system_for(prompt.name),
                    text,
                    asking.tool,
                    budget,
                    prompt.tools,
                )
            )
        except ModelError as error:
            asking.notes = (f"The change could not be summed up: {one_line(error.message)} {_INSTEAD}",)
        except SettingsError as error:
            asking.faults = (ReviewFault("template", error.message),)


class _Asking:
    """Stands behind `report_summary`; keeps the last call that had an overview, and what went wrong."""

    def __init__(self, style: Style) -> None:
        self.style: Style = style
        self.telling = SummaryReport()
        self.faults: tuple[ReviewFault, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._calls = 0
        self._ended = False

    @property
    def tool(self) -> ReportTool:
        return ReportTool(REPORT, DESCRIPTION, parameters(self.style), self.take, self._answered)

    def take(self, arguments: object) -> ToolReply:
        """Reads one call; accepted where nothing is left to mend, or the model mends in vain."""
        if self._ended:
            return ToolReply("The summary was taken already.", accepted=True)
        self._calls += 1
        told = read_telling(arguments, self.style)
        if told.overview:
            self.telling = told
        self._ended = told.done and not told.faults
        if self._ended or self._calls >= _MAX_CALLS:
            return ToolReply("Taken." if self._ended else "No more calls are taken.", accepted=True)
        if not told.faults:
            return ToolReply("Call again with the whole summary and `done: true`.", accepted=False)
        listed = "\n".join(f"- {fault}" for fault in told.faults)
        return ToolReply(
            f"Not taken:\n{listed}\nMend these and call again with the whole summary.", accepted=False
        )

    def _answered(self) -> bool:
        """What could be read of a faulty call is enough, once the model said that it was done."""
        return self._ended or (self.telling.done and bool(self.telling.overview))


def _account(telling: SummaryReport) -> SummaryResult:
    """What the model told; a diagram that is not known to do nothing but draw is left out, and that is said."""
    told = telling.walkthrough
    fault = diagram_fault(told.diagram) if told.diagram else ""
    if not fault:
        return SummaryResult(telling.overview, walkthrough=told)
    note = f"A diagram of the change is not shown: {fault}."
    return SummaryResult(telling.overview, walkthrough=replace(told, diagram=""), notes=(note,))


def _joined(words: Iterable[str]) -> str:
    """What was said, once each, within the limit of an overview."""
    return cut("\n\n".join(dict.fromkeys(said for said in words if said)), MAX_OVERVIEW)


def _values(analysis: Analysis, findings: Sequence[Finding], style: Style, earlier: str) -> dict[str, Any]:
    """The names of the prompt's template beside those that all prompts share: never the diff."""
    said = analysis.summaries
    share = max(_SHORTEST, min(_LONGEST, _WORDS // max(1, len(said))))
    gravest = sorted(findings, key=lambda finding: -finding.severity)[:_MOST_FINDINGS]
    return {
        "style": style,
        "earlier": cut(earlier, MAX_OVERVIEW),
        "chunk_summaries": [cut(words, share) for words in said[: _WORDS // share]],
        "findings": [
            {"path": one.path, "severity": one.severity.label, "title": cut(one_line(one.title), _TITLE)}
            for one in gravest
        ],
        "unreviewed": [
            {"path": file.path, "reason": str(file.reason)}
            for file in analysis.coverage.missing[:_MOST_FILES]
        ],
    }

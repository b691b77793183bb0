"""Asks a model for a summary of the whole change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from hunkwise.domain.finding import (
    MAX_AREA,
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    MAX_WORDS,
    Area,
    Finding,
    Risk,
    RiskLevel,
    Walkthrough,
)
from hunkwise.domain.model import Question, ReportTool, ToolReply
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import ReviewFault
from hunkwise.domain.text import cut, one_line
from hunkwise.errors import ModelError, SettingsError
from hunkwise.flows.analysis import Analysis, Ask
from hunkwise.flows.models import Budgets, require_budget, run_all
from hunkwise.flows.prompting import PromptWriter
from hunkwise.prompts.report_call import (
    Reported,
    ReportedCall,
    normalized,
    read_call,
    text_within,
    tool_schema,
)
from hunkwise.publish.change_summary import diagram_fault
from hunkwise.settings.config import Config

REPORT: Final = "report_summary"
DESCRIPTION: Final = (
    "Report the summary of the change. Text outside of this tool is not read. It is checked at once; the answer says "
    "what to fix."
)
SHORT_AREAS: Final = 4
"""Maximum number of areas in a short summary."""
Style = Literal["short", "full"]
_MAX_FAULTS: Final = 10
# Models often write both: they are removed instead of rejecting the diagram.
_FENCED: Final = re.compile(r"```(?:mermaid)?[ \t]*\n(.*)\n```", re.DOTALL)
_BREAK: Final = re.compile(r"<br ?/?>")
_PROMPT = "summary"
_MAX_CALLS = 3
_MAX_CHUNK_SUMMARIES = 24_000
"""Characters of all chunk summaries together."""
_MAX_SHARE, _MIN_SHARE = 1_500, 200
"""Characters of one chunk summary."""
_MAX_FINDINGS = 60
_MAX_FILES = 60
"""Unreviewed files that are listed."""
_MAX_TITLE = 200
_FALLBACK = "The summary consists of the summaries of its parts."


class _RawArea(Reported):
    model_config = ConfigDict(json_schema_extra={"required": ["area", "what"]})

    area: Annotated[str, text_within(MAX_AREA)] = Field(min_length=1, description="Its name, in a few words.")
    what: Annotated[str, text_within(MAX_WORDS)] = Field(
        min_length=1, description="What changed in it, in one sentence."
    )
    why: Annotated[str, text_within(MAX_WORDS)] = Field(
        default="", description="Why that matters, where it is not plain."
    )


class _RawRisk(Reported):
    level: Annotated[
        Literal["low", "medium", "high"],
        BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    ]
    why: Annotated[str, text_within(MAX_WORDS)] = Field(
        min_length=1, description="What could go wrong, and for whom, in one sentence."
    )


class _SummaryCall(ReportedCall):
    model_config = ConfigDict(json_schema_extra={"required": ["overview", "areas", "risk", "done"]})

    overview: Annotated[str, text_within(MAX_OVERVIEW)] = Field(
        default="",
        min_length=1,
        description="What the change as a whole does and why it matters, in up to three sentences.",
    )
    areas: list[_RawArea] = Field(
        default=[],
        max_length=MAX_AREAS,
        description="The parts that it falls into, the most important first; empty where there is one.",
    )
    risk: _RawRisk | None = None
    diagram: str = Field(
        default="",
        max_length=MAX_DIAGRAM,
        description="Only where it says more than words: the source of one small Mermaid diagram (flowchart, "
        "sequenceDiagram, stateDiagram-v2 or classDiagram), without a fence, links, styles or HTML.",
    )
    done: bool = Field(default=False, description="True: nothing more is to be reported.")

    @field_validator("diagram")
    @classmethod
    def _source(cls, value: str) -> str:
        fenced = _FENCED.fullmatch(value.strip())
        return _BREAK.sub(" ", fenced[1] if fenced else value).expandtabs(4).strip()

    @property
    def walkthrough(self) -> Walkthrough:
        areas = tuple(Area(area.area, area.what, area.why) for area in self.areas)
        return Walkthrough(
            areas, Risk(RiskLevel(self.risk.level), self.risk.why) if self.risk else None, self.diagram
        )


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """A call of the tool: its valid parts, and the faults of the others."""

    overview: str = ""
    walkthrough: Walkthrough = field(default_factory=Walkthrough)
    faults: tuple[str, ...] = ()
    done: bool = False


def read_summary(arguments: object, style: Style) -> SummaryReport:
    """Parses the arguments of a call, which may be anything. Text that is too long is cut, without a fault."""
    arguments = normalized(_SummaryCall, arguments)
    if isinstance(arguments, dict):
        fields = parameters(style)["properties"]
        areas = arguments.get("areas") or []
        areas = areas[: fields["areas"]["maxItems"]] if isinstance(areas, list) else areas
        arguments = {name: arguments.get(name) for name in fields} | {"areas": areas}
    reading = read_call(_SummaryCall, arguments)
    call = reading.call
    return SummaryReport(call.overview, call.walkthrough, reading.faults[:_MAX_FAULTS], call.done)


def parameters(style: Style) -> dict[str, Any]:
    """Returns the tool's JSON schema: a short summary has fewer areas and no diagram."""
    schema = tool_schema(_SummaryCall)
    if style == "short":
        schema["properties"]["areas"]["maxItems"] = SHORT_AREAS
        del schema["properties"]["diagram"]
    return schema


@dataclass(frozen=True)
class SummaryResult:
    """The summary of a change, with the faults and notes of the question."""

    text: str = ""
    faults: tuple[ReviewFault, ...] = ()
    walkthrough: Walkthrough | None = None
    notes: tuple[str, ...] = ()


class Summarizer:
    """Asks for a summary if one question did not cover the whole change, or the style is "full"."""

    def __init__(
        self, snapshot: Snapshot, ask: Ask, prompting: PromptWriter, budgets: Budgets, config: Config
    ) -> None:
        self._snapshot = snapshot
        self._ask = ask
        self._prompting = prompting
        self._budgets = budgets
        self._config = config

    async def summarize(
        self, analysis: Analysis, findings: Sequence[Finding], interrupted: asyncio.Event, earlier: str
    ) -> SummaryResult:
        """Returns the summary. `earlier` is the summary of the previous run. Never raises for a fault of the model, a
        prompt or the network: the result falls back to the chunk summaries."""
        style = self._config.summary
        if style == "off":
            return SummaryResult()
        if style == "short" and analysis.questions == 1 == analysis.answered and not analysis.carried_lines:
            return SummaryResult(_join(analysis.summaries))
        fallback = SummaryResult(_join((earlier, *analysis.summaries)))
        if interrupted.is_set() or not analysis.answered:
            return fallback  # the run reports that already
        collector = _SummaryCollector(style)
        await run_all([self._run_question(collector, analysis, findings, earlier)], interrupted)
        if collector.report.overview:
            return _build_result(collector.report)
        return replace(fallback, faults=collector.faults, notes=collector.notes)

    async def _run_question(
        self, collector: _SummaryCollector, analysis: Analysis, findings: Sequence[Finding], earlier: str
    ) -> None:
        prompt = self._config.stage(_PROMPT)
        values = summary_variables(analysis, findings, collector.style, earlier)
        try:
            budget = require_budget(self._budgets.summary(prompt))
            text = await asyncio.to_thread(
                self._prompting.stage_text, prompt, self._config.min_severity, values
            )
            await self._ask(
                Question(
                    prompt.name,
                    self._prompting.system_for(prompt.name),
                    text,
                    collector.tool,
                    budget,
                    prompt.tools,
                )
            )
        except ModelError as error:
            collector.notes = (f"The change could not be summed up: {one_line(error.message)} {_FALLBACK}",)
        except SettingsError as error:
            collector.faults = (ReviewFault("template", error.message),)


class _SummaryCollector:
    """Handles the calls of `report_summary`; keeps the last call that had an overview, and the errors."""

    def __init__(self, style: Style) -> None:
        self.style: Style = style
        self.report = SummaryReport()
        self.faults: tuple[ReviewFault, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._calls = 0
        self._ended = False

    @property
    def tool(self) -> ReportTool:
        return ReportTool(REPORT, DESCRIPTION, parameters(self.style), self.take, self._answered)

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. The reply is accepted if nothing is left to fix, or at the third call."""
        if self._ended:
            return ToolReply("The summary was taken already.", accepted=True)
        self._calls += 1
        report = read_summary(arguments, self.style)
        if report.overview:
            self.report = report
        self._ended = report.done and not report.faults
        if self._ended or self._calls >= _MAX_CALLS:
            return ToolReply("Taken." if self._ended else "No more calls are taken.", accepted=True)
        if not report.faults:
            return ToolReply("Call again with the whole summary and `done: true`.", accepted=False)
        listed = "\n".join(f"- {fault}" for fault in report.faults)
        return ToolReply(
            f"Not taken:\n{listed}\nFix these and call again with the whole summary.", accepted=False
        )

    def _answered(self) -> bool:
        """Returns whether there is a usable summary: a call with faults is enough once the model reported `done`."""
        return self._ended or (self.report.done and bool(self.report.overview))


def _build_result(report: SummaryReport) -> SummaryResult:
    """Converts a report; a diagram that might do more than draw is removed, with a note."""
    walkthrough = report.walkthrough
    fault = diagram_fault(walkthrough.diagram) if walkthrough.diagram else ""
    if not fault:
        return SummaryResult(report.overview, walkthrough=walkthrough)
    note = f"A diagram of the change is not shown: {fault}."
    return SummaryResult(report.overview, walkthrough=replace(walkthrough, diagram=""), notes=(note,))


def _join(summaries: Iterable[str]) -> str:
    """Joins the summaries, each once, within the limit of an overview."""
    return cut("\n\n".join(dict.fromkeys(summary for summary in summaries if summary)), MAX_OVERVIEW)


def summary_variables(
    analysis: Analysis, findings: Sequence[Finding], style: Style, earlier: str
) -> dict[str, Any]:
    """Returns the template variables that only this prompt has: never the diff."""
    summaries = analysis.summaries
    share = max(_MIN_SHARE, min(_MAX_SHARE, _MAX_CHUNK_SUMMARIES // max(1, len(summaries))))
    most_severe = sorted(findings, key=lambda finding: -finding.severity)[:_MAX_FINDINGS]
    return {
        "style": style,
        "earlier": cut(earlier, MAX_OVERVIEW),
        "chunk_summaries": [cut(summary, share) for summary in summaries[: _MAX_CHUNK_SUMMARIES // share]],
        "findings": [
            {
                "path": finding.path,
                "severity": finding.severity.label,
                "title": cut(one_line(finding.title), _MAX_TITLE),
            }
            for finding in most_severe
        ],
        "unreviewed": [
            {"path": file.path, "reason": str(file.reason)} for file in analysis.coverage.missing[:_MAX_FILES]
        ],
    }

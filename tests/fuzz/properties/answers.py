"""Properties of tool calls of a model: each has a reply, and no finding is lost."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from copilot.tools import Tool, ToolInvocation, ToolResult

from hunkwise.copilot.tools import MAX_ANSWER, MAX_NAMES, report_tool, repository_tools
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import READING_TOOLS, Budget, ReportTool
from hunkwise.domain.pull_request import Known, ReadableCode
from hunkwise.flows.finding_collector import FindingCollector
from hunkwise.prompts.report_findings import DESCRIPTION, MAX_FINDINGS, REPORT, parameters, read_report
from tests.publish.samples import file_diff

WORDS = (
    *("findings", "done", "summary", "path", "line", "start_line", "side", "severity", "category", "title"),
    *(
        "body",
        "suggestion",
        "confidence",
        "src/a.py",
        "RIGHT",
        "LEFT",
        "high",
        "critical",
        "pattern",
        "paths",
    ),
    *("end_line", "..", "/", "../../etc/passwd", "a\0b", ".git/config", "", " ", "(?:a+)+$"),
)
_LONGEST_REPLY = 50_000
_FILES = {"src/a.py": file_diff()}


def check_report_findings(arguments: object) -> None:
    """Checks that each finding of a call is accepted, reported as a fault, or kept in part."""
    report = read_report(arguments)
    findings = arguments.get("findings") if isinstance(arguments, dict) else None
    partial = [finding for finding, _ in report.kept]
    read = len(report.findings) + len(partial) + report.unreadable
    if isinstance(findings, list) and len(findings) != 1:
        assert read == min(len(findings), MAX_FINDINGS)
    else:  # a nested list, one object, or an invalid value
        assert read >= 1
        assert isinstance(findings, list | dict) or (report.unreadable, report.done) == (1, False)
    assert all(fault for _, fault in report.kept)
    assert report.faults or not report.unreadable
    for one in (*report.findings, *partial):
        assert len(one.title) <= 300
        assert len(one.body) <= 10_000
        assert one.title
        assert one.body
        assert one.line >= (one not in partial)
    assert sum(map(len, (*report.faults, *(fault for _, fault in report.kept)))) <= 200 * MAX_FINDINGS * 10
    "".join(
        (*report.faults, *(one.title + one.body + one.path + fault for one, fault in report.kept))
    ).encode()


def check_finding_collector(*calls: object) -> None:
    """Checks that the collector replies to each call, and that its results can be written to a file."""
    journaled: list[Finding] = []
    intake = FindingCollector("review", _FILES, journaled.append)
    report = ReportTool(REPORT, DESCRIPTION, parameters(), intake.take, lambda: intake.answered)
    tool = report_tool(report, lambda: True)
    for arguments in calls:
        answer = _answer(tool, arguments)
        assert answer.result_type in ("success", "failure", "rejected")
        assert len(answer.text_result_for_llm.encode("utf-8")) <= _LONGEST_REPLY
    for finding in (*journaled, *intake.findings):
        json.dumps(asdict(finding), ensure_ascii=False, allow_nan=False).encode("utf-8")
        assert finding.anchor is None or finding.anchor.path == "src/a.py"
    assert set(journaled) <= set(intake.findings)


def check_reading_tools(arguments: object) -> None:
    """Checks that reading tools reply within the limit, and do not leave the repository."""
    for tool in repository_tools(
        ReadableCode(CheckedRepository(), CheckedRepository(), _FILES), Budget(10**6), READING_TOOLS
    ):
        answer = _answer(tool, arguments)
        assert len(answer.text_result_for_llm) <= MAX_ANSWER
        answer.text_result_for_llm.encode("utf-8")


class CheckedRepository:
    """A repository that fails on paths outside of it."""

    searchable = True

    def read(self, path: str) -> bytes | None:
        _is_inside(path)
        return b"one\ntwo\n" * 500

    def read_many(self, paths: Sequence[str]) -> Known:
        return {path: self.read(path) for path in paths}

    def search(
        self, pattern: str, paths: tuple[str, ...], **_limits: object
    ) -> list[tuple[str, int, str]] | None:
        assert 0 < len(pattern) <= 500
        for path in paths:
            _is_inside(path)
        return [("src/a.py", 1, pattern * 100)] * 30

    def list(self, path: str) -> tuple[str, ...] | None:
        if path:
            _is_inside(path)
        return ("name",) * (MAX_NAMES + 1)


def _is_inside(path: str) -> None:
    assert path
    assert not path.startswith("/")
    assert {"", ".", ".."}.isdisjoint(path.split("/"))
    assert path.isprintable() or not any(ord(character) < 0x20 for character in path)
    path.encode("utf-8")


def _answer(tool: Tool, arguments: Any) -> ToolResult:
    """Returns the tool's result, called in the way of the SDK."""

    async def call() -> ToolResult:
        assert tool.handler is not None
        answer = tool.handler(ToolInvocation(arguments=arguments))
        assert inspect.isawaitable(answer)
        return await answer

    return asyncio.run(call())

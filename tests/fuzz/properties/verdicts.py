"""Properties of verdicts, summaries, front matter and instructions."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.domain.finding import MAX_AREA, MAX_AREAS, MAX_DIAGRAM, MAX_OVERVIEW, MAX_WORDS, Severity
from hunkwise.errors import SettingsError
from hunkwise.flows.instructions import read_instructions
from hunkwise.flows.summary import read_summary
from hunkwise.prompts.report_answer import MAX_TEXT, AnswerCollector
from hunkwise.prompts.report_verdicts import MAX_CORRECTION, VerdictCollector
from hunkwise.settings.sources import read_front_matter
from tests.publish.samples import finding

WORDS = (
    *(
        "verdicts",
        "finding",
        "verdict",
        "severity",
        "evidence",
        "same_as",
        "corrected",
        "same",
        "not_worth_comment",
        "unclear",
        "keep",
        "drop",
        "lower",
        "low",
        "medium",
        "high",
    ),
    *(
        "overview",
        "areas",
        "area",
        "what",
        "why",
        "risk",
        "level",
        "diagram",
        "done",
        "text",
        "suggestion",
        "flowchart LR\nA --> B",
    ),
)
_FINDINGS = (finding("One", severity=Severity.HIGH), finding("Two", severity=Severity.LOW))
_LONGEST_REPLY = 50_000
_PATH = "prompts/mine.md.j2"


def check_verdicts(calls: Sequence[object]) -> None:
    """Checks that findings are dropped or lowered only with evidence and without contradictions."""
    collector = VerdictCollector(_FINDINGS)
    for arguments in calls:
        reply = collector.take(arguments)
        assert 0 < len(reply.text) <= _LONGEST_REPLY
    for number, one in enumerate(_FINDINGS, 1):
        ruling = collector.verdict_on(number)
        if ruling is None:
            continue
        assert collector.answered
        assert number not in collector.contradicted
        assert ruling.verdict in ("keep", "same", "unclear") or any(map(str.isalnum, ruling.evidence))
        assert (ruling.verdict == "same") is (ruling.same_as in {1, 2} - {number})
        assert len(ruling.corrected) <= MAX_CORRECTION
        ruling.corrected.encode("utf-8")
        assert ruling.severity is None or (ruling.verdict == "lower" and ruling.severity < one.severity)
        ruling.evidence.encode("utf-8")


def check_report_summary(arguments: object) -> None:
    """Checks that a summary is within its limits, and that its faults are text."""
    for most, summary in (
        (4, read_summary(arguments, "short")),
        (MAX_AREAS, read_summary(arguments, "full")),
    ):
        walkthrough = summary.walkthrough
        assert len(summary.overview) <= MAX_OVERVIEW
        assert len(walkthrough.areas) <= most
        assert all(len(one.area) <= MAX_AREA for one in walkthrough.areas)
        assert all(max(len(one.what), len(one.why)) <= MAX_WORDS for one in walkthrough.areas)
        assert len(walkthrough.diagram) <= MAX_DIAGRAM
        assert summary.faults or (summary.overview and walkthrough.risk is not None)
        "".join((summary.overview, *walkthrough.texts, *summary.faults)).encode("utf-8")


def check_report_answer(calls: Sequence[object]) -> None:
    """Checks that every call has a reply, the third is accepted, and the answer is within its limits."""
    collector = AnswerCollector(lambda text: "it is long" if len(text) > 20 else "")
    for number, arguments in enumerate(calls, 1):
        reply = collector.take(arguments)
        assert 0 < len(reply.text) <= _LONGEST_REPLY
        assert reply.accepted or number < 3
    assert len(collector.report.text) <= MAX_TEXT
    assert len(collector.report.suggestion) <= 20
    "".join((collector.report.text, collector.report.suggestion)).encode("utf-8")


def check_front_matter(text: str) -> None:
    """Checks that any text is a template with unchanged line numbers, or has faults with lines of the file."""
    try:
        _front, template = read_front_matter(text, _PATH)
    except SettingsError as error:
        _check_faults(error)
        return
    assert template.count("\n") == text.count("\n")
    assert text.endswith(template[template.rfind("#}") + 2 :])


def check_instructions(content: bytes) -> None:
    """Checks that any bytes are instructions with text, or none."""
    for path in ("AGENTS.md", "src/AGENTS.md", ".github/instructions/py.instructions.md"):
        parsed = read_instructions(path, content)
        assert parsed is None or parsed.text.strip()


def _check_faults(error: SettingsError) -> None:
    assert all(fault.startswith(f"{_PATH}:") and fault.isprintable() for fault in error.faults)

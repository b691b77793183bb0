"""What must hold of the words of a second model, and of what stands above a template."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.domain.finding import MAX_AREA, MAX_AREAS, MAX_DIAGRAM, MAX_OVERVIEW, MAX_WORDS, Severity
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import read_instructions
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


def drops_nothing_without_a_reason(calls: Sequence[object]) -> None:
    """Whatever is said: a finding is dropped or lowered with evidence alone, and never where two things were said."""
    desk = VerdictCollector(_FINDINGS)
    for arguments in calls:
        reply = desk.take(arguments)
        assert 0 < len(reply.text) <= _LONGEST_REPLY
    for number, one in enumerate(_FINDINGS, 1):
        ruling = desk.verdict_on(number)
        if ruling is None:
            continue
        assert desk.answered
        assert number not in desk.contradicted
        assert ruling.verdict in ("keep", "same", "unclear") or any(map(str.isalnum, ruling.evidence))
        assert (ruling.verdict == "same") is (ruling.same_as in {1, 2} - {number})
        assert len(ruling.corrected) <= MAX_CORRECTION
        ruling.corrected.encode("utf-8")
        assert ruling.severity is None or (ruling.verdict == "lower" and ruling.severity < one.severity)
        ruling.evidence.encode("utf-8")


def is_told_within_bounds(arguments: object) -> None:
    """A summary keeps its lengths, and says in words what is to be mended."""
    for most, telling in (
        (4, read_summary(arguments, "short")),
        (MAX_AREAS, read_summary(arguments, "full")),
    ):
        walkthrough = telling.walkthrough
        assert len(telling.overview) <= MAX_OVERVIEW
        assert len(walkthrough.areas) <= most
        assert all(len(one.area) <= MAX_AREA for one in walkthrough.areas)
        assert all(max(len(one.what), len(one.why)) <= MAX_WORDS for one in walkthrough.areas)
        assert len(walkthrough.diagram) <= MAX_DIAGRAM
        assert telling.faults or (telling.overview and walkthrough.risk is not None)
        "".join((telling.overview, *walkthrough.texts, *telling.faults)).encode("utf-8")


def is_answered_within_bounds(calls: Sequence[object]) -> None:
    """Every call has a reply, the third ends the turn, and what is kept can be posted."""
    collector = AnswerCollector(lambda text: "it is long" if len(text) > 20 else "")
    for number, arguments in enumerate(calls, 1):
        reply = collector.take(arguments)
        assert 0 < len(reply.text) <= _LONGEST_REPLY
        assert reply.accepted or number < 3
    assert len(collector.report.text) <= MAX_TEXT
    assert len(collector.report.suggestion) <= 20
    "".join((collector.report.text, collector.report.suggestion)).encode("utf-8")


def stands_above_its_template(text: str) -> None:
    """Any text is a template with its lines where they were, or has faults in words, each on a line of the file."""
    try:
        _front, template = read_front_matter(text, _PATH)
    except SettingsError as error:
        _are_sayable(error)
        return
    assert template.count("\n") == text.count("\n")
    assert text.endswith(template[template.rfind("#}") + 2 :])


def instructs_or_not(content: bytes) -> None:
    """Any bytes are instructions with words in them, or none."""
    for path in ("AGENTS.md", "src/AGENTS.md", ".github/instructions/py.instructions.md"):
        said = read_instructions(path, content)
        assert said is None or said.text.strip()


def _are_sayable(error: SettingsError) -> None:
    assert all(fault.startswith(f"{_PATH}:") and fault.isprintable() for fault in error.faults)

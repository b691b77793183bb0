"""Findings in batches: of one file each, the gravest first, with the rows around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.flows.verification import MOST_IN_BATCH, FindingBatch, ShownCode, batches_of, names_of
from hunkwise.plan.chunking import ChunkPart
from hunkwise.publish.placement import by_path
from tests.fakes.changes import added, changed

FILES = by_path([changed("a.py"), added("b.py", *map(str, range(300)))])


def finding(
    path: str = "a.py", line: int | None = 2, severity: Severity = Severity.HIGH, **more: Any
) -> Finding:
    anchor = None if line is None else Anchor(path, line, more.pop("side", Side.RIGHT))
    return Finding(path, severity, more.pop("title", f"Fault at {line}"), "It fails.", anchor, **more)


def test_a_batch_has_one_file_and_the_gravest_comes_first() -> None:
    low, high = finding("a.py", severity=Severity.LOW), finding("b.py")
    other = finding("a.py", 1, Severity.MEDIUM)
    assert batches_of([low, high, other]) == (
        FindingBatch("b.py", (high,)),
        FindingBatch("a.py", (other, low)),
    )


def test_many_findings_of_a_file_are_parted_by_their_severity() -> None:
    grave = [finding("b.py", line) for line in range(1, 15)]
    small = [finding("b.py", line, Severity.LOW) for line in range(15, 30)]
    batches = batches_of([*small, *grave])
    assert [len(batch.findings) for batch in batches] == [12, 12, 5]
    assert {one.severity for one in batches[0].findings} == {Severity.HIGH}
    assert [one.anchor.line for one in batches[0].findings if one.anchor] == list(range(1, 13))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Severity))), max_size=60))
def test_each_finding_is_in_one_batch(each: list[tuple[str, Severity]]) -> None:
    findings = [finding(path, line, severity) for line, (path, severity) in enumerate(each, 1)]
    batches = batches_of(findings)
    assert sorted((one for batch in batches for one in batch.findings), key=repr) == sorted(
        findings, key=repr
    )
    assert all(len(batch.findings) <= MOST_IN_BATCH for batch in batches)
    assert all(one.path == batch.path for batch in batches for one in batch.findings)


def test_a_template_sees_the_findings_and_the_rows_around_them() -> None:
    placed = finding(category="tests", suggestion="three")
    loose = finding(line=None, said_line=99, severity=Severity.LOW)
    names = names_of(FindingBatch("a.py", (placed, loose)), ShownCode(FILES, 10_000))
    assert names["path"] == "a.py"
    assert names["findings"] == [
        {
            "number": 1,
            "severity": "high",
            "category": "tests",
            "title": "Fault at 2",
            "body": "It fails.",
            "line": 2,
            "start_line": None,
            "side": "RIGHT",
            "suggestion": "three",
            "prompt": "review",
            "placed": True,
        },
        {
            "number": 2,
            "severity": "low",
            "category": "",
            "title": "Fault at None",
            "body": "It fails.",
            "line": 99,
            "start_line": None,
            "side": "RIGHT",
            "suggestion": None,
            "prompt": "review",
            "placed": False,
        },
    ]
    assert names["code"].startswith('### "a.py" (modified)\n@@ def first():\nR1   one\nL2 - two\nR2 + two!')


def test_a_finding_that_was_not_placed_is_shown_the_rows_near_the_line_it_names() -> None:
    near = finding("b.py", None, said_line=150)
    code = names_of(FindingBatch("b.py", (near,)), ShownCode(FILES, 1_000))["code"]
    assert "R150 + 149" in code
    assert len(code) <= 1_000


def test_a_finding_on_the_file_is_shown_its_beginning() -> None:
    code = names_of(FindingBatch("b.py", (finding("b.py", None),)), ShownCode(FILES, 1_000))["code"]
    assert "R1 + 0" in code


def test_a_file_that_the_change_does_not_have_shows_nothing() -> None:
    assert names_of(FindingBatch("c.py", (finding("c.py", None),)), ShownCode(FILES, 1_000))["code"] == ""
    no_patch: dict[str, FileDiff] = {"a.py": FileDiff("a.py", FILES["a.py"].status, patch_missing=True)}
    assert names_of(FindingBatch("a.py", (finding(),)), ShownCode(no_patch, 1_000))["code"] == ""


def test_the_functions_around_the_rows_stand_behind_them() -> None:
    asked: list[tuple[int, int]] = []

    def around(parts: Sequence[ChunkPart], room: int) -> str:
        asked.append((len(parts), room))
        return "def first():"

    code = names_of(FindingBatch("a.py", (finding(),)), ShownCode(FILES, 1_000, around, 500))["code"]
    assert code.endswith("R4   three\n\ndef first():")
    assert asked == [(1, 500)]

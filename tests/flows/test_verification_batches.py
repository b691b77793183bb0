"""Findings in batches: the gravest first, with the rows around them, the rows that they cite, and removed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.flows.verification import (
    MOST_IN_BATCH,
    Claim,
    FindingBatch,
    ShownCode,
    batches_of,
    build_variables,
)
from hunkwise.plan.chunking import ChunkPart
from tests.fakes.changes import added, changed

FILES = by_path([changed("a.py"), added("b.py", *map(str, range(300)))])


def finding(
    path: str = "a.py", line: int | None = 2, severity: Severity = Severity.HIGH, **more: Any
) -> Finding:
    anchor = None if line is None else Anchor(path, line, more.pop("side", Side.RIGHT))
    title, body = more.pop("title", f"Fault at {line}"), more.pop("body", "It fails.")
    return Finding(path, severity, title, body, anchor, **more)


def batch(*findings: Finding) -> FindingBatch:
    return FindingBatch(tuple(map(Claim, findings)))


def batches(findings: Sequence[Finding], room: int = 100_000) -> list[FindingBatch]:
    return list(batches_of(map(Claim, findings), ShownCode(FILES, room)))


def test_files_share_a_batch_in_reading_order() -> None:
    low, high = finding("a.py", severity=Severity.LOW), finding("b.py")
    other = finding("a.py", 1, Severity.MEDIUM)
    assert batches([low, high, other]) == [batch(other, low, high)]


def test_findings_of_earlier_runs_come_after_the_new_ones() -> None:
    old = Claim(finding("a.py", 1), earlier=True, old_code="one")
    (made,) = batches_of([old, Claim(finding("b.py"))], ShownCode(FILES, 100_000))
    assert (made.new, made.earlier) == ((finding("b.py"),), (old.finding,))
    names = build_variables(made, ShownCode(FILES, 100_000))
    assert [(one["number"], one["path"]) for one in names["findings"]] == [(1, "b.py")]
    assert [(one["number"], one["old_code"]) for one in names["earlier"]] == [(2, "one")]


def test_many_findings_are_parted_by_their_severity() -> None:
    grave = [finding("b.py", line) for line in range(1, 15)]
    small = [finding("b.py", line, Severity.LOW) for line in range(15, 30)]
    made = batches([*small, *grave])
    assert [len(one.claims) for one in made] == [12, 12, 5]
    assert {one.severity for one in made[0].new} == {Severity.HIGH}
    assert [one.anchor.line for one in made[0].new if one.anchor] == list(range(1, 13))


def test_files_that_are_too_large_together_are_parted() -> None:
    large = {f"{n}.py": added(f"{n}.py", *map(str, range(300))) for n in range(9)}
    claims = [Claim(finding(path)) for path in large]
    made = list(batches_of(claims, ShownCode(large, 4_000)))
    assert [len(one.claims) for one in made] == [4, 4, 1]
    for one in made:
        assert len(build_variables(one, ShownCode(large, 4_000))["code"]) < 4_500


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Severity))), max_size=60))
def test_each_finding_is_in_one_batch(each: list[tuple[str, Severity]]) -> None:
    findings = [finding(path, line, severity) for line, (path, severity) in enumerate(each, 1)]
    made = batches(findings)
    assert sorted((one for batch in made for one in batch.new), key=repr) == sorted(findings, key=repr)
    assert all(len(batch.claims) <= MOST_IN_BATCH for batch in made)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("See b.py:150.", "R150 +"),
        ("See `src/b.py:150`, which is no path of the change.", None),
        ("As b.py:150-152 says.", "R150 +"),
        ("Line 3 of this file.", None),
        ("At line 150 of this file.", None),
        ("No number at all: b.py", None),
    ],
)
def test_the_rows_that_a_finding_cites_are_shown(body: str, shown: str | None) -> None:
    code = build_variables(batch(finding("a.py", body=body)), ShownCode(FILES, 3_000))["code"]
    assert ("\n" + shown in code) if shown else '"b.py"' not in code


def test_every_removed_row_of_the_file_is_shown() -> None:
    patch = b"@@ -1,2 +1,2 @@\n one\n-two\n+two!\n@@ -50,2 +50,1 @@\n fifty\n-check()"
    files = {"a.py": changed("a.py", patch)}
    code = build_variables(batch(finding()), ShownCode(files, 10_000))["code"]
    assert "Other removed rows:" in code
    assert code.count("L51 - check()") == code.count("L2 - two") == 1


def test_what_others_are_asked_is_named() -> None:
    names = build_variables(batch(finding()), ShownCode(FILES, 10_000), [finding("b.py", 7)])
    assert [(one["path"], one["line"], one["title"]) for one in names["others"]] == [
        ("b.py", 7, "Fault at 7")
    ]


def test_a_template_sees_the_findings_and_the_rows_around_them() -> None:
    placed = finding(category="tests", suggestion="three")
    loose = finding(line=None, reported_line=99, severity=Severity.LOW)
    names = build_variables(batch(placed, loose), ShownCode(FILES, 10_000))
    assert names["findings"] == [
        {
            "number": 1,
            "path": "a.py",
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
            "old_code": "",
        },
        {
            "number": 2,
            "path": "a.py",
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
            "old_code": "",
        },
    ]
    assert names["code"].startswith(
        '### "a.py" (modified)\n@@ -1 +1 @@ def first():\nR1   one\nL2 - two\nR2 + two!'
    )


def test_a_finding_that_was_not_placed_is_shown_the_rows_near_the_line_it_names() -> None:
    near = finding("b.py", None, reported_line=150)
    code = build_variables(batch(near), ShownCode(FILES, 1_000))["code"]
    assert "R150 + 149" in code
    assert len(code) <= 1_000


def test_a_finding_on_the_file_is_shown_its_beginning() -> None:
    code = build_variables(batch(finding("b.py", None)), ShownCode(FILES, 1_000))["code"]
    assert "R1 + 0" in code


def test_a_file_that_the_change_does_not_have_shows_nothing() -> None:
    assert build_variables(batch(finding("c.py", None)), ShownCode(FILES, 1_000))["code"] == ""
    no_patch: dict[str, FileDiff] = {"a.py": FileDiff("a.py", FILES["a.py"].status, patch_missing=True)}
    assert build_variables(batch(finding()), ShownCode(no_patch, 1_000))["code"] == ""


def test_the_functions_around_the_rows_stand_behind_them() -> None:
    asked: list[tuple[int, int]] = []

    def around(parts: Sequence[ChunkPart], room: int) -> str:
        asked.append((len(parts), room))
        return "def first():"

    code = build_variables(batch(finding()), ShownCode(FILES, 1_000, around, 500))["code"]
    assert code.endswith("R4   three\n\ndef first():")
    assert asked == [(1, 500)]

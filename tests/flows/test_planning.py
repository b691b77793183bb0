"""Which findings of earlier runs are asked about again, and which are only known to be out of date."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.pull_request import PullRequest, Snapshot, Thread
from hunkwise.domain.review import Destination, SkipReason
from hunkwise.flows.planning import MOST_ELSEWHERE, earlier_findings, plan, select_files
from hunkwise.plan.incremental import kept_keys, split_reviewed
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.tracking.markers import HiddenState, make_record
from tests.tracking.pushes import FIXED, HEAD, changed, fault, said, state, thread

ORDER = "+order = store.order(order_id)"
BEFORE = changed("a.py", " def show(order_id):", ORDER, "+return order")
BESIDE = changed("a.py", " def show(order_id):", ORDER, "+check(order)", "+return order")
OTHER = changed("b.py", "+one")
OTHER_LATER = changed("b.py", "+two")
PULL = PullRequest("o/r", 7, "", "", "stranger", "main", "b" * 40, "feature", "e" * 40)
LATER = "e" * 40
OUTDATED = Verification.OUTDATED


def keys(*files: FileDiff) -> frozenset[str]:
    """The keys of all hunks of the files."""
    splits = {file.path: split_reviewed(file, frozenset()) for file in files}
    return kept_keys(
        {path: split.with_answers(len(split.reviewed) * [True]) for path, split in splits.items()}
    )


def last(*files: FileDiff, found: Finding, **record: Any) -> HiddenState:
    """The state after a run that reviewed the files and posted the finding."""
    where = Destination.INLINE if found.anchor else Destination.FILE
    return state(replace(make_record(found, where), **record), hunks=keys(*files))


def ask(
    before: HiddenState | None,
    *files: FileDiff,
    threads: tuple[Thread, ...],
    found: tuple[Finding, ...] = (),
    reviewed: tuple[FileDiff, ...] | None = None,
    head: str = LATER,
    text: str = "",
    verified: bool = True,
) -> list[bool]:
    """Returns for each earlier finding that may be out of date whether the double-check is asked about it."""
    snapshot = Snapshot(replace(PULL, head_sha=head), files, conversation=said(*threads))
    review_plan = plan(snapshot, Config(), before.hunks if before else frozenset())
    earlier = earlier_findings(
        review_plan,
        snapshot,
        before,
        keys(*(files if reviewed is None else reviewed)),
        found,
        lambda _path: text,
        verified=verified,
    )
    return [each.asked for each in earlier]


MEDIUM = fault(BEFORE, 2, severity=Severity.MEDIUM)
HIGH = fault(BEFORE, 2, severity=Severity.HIGH)
ON_FILE = fault(BEFORE, None, severity=Severity.MEDIUM)
OPEN = thread(MEDIUM)
REOPENED = replace(OPEN, replies=(FIXED,))


@pytest.mark.parametrize(
    ("finding", "record", "files", "given", "asked"),
    [
        pytest.param(MEDIUM, {}, (BESIDE,), {}, [True], id="beside-the-line"),
        pytest.param(ON_FILE, {}, (BESIDE,), {}, [True], id="about-the-file"),
        pytest.param(MEDIUM, {}, (BEFORE,), {}, [], id="nothing-changed"),
        pytest.param(MEDIUM, {}, (BEFORE, OTHER_LATER), {}, [], id="medium-and-elsewhere"),
        pytest.param(HIGH, {}, (BEFORE, OTHER_LATER), {}, [True], id="high-and-elsewhere"),
        pytest.param(HIGH, {}, (BEFORE, OTHER), {}, [], id="high-and-no-new-hunk"),
        pytest.param(
            HIGH, {}, (BEFORE, OTHER_LATER), {"reviewed": (BEFORE,)}, [], id="elsewhere-and-not-reviewed"
        ),
        pytest.param(MEDIUM, {}, (BESIDE,), {"reviewed": ()}, [False], id="not-reviewed"),
        pytest.param(MEDIUM, {}, (BESIDE,), {"found": (MEDIUM,)}, [False], id="raised-again"),
        pytest.param(MEDIUM, {}, (BESIDE,), {"verified": False}, [False], id="verify-off"),
        pytest.param(HIGH, {}, (BEFORE, OTHER_LATER), {"verified": False}, [], id="elsewhere-verify-off"),
        pytest.param(MEDIUM, {}, (BESIDE,), {"threads": (REOPENED,)}, [False], id="reopened"),
        pytest.param(
            MEDIUM, {}, (BESIDE,), {"threads": (replace(OPEN, thumbs_down=("maintainer",)),)}, [], id="dismissed"
        ),
        pytest.param(MEDIUM, {"fixed": True}, (BESIDE,), {}, [], id="found-fixed-before"),
        pytest.param(MEDIUM, {"check": OUTDATED}, (BEFORE,), {}, [True], id="left-undecided"),
        pytest.param(MEDIUM, {"check": OUTDATED}, (BEFORE,), {"head": HEAD}, [], id="undecided-same-head"),
        pytest.param(MEDIUM, {}, (), {"text": ORDER[1:]}, [True], id="taken-back"),
        pytest.param(
            MEDIUM, {"check": Verification.RECHECKED}, (), {"text": ORDER[1:]}, [], id="taken-back-and-asked"
        ),
        pytest.param(MEDIUM, {"where": Destination.BODY}, (), {"text": ORDER[1:]}, [], id="never-in-the-diff"),
        pytest.param(MEDIUM, {}, (), {"text": ""}, [False], id="gone"),
    ],
)  # fmt: skip
def test_earlier_findings_are_asked_about_where_their_code_may_be_fixed(
    finding: Finding,
    record: dict[str, Any],
    files: tuple[FileDiff, ...],
    given: dict[str, Any],
    asked: list[bool],
) -> None:
    posted = () if record.get("where") else (thread(finding),)
    before = last(BEFORE, OTHER, found=finding, **record)
    assert ask(before, *files, **{"threads": posted, **given}) == asked


def test_without_a_state_every_earlier_finding_is_asked_about() -> None:
    assert ask(None, BEFORE, threads=(OPEN,)) == [True]


def test_only_another_hunk_of_the_file_is_elsewhere() -> None:
    patch = b"@@ -1,1 +1,2 @@\n one\n+order\n@@ -40,1 +41,2 @@\n two\n+%b"
    old, new = (
        FileDiff("a.py", BEFORE.status, parse_hunks(patch % word), 2, 0) for word in (b"three", b"four")
    )
    for severity, asked in ((Severity.MEDIUM, []), (Severity.HIGH, [True])):
        found = fault(old, 2, severity=severity)
        assert ask(last(old, found=found), new, threads=(thread(found),)) == asked


def test_findings_elsewhere_are_bounded_and_the_most_severe_come_first() -> None:
    lines = [f"+line {number} of many" for number in range(1, MOST_ELSEWHERE + 5)]
    file = changed("a.py", *lines)
    found = [fault(file, number, f"Fault {number}") for number in range(1, len(lines) + 1)]
    found[-1] = replace(found[-1], severity=Severity.CRITICAL)
    threads = tuple(thread(each, number) for number, each in enumerate(found, 1))
    before = state(*(make_record(each, Destination.INLINE) for each in found), hunks=keys(file, OTHER))
    snapshot = Snapshot(PULL, (file, OTHER_LATER), conversation=said(*threads))
    reviewed = keys(file, OTHER_LATER)
    earlier = earlier_findings(plan(snapshot, Config()), snapshot, before, reviewed, (), lambda _path: "")
    assert len(earlier) == MOST_ELSEWHERE
    assert earlier[0].finding.title == found[-1].title


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({}, {"yarn.lock": SkipReason.LOCK_FILE}),
        ({"ignore": ("b.py",)}, {"b.py": SkipReason.IGNORED, "yarn.lock": SkipReason.LOCK_FILE}),
        (
            {"prompts": (PromptSettings(name="review", paths=("a.py", "yarn.lock")),)},
            {"yarn.lock": SkipReason.LOCK_FILE, "b.py": SkipReason.NO_PROMPT},
        ),
    ],
)
def test_files_without_a_prompt_are_skipped(settings: Any, reasons: dict[str, SkipReason]) -> None:
    files = (changed("a.py", "+1"), changed("b.py", "+1"), changed("yarn.lock", "+1"))
    selection = select_files(Snapshot(PULL, files), Config(**settings))
    assert {file.path: file.reason for file in selection.skipped} == reasons
    assert {file.path for file in selection.reviewed} == {"a.py", "b.py", "yarn.lock"} - reasons.keys()


@pytest.mark.parametrize(("audit", "grows"), [(False, True), (True, False)])
def test_only_the_questions_of_a_large_change_grow(audit: bool, grows: bool) -> None:
    files = [changed(f"{number}.py", *[f"+{'x' * 90}{line}" for line in range(35)]) for number in range(40)]
    review_plan = plan(Snapshot(PULL, tuple(files), audit=audit), Config(chunk_size=4_000), frozenset())
    assert (len(review_plan.tasks) < 40) is grows

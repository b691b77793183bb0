"""Which files an audit reads: laps, budgets, shards, and what another commit changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hunkwise.domain.review import SkipReason
from hunkwise.flows.audit_planning import find_moves, move_state, settled_blobs
from hunkwise.flows.planning import coverage_of
from hunkwise.flows.planning import plan as plan_questions
from hunkwise.tracking.audit_state import AuditState, WeekSpending, bitmap_of, blobs_of
from tests.fakes.changes import added, snapshot
from tests.flows.audits import (
    MONDAY,
    FakeRepository,
    audit,
    blob,
    config,
    fault,
    merge,
    part,
    plan,
    read_paths,
)

LONG = 70
"""Lines of a file that fills a question of 4,000 characters."""


def text(name: str, lines: int = LONG) -> str:
    return "".join(f"{name} {number:03d} = value of the line\n" for number in range(lines))


def large(name: str, questions: int) -> str:
    return text(name, LONG * questions)


def files(number: int, lines: int = LONG) -> dict[str, str]:
    return {f"src/f{index:02d}.py": text(f"name{index}", lines) for index in range(number)}


@pytest.fixture
def repository() -> FakeRepository:
    return FakeRepository()


def complete(repository: FakeRepository, head: str) -> AuditState:
    """The state after an audit that has read the whole commit."""
    return audit(repository, head)[1].state


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"settings": "f" * 16}, "Prompts or model have changed"),
        ({"read_again": True}, "It was requested that everything is read again"),
        ({"today": MONDAY + timedelta(179)}, ""),
        ({"today": MONDAY + timedelta(180)}, "The last lap began on 2026-11-02 and is complete"),
        ({"settings": "f" * 16, "read_again": True}, "Prompts or model have changed"),
    ],
)
def test_a_new_lap_begins_for_a_reason_that_is_named(
    repository: FakeRepository, changes: dict[str, Any], reason: str
) -> None:
    head = repository.commit(files(3))
    planned = plan(repository, head, complete(repository, head), **changes)
    expected = (f"{reason}: a new lap begins.",) if reason else ()
    assert planned.notes == expected
    assert len(planned.files) == (3 if reason else 0)
    assert planned.state.lap == (2 if reason else 1)
    assert planned.state.lap_began == (changes.get("today", MONDAY).isoformat() if reason else "2026-11-02")


def test_a_commit_that_is_gone_begins_a_new_lap_and_loses_no_finding(repository: FakeRepository) -> None:
    head = repository.commit(files(2))
    before = audit(repository, head, found=[fault(repository, head, "src/f01.py")])[1].state
    repository.lost.add(head)
    later = repository.commit(files(2))
    planned, merged = audit(repository, later, before)
    assert planned.notes == (
        "The last audited commit, 000000000000, is not in the repository any more: a new lap begins.",
    )
    assert read_paths(planned) == ["src/f00.py", "src/f01.py"]
    assert [one.title for one in merged.update.findings] == ["It fails"]


def test_an_incomplete_lap_goes_on_whatever_its_age(repository: FakeRepository) -> None:
    head = repository.commit(files(3))
    state = audit(repository, head, only=("src/f00.py",))[1].state
    planned = plan(repository, head, state, today=MONDAY + timedelta(400))
    assert (planned.notes, planned.state.lap, len(planned.files)) == ((), 1, 2)


def test_narrowing_to_paths_neither_ends_the_lap_nor_hides_the_rest(repository: FakeRepository) -> None:
    head = repository.commit({**files(3), "docs/a.md": text("doc")})
    planned, merged = audit(repository, head, only=("docs",))
    assert (read_paths(planned), planned.questions_left) == (["docs/a.md"], 3)
    following = plan(repository, head, merged.state)
    assert read_paths(following) == ["src/f00.py", "src/f01.py", "src/f02.py"]


def test_a_file_that_no_audit_can_read_is_named_and_does_not_keep_the_lap_open(
    repository: FakeRepository,
) -> None:
    few = config("audit: {max-model-calls: 3}")
    head = repository.commit({"big.py": large("big", 6), **files(2)})
    planned, merged = audit(repository, head, using=few)
    assert (read_paths(planned), planned.questions_left) == (["src/f00.py", "src/f01.py"], 0)
    (note,) = planned.notes
    assert note.startswith("Not read, as one file needs more model calls than an audit has: big.py. Raise")
    following = plan(repository, head, merged.state, using=few, today=MONDAY + timedelta(200))
    assert (following.state.lap, len(following.files)) == (2, 2)


def test_a_file_larger_than_the_budget_of_a_week_does_not_hold_up_the_others(
    repository: FakeRepository,
) -> None:
    head = repository.commit({"big.py": large("big", 8), **files(2)})
    using = config("audit: {max-model-calls: 60, week: {max-model-calls: 5}}")
    planned = plan(repository, head, using=using)
    assert read_paths(planned) == ["src/f00.py", "src/f01.py"]
    assert "big.py" in planned.notes[0]


@pytest.mark.parametrize(
    ("limits", "spent", "read", "noted"),
    [
        ("max-model-calls: 10", (0, 0), 8, False),
        ("max-model-calls: 10, week: {max-model-calls: 12}", (7, 0), 4, False),
        ("max-model-calls: 10, week: {max-model-calls: 12}", (12, 0), 0, True),
        ("max-model-calls: 10, week: {max-model-calls: 12}", (90, 0), 0, True),
        ("max-model-calls: 10, week: {max-credits: 2}", (7, 10**9), 8, False),
        ("max-model-calls: 10, week: {max-credits: 2}", (7, 2 * 10**9), 0, True),
        ("max-model-calls: 10, max-credits: 3", (0, 9 * 10**9), 8, False),
    ],
)
def test_the_budgets_of_run_and_week_decide_how_much_is_read(
    repository: FakeRepository, limits: str, spent: tuple[int, int], read: int, noted: bool
) -> None:
    head = repository.commit(files(12))
    state = AuditState(
        "octo/site", head, "0123456789abcdef", 12, lap_began="2026-11-02",
        weeks=(WeekSpending("2026-10-26", 500, 10**12), WeekSpending("2026-11-02", *spent)),
    )  # fmt: skip
    planned = plan(repository, head, state, using=config(f"audit: {{{limits}}}"))
    assert len(planned.files) == read
    note = "The rest of the week's budget for audits is too small: nothing is read."
    assert planned.notes == ((note,) if noted else ())
    on_monday = plan(
        repository, head, state, using=config(f"audit: {{{limits}}}"), today=MONDAY + timedelta(7)
    )
    assert len(on_monday.files) == 8


@pytest.mark.parametrize("verify", ["on", "off"])
@pytest.mark.parametrize("shards", [1, 2, 3, 7, 8, 40])
@pytest.mark.parametrize("calls", [1, 5, 6, 11, 23, 60])
def test_the_budgets_of_the_shards_add_up_to_that_of_the_run(
    repository: FakeRepository, calls: int, shards: int, verify: str
) -> None:
    head = repository.commit(files(70))
    using = config(
        f"verify: '{verify}'\nmax-tokens: 1000000\naudit: {{max-model-calls: {calls}, max-credits: 7}}"
    )
    planned = plan(repository, head, using=using, shards=shards)
    made = planned.shards
    assert len(made) == min(shards, len(planned.files))
    assert sum(shard.model_calls for shard in made) == calls
    assert sum(shard.credits or 0 for shard in made) == pytest.approx(7)
    assert 1_000_000 - shards <= sum(shard.tokens or 0 for shard in made) <= 1_000_000
    # A run reserves one fifth for the verification: what is planned fits into the rest.
    for shard in made:
        assert len(shard.files) <= shard.model_calls - (shard.model_calls // 5 if verify == "on" else 0)
    assert sorted(index for shard in made for index in shard.files) == list(range(len(planned.files)))


def test_one_shard_and_eight_read_the_same_files(repository: FakeRepository) -> None:
    head = repository.commit(files(30))
    assert read_paths(plan(repository, head, shards=1)) == read_paths(plan(repository, head, shards=8))


def test_a_content_is_read_once_though_several_files_have_it(repository: FakeRepository) -> None:
    copies = {"a/same.py": text("same"), "b/same.py": text("same"), "c.py": text("c")}
    head = repository.commit(copies)
    planned, merged = audit(repository, head)
    assert read_paths(planned) == ["a/same.py", "c.py"]
    assert (planned.questions_left, plan(repository, head, merged.state).files) == (0, ())
    assert read_paths(plan(repository, head, only=("b",))) == ["b/same.py"]


def test_what_changed_is_read_and_what_moved_is_not(repository: FakeRepository) -> None:
    head = repository.commit({"a.py": text("a"), "b.py": text("b"), "c.py": text("c")})
    state = complete(repository, head)
    later = repository.commit({"a.py": text("a"), "new/b.py": text("b"), "c.py": text("d")})
    planned = plan(repository, later, state)
    assert read_paths(planned) == ["c.py"]
    moved = move_state(state, repository.files(head) or (), repository.files(later) or (), later)
    assert blobs_of(repository.files(later) or (), moved.seen) == {blob(text("a")), blob(text("b"))}
    assert (moved.tree, moved.files) == (later, 3)


def test_all_bitmaps_move_with_the_state() -> None:
    repository = FakeRepository()
    old, new = (
        repository.files(repository.commit(names)) or ()
        for names in ({"a": "1", "b": "2"}, {"z": "1", "y": "3"})
    )
    bits = bitmap_of(old, {blob("1")})
    state = AuditState("octo/site", "0" * 40, "", 2, bits, bits, {SkipReason.BINARY.value: bits})
    moved = move_state(state, old, new, "1" * 40)
    for each in (moved.seen, moved.owed, moved.skipped[SkipReason.BINARY.value]):
        assert blobs_of(new, each) == {blob("1")}
    assert settled_blobs(moved, new) == {blob("1")}


@pytest.mark.parametrize(
    ("git", "after", "found"),
    [
        ({"a.py": "new.py"}, {"new.py": "2", "b.py": "b"}, {"a.py": "new.py"}),
        ({}, {"new.py": "1", "b.py": "b"}, {"a.py": "new.py"}),  # the clone has no history
        ({"a.py": "git.py"}, {"new.py": "1", "git.py": "1"}, {"a.py": "git.py"}),
        ({"b.py": "c.py"}, {"a.py": "1", "c.py": "b"}, {}),  # without a finding
        ({}, {"a.py": "2", "new.py": "1"}, {"a.py": "new.py"}),
        ({}, {"a.py": "b", "b.py": "1"}, {"a.py": "b.py"}),
        ({}, {"b.py": "1"}, {"a.py": "b.py"}),
        ({}, {"b.py": "1", "new.py": "1"}, {"a.py": "new.py"}),
        ({}, {"b.py": "b", "copy.py": "1"}, {"a.py": "copy.py"}),
        ({}, {"b.py": "1", "copy.py": "1"}, {"a.py": "b.py"}),
        ({}, {"a.py": "1", "b.py": "1", "new.py": "1"}, {}),
        ({}, {"new.py": "2"}, {}),
    ],
)
def test_files_with_findings_are_found_under_their_new_names(
    repository: FakeRepository, git: dict[str, str], after: Mapping[str, str], found: dict[str, str]
) -> None:
    head = repository.commit({"a.py": "1", "b.py": "b", "copy.py": "1"})
    state = audit(repository, head, found=[fault(repository, head, "a.py")])[1].state
    later = repository.commit(after)
    repository.moves = git
    old, new = repository.files(head) or (), repository.files(later) or ()
    assert find_moves(state, old, new, later, repository) == found
    assert plan(repository, later, state).renames == found


def test_a_shallow_clone_is_noted(repository: FakeRepository) -> None:
    head = repository.commit(files(1))
    repository.history = False
    (note,) = plan(repository, head).notes
    assert note.endswith("fetch its whole history.")


def test_a_path_that_is_not_utf_8_is_planned(repository: FakeRepository) -> None:
    name = b"caf\xe9.py".decode("utf-8", "surrogateescape")
    head = repository.commit({name: text("a"), f"large-{name}": large("b", 9)})
    using = config("audit: {max-model-calls: 3}")
    state = audit(repository, head, found=[fault(repository, head, name)], using=using)[1].state
    later = repository.commit({f"new-{name}": text("a"), f"large-{name}": large("b", 9)})
    planned = plan(repository, later, state, using=using)
    assert planned.renames == {name: f"new-{name}"}
    assert "large-caf" in planned.notes[0]
    assert "\udce9" not in planned.notes[0]


def test_a_budget_that_runs_out_between_two_prompts_leaves_whole_files() -> None:
    using = config("audit: {prompts: [audit, {name: security, paths: ['*.py']}]}")
    changed = [
        added(f"f{index}.{'py' if index % 2 else 'md'}", *text(f"n{index}").splitlines())
        for index in range(6)
    ]
    audited = replace(snapshot(*changed), audit=True)
    questions = plan_questions(audited, using)
    asked = [(task.prompt.name, task.chunk.parts[0].file.path) for task in questions.tasks]
    assert asked == [
        (prompt, f"f{index}.{'py' if index % 2 else 'md'}")
        for index in range(6)
        for prompt in (("audit", "security") if index % 2 else ("audit",))
    ]
    for number in range(len(asked) + 1):
        outcomes = dict.fromkeys((task.key for task in questions.tasks), SkipReason.BUDGET) | dict.fromkeys(
            task.key for task in questions.tasks[:number]
        )
        read = [file.path for file in coverage_of(questions, outcomes, audited).files if file.reason is None]
        finished = {path for _, path in asked[:number]} - {path for _, path in asked[number:]}
        assert set(read) == finished
        assert len(finished) >= number // 2 - 1
    other = plan_questions(replace(audited, audit=False), using)
    assert [task.prompt.name for task in other.tasks[:6]] == ["audit"] * 6


def test_what_the_last_audit_owes_is_read_first(repository: FakeRepository) -> None:
    head = repository.commit(files(6))
    using = config("audit: {max-model-calls: 4}")
    planned = plan(repository, head, using=using, shards=4)
    missing = 3
    parts = [part(planned, number, repository) for number in range(1, 5) if number != missing]
    merged = merge(planned, parts, repository)
    assert merged.failed == (f"Shard {missing} made no report: its 1 file is read next time.",)
    following = plan(repository, head, merged.state, using=using, shards=1)
    assert following.files[0] == planned.shard_files(missing)[0]


@settings(max_examples=25, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain})
@given(st.data())
def test_no_finding_is_lost_and_no_content_is_read_twice_in_a_lap(data: st.DataObject) -> None:
    repository = FakeRepository()
    state: AuditState | None = None
    names = [f"{folder}/{name}.py" for folder in "ab" for name in "xyz"]
    contents = st.sampled_from([f"start\n{word}\nend\n" for word in ("one", "two", "three", "four")])
    read: set[tuple[int, str]] = set()
    for _ in range(data.draw(st.integers(2, 6))):
        head = repository.commit(data.draw(st.dictionaries(st.sampled_from(names), contents, min_size=1)))
        # A content that was not in the last tree is not known any more.
        read = {(lap, known) for lap, known in read if known in map(blob, repository.commits[head].values())}
        repository.history = data.draw(st.booleans())
        using = config(f"audit: {{max-model-calls: {data.draw(st.integers(1, 4))}}}")
        planned = plan(
            repository, head, state, using=using, shards=data.draw(st.integers(1, 3)),
            read_again=data.draw(st.booleans()), only=data.draw(st.sampled_from([(), ("a",)])),
        )  # fmt: skip
        parts = []
        for number in range(1, len(planned.shards) + 1):
            if data.draw(st.booleans()):
                own = planned.shard_files(number)
                now = {(planned.state.lap, file.blob) for file in own}
                assert len(now) == len(own)
                assert not now & read
                read |= now
                found = [
                    fault(repository, head, file.path, line=2) for file in own if data.draw(st.booleans())
                ]
                parts.append(part(planned, number, repository, found))
        merged = merge(planned, parts, repository, live=state)
        entries = {entry.fingerprint: entry for entry in merged.update.open}
        if state is not None:
            for entry in state.entries:
                path = entry.record.path
                if not entry.closed and repository.commits[state.tree].get(path) == repository.commits[
                    head
                ].get(path):
                    assert entry.fingerprint in entries
        reported = {(finding.path, finding.title) for finding in merged.update.findings}
        assert {(one.path, one.title) for of_part in parts for one in of_part.findings} <= reported
        assert len(merged.update.findings) == len(merged.update.open)
        state = merged.state

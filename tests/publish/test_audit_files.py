"""The plan of an audit and the reports of its shards: they come back as written, and nothing damaged is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hunkwise.domain.finding import Recheck, RecheckState
from hunkwise.domain.review import SkipReason
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.publish.audit_files import AuditPlan, part_json, plan_json, read_part, read_plan
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.publish.report import digest_of
from hunkwise.publish.report_input import as_review
from tests.flows.audits import FakeRepository, audit, config, fault, part, plan
from tests.publish.samples import review

ODD = b"caf\xe9.py".decode("utf-8", "surrogateescape")
FILES = {"a.py": "one\ntwo\n" * 300, "b.py": "three\n" * 300, ODD: "four\n" * 500}
FOREIGN_FILES = "The report of shard %d names files that the plan does not give it."


@pytest.fixture(scope="module")
def repository() -> FakeRepository:
    return FakeRepository()


@pytest.fixture(scope="module")
def planned(repository: FakeRepository) -> AuditPlan:
    """A plan of two shards, with a finding in a renamed file."""
    head = repository.commit(FILES)
    found = [fault(repository, head, ODD), fault(repository, head, "a.py")]
    state = audit(repository, head, found=found)[1].state
    later = repository.commit({f"new-{path}": text for path, text in FILES.items()})
    return plan(repository, later, state, shards=2, read_again=True, using=config("max-tokens: 9000"))


def raw(values: object) -> bytes:
    return json.dumps(values).encode()


def signed(values: dict[str, Any]) -> bytes:
    return raw({**values, "digest": digest_of(values)})


def fault_of(read: Callable[[], object]) -> str:
    with pytest.raises(SettingsError) as caught:
        read()
    return caught.value.faults[0]  # what to do about it may follow


def test_a_plan_comes_back_as_it_was_written(planned: AuditPlan) -> None:
    assert len(planned.shards) == 2
    assert planned.renames == {"a.py": "new-a.py", ODD: f"new-{ODD}"}
    assert read_plan(raw(plan_json(planned))) == planned
    assert planned.matrix == '{"include":[{"shard":1},{"shard":2}]}'
    assert {file.path for number in (1, 2) for file in planned.shard_files(number)} == {
        f"new-{path}" for path in FILES
    }


@pytest.mark.parametrize("number", [0, 3])
def test_a_shard_that_the_plan_does_not_have_is_named(planned: AuditPlan, number: int) -> None:
    expected = f"The plan has no shard {number}: it has 2, counted from 1."
    assert fault_of(lambda: planned.shard_files(number)) == expected


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda values: raw(values)[:-9], "The plan is not JSON, or not whole."),
        (lambda _: b"\xff", "The plan is not JSON, or not whole."),
        (lambda _: b"[" * 100_000, "The plan is nested too deeply."),
        (lambda _: b"[]", "The plan is not an object of JSON."),
        (lambda values: raw({**values, "version": 2}), "The plan is not of version 1,"),
        (
            lambda values: raw({**values, "today": "2026-11-03"}),
            "The plan is damaged: its digest does not fit",
        ),
    ],
)
def test_a_damaged_plan_is_one_sentence(
    planned: AuditPlan, damage: Callable[[dict[str, Any]], bytes], sentence: str
) -> None:
    values = json.loads(json.dumps(plan_json(planned)))
    assert fault_of(lambda: read_plan(damage(values))).startswith(sentence)


SHARD = {"files": [], "model_calls": 1, "tokens": None, "credits": None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"today": "soon"}, "a fault at today:"),
        ({"more": 1}, "a fault at more:"),
        ({"head_sha": "main"}, "a fault at head_sha:"),
        ({"files": {}}, "a fault at files: It must be a list of files"),
        ({"files": [["a", "b", -1]]}, "a fault at files: A file must be path, blob and size"),
        ({"renames": {"a": 1}}, "a fault at renames: It must be new paths by old ones"),
        ({"renames": []}, "a fault at renames: It must be new paths by old ones"),
        ({"state": {}}, "a fault at state: It is no state of an audit"),
        ({"shards": [{**SHARD, "model_calls": 0}]}, "a fault at shards.0.model_calls:"),
        ({"shards": [{**SHARD, "credits": 0.0}]}, "a fault at shards.0.credits:"),
        ({"shards": [SHARD] * 257}, "a fault at shards:"),
    ],
)
def test_a_plan_with_a_wrong_value_is_not_read(
    planned: AuditPlan, changes: dict[str, Any], sentence: str
) -> None:
    values = json.loads(json.dumps(plan_json(planned)))
    assert fault_of(lambda: read_plan(signed(values | changes))).startswith(f"The plan has {sentence}")


def test_a_shard_of_files_that_the_plan_lacks_is_damage(planned: AuditPlan) -> None:
    values = json.loads(json.dumps(plan_json(planned))) | {"files": []}
    assert fault_of(lambda: read_plan(signed(values))) == (
        "The plan is damaged: a shard names a file that it does not have. Plan the audit again."
    )


def written(planned: AuditPlan, **changes: Any) -> dict[str, Any]:
    """The report of shard 1 with other values at some keys."""
    made = review()
    view = PublishedReview(made, conclude(made, Gates()), (), repository="octo/site")
    values = part_json(view, planned, 1)
    own = list(planned.shards[0].files)
    return {**values, "read": own[:1], "skipped": {"binary": own[1:]}, **changes}


def test_a_part_comes_back_with_its_real_paths(repository: FakeRepository, planned: AuditPlan) -> None:
    number = next(
        index for index in (1, 2) if f"new-{ODD}" in {file.path for file in planned.shard_files(index)}
    )
    paths = [file.path for file in planned.shard_files(number)]
    found = fault(repository, planned.head_sha, f"new-{ODD}")
    answers = {"0123456789abcdef": Recheck(RecheckState.FIXED, "It is gone.")}
    read = part(planned, number, repository, [found], rechecks=answers)
    assert [planned.files[index].path for index in read.read] == sorted(paths, key=paths.index)
    assert read.answers == answers
    assert [one.path for one in read.findings] == [f"new-{ODD}"]
    (back,) = as_review(read, repository.diff(planned.head_sha, paths), ()).findings
    assert back.anchor == found.anchor


def test_what_no_audit_can_read_is_in_the_part(repository: FakeRepository, planned: AuditPlan) -> None:
    first, *others = planned.shard_files(1)
    read = part(planned, 1, repository, skipped={first.path: SkipReason.BINARY})
    assert read.skipped == {"binary": (planned.files.index(first),)}
    assert read.read == tuple(planned.files.index(file) for file in others)
    late = part(planned, 1, repository, skipped={first.path: SkipReason.DEADLINE})
    assert (late.skipped, late.read) == ({}, read.read)
    assert [(file.path, file.reason) for file in late.coverage.files] == [
        (plain(first.path), SkipReason.DEADLINE)
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"plan": "sha256:0"},
            "The report of shard 1 is of another plan: take the artifacts of the same run.",
        ),
        ({"shard": 3}, FOREIGN_FILES % 3),
        ({"shard": 0}, "The report has a fault at shard:"),
        ({"read": [0, 1, 2, 3]}, FOREIGN_FILES % 1),
        ({"read": [], "skipped": {"binary": [999]}}, FOREIGN_FILES % 1),
        ({"skipped": {"the budget ran out": []}}, "The report of shard 1 has a reason that is unknown."),
        ({"skipped": {"unlucky": []}}, "The report of shard 1 has a reason that is unknown."),
        ({"read": [True]}, "The report has a fault at read.0:"),
        ({"settings": "f" * 65}, "The report has a fault at settings:"),
        (
            {"rechecks": [{"fingerprint": "x", "state": "open", "evidence": ""}]},
            "The report has a fault at rechecks",
        ),
        ({"version": 99}, "The report is not of version"),
    ],
)
def test_a_part_that_does_not_fit_is_one_sentence(
    planned: AuditPlan, changes: dict[str, Any], sentence: str
) -> None:
    assert read_part(signed(written(planned)), planned).shard == 1
    assert fault_of(lambda: read_part(signed(written(planned, **changes)), planned)).startswith(sentence)


def test_a_changed_part_is_damaged(planned: AuditPlan) -> None:
    values = json.loads(signed(written(planned))) | {"settings": "other"}
    assert fault_of(lambda: read_part(raw(values), planned)).startswith("The report is damaged:")

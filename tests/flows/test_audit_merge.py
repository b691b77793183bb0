"""What becomes of the state when the reports of an audit's shards are merged, and what people dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from hunkwise.domain.audit import DismissedAlert
from hunkwise.domain.finding import Recheck, RecheckState
from hunkwise.domain.review import SkipReason, SuppressedFinding, Suppression
from hunkwise.errors import RepositoryError
from hunkwise.flows.audit_merge import (
    AuditMerge,
    StoredAudit,
    dismissal_changes,
    report_of,
)
from hunkwise.flows.audit_planning import select_lap, settled_blobs
from hunkwise.publish.audit_boxes import IssueControls
from hunkwise.publish.audit_files import AuditPlan
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.settings.config import Config
from hunkwise.tracking.audit_state import AuditState, WeekSpending, blobs_of
from hunkwise.tracking.ledger import DismissalChange, LedgerEntry, LedgerStatus
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
from tests.tracking.ledgers import entry_of

FILES = {f"src/f{index}.py": f"a{index}\nb{index}\nc{index}\n" for index in range(4)}
FEW = config("audit: {max-model-calls: 4}")


@pytest.fixture
def repository() -> FakeRepository:
    return FakeRepository()


def report(
    of: AuditPlan, merged: AuditMerge, repository: FakeRepository, using: Config | None = None
) -> AuditReport:
    listing, using = repository.files(of.head_sha) or (), using or config()
    return report_of(of, merged, listing, select_lap(listing, using, {}), using)


def titles(merged: AuditMerge) -> list[str]:
    return [finding.title for finding in merged.update.findings]


def in_shards(repository: FakeRepository, head: str, number: int = 2) -> AuditPlan:
    """A plan of that many shards, each with one file or more."""
    long = {path: text * 200 for path, text in FILES.items()}
    assert repository.commits[head].keys() == long.keys()
    repository.commits[head] = long
    return plan(repository, head, shards=number)


def test_reports_become_state_and_usage(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    planned = in_shards(repository, head)
    found = fault(repository, head, planned.shard_files(1)[0].path)
    merged = merge(
        planned,
        [part(planned, 1, repository, [found], calls=3), part(planned, 2, repository, calls=4)],
        repository,
    )
    assert (titles(merged), merged.failed, merged.read) == (["It fails"], (), 4)
    week = WeekSpending("2026-11-02", 7, 0)
    state = merged.state
    assert (state.weeks, state.total, state.runs, state.last) == ((week,), week, 1, "2026-11-02")
    assert settled_blobs(state, planned.files) == {file.blob for file in planned.files}
    later = audit(repository, head, state, today=MONDAY + timedelta(8))[1].state
    assert [week.monday for week in later.weeks] == ["2026-11-02", "2026-11-09"]
    assert (later.total, later.runs) == (week, 2)


@pytest.mark.parametrize(
    ("reason", "settled", "failed"),
    [
        (SkipReason.BINARY, True, False),
        (SkipReason.NO_PROMPT, True, False),
        (SkipReason.NUL_BYTES, True, True),
        (SkipReason.LINE_TOO_LONG, True, True),
        (SkipReason.TOO_LARGE, True, True),
        (SkipReason.BUDGET, False, False),
        (SkipReason.DEADLINE, False, True),
        (SkipReason.FAILED, False, True),
        (SkipReason.INTERRUPTED, False, True),
    ],
)
def test_a_file_that_was_not_read_is_read_next_time_unless_it_never_can_be(
    repository: FakeRepository, reason: SkipReason, settled: bool, failed: bool
) -> None:
    head = repository.commit(FILES)
    planned = plan(repository, head)
    merged = merge(planned, [part(planned, 1, repository, skipped={"src/f1.py": reason})], repository)
    expected = (f"Shard 1 did not read 1 of 4 files ({reason.value}): they are read next time.",)
    assert merged.failed == (expected if failed and not settled else ())
    assert [note for note in merged.notes if "Shard" in note] == (
        list(expected) if not failed and not settled else []
    )
    assert read_paths(plan(repository, head, merged.state)) == ([] if settled else ["src/f1.py"])
    made = report(planned, merged, repository)
    assert (made.files_read, made.files_total) == (3, 3 if settled else 4)
    assert (made.skipped or {}).get(reason.value, 0) == settled
    assert made.runs_left == (0 if settled else 1)


def test_a_file_that_never_can_be_read_makes_no_failure_of_a_budget_that_ran_out(
    repository: FakeRepository,
) -> None:
    planned = plan(repository, repository.commit(FILES))
    reasons = {"src/f1.py": SkipReason.BUDGET, "src/f2.py": SkipReason.LINE_TOO_LONG}
    merged = merge(planned, [part(planned, 1, repository, skipped=reasons)], repository)
    assert merged.failed == ()
    assert [note for note in merged.notes if "Shard" in note] == [
        f"Shard 1 did not read 1 of 4 files ({SkipReason.BUDGET.value}): they are read next time."
    ]


def test_a_path_that_is_not_utf_8_is_found_in_the_report(repository: FakeRepository) -> None:
    name = b"caf\xe9.py".decode("utf-8", "surrogateescape")
    planned = plan(repository, repository.commit({name: "1\n"}))
    merged = merge(planned, [part(planned, 1, repository, skipped={name: SkipReason.BUDGET})], repository)
    assert merged.failed == ()
    assert "budget" in merged.notes[-1]


@pytest.mark.parametrize("spent", [0, 7, 10])
def test_the_forecast_is_about_whole_budgets(repository: FakeRepository, spent: int) -> None:
    head = repository.commit({f"{number}.py": f"{number}\n" * 900 for number in range(20)})
    using = config("audit: {max-model-calls: 5, week: {max-model-calls: 10}}")
    week = WeekSpending(MONDAY.isoformat(), spent, 0)
    state = replace(plan(repository, head).state, weeks=(week,))
    planned = plan(repository, head, state, using=using)
    made = report(planned, merge(planned, [], repository, live=state), repository, using)
    assert made.runs_left == 5
    small = plan(repository, head, state, using=using, only=("1.py",))
    assert report(small, merge(small, [], repository, live=state), repository, using).runs_left == 5


def test_a_shard_with_other_settings_counts_as_unread_and_its_findings_count(
    repository: FakeRepository,
) -> None:
    head = repository.commit(FILES)
    planned = plan(repository, head)
    found = fault(repository, head, "src/f1.py")
    merged = merge(planned, [part(planned, 1, repository, [found], settings="f" * 16)], repository)
    assert (titles(merged), merged.read) == (["It fails"], 0)
    assert merged.failed == ("1 shard ran with other settings than the plan: its files are read again.",)
    assert len(plan(repository, head, merged.state).files) == 4


def test_a_partial_audit_keeps_all_open_findings(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    state = audit(repository, head, found=[fault(repository, head, path) for path in FILES])[1].state
    later = repository.commit({**FILES, "src/f0.py": "a0\nb0\nnew\n"})
    planned, merged = audit(repository, later, state)
    assert (read_paths(planned), len(merged.update.findings)) == (["src/f0.py"], 4)


def test_removed_code_is_fixed_and_renamed_code_moves(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    found = [fault(repository, head, path) for path in sorted(FILES)]
    state = audit(repository, head, found=found)[1].state
    later = repository.commit(
        {"src/f0.py": "other\n", "lib/f1.py": FILES["src/f1.py"], "src/f3.py": FILES["src/f3.py"]}
    )
    repository.history = False  # a clone without the old commit
    planned, merged = audit(repository, later, state)
    assert read_paths(planned) == ["src/f0.py"]
    assert [finding.path for finding in merged.update.findings] == ["lib/f1.py", "src/f3.py"]
    assert sorted(entry.record.path for entry in merged.update.fixed) == ["src/f0.py", "src/f2.py"]


def test_a_finding_is_unconfirmed_when_two_audits_refute_it(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    found = fault(repository, head, "src/f1.py")
    state = audit(repository, head, found=[found])[1].state
    answer = {state.entries[0].fingerprint: Recheck(RecheckState.FIXED, "It does not.")}
    for expected in (LedgerStatus.OPEN, LedgerStatus.UNCONFIRMED):
        planned = plan(repository, head, state, read_again=True)
        state = merge(planned, [part(planned, 1, repository, rechecks=answer)], repository, live=state).state
        assert [entry.status for entry in state.entries] == [expected]


def test_a_finding_in_a_path_that_is_not_utf_8_stays(repository: FakeRepository) -> None:
    name = b"caf\xe9.py".decode("utf-8", "surrogateescape")
    head = repository.commit({name: "a\nb\n"})
    state = audit(repository, head, found=[fault(repository, head, name)])[1].state
    assert [(entry.record.path, entry.record.line) for entry in state.entries] == [(name, 1)]
    merged = audit(repository, head, state, read_again=True)[1]
    assert (titles(merged), merged.update.new) == (["It fails"], ())


def test_a_finding_below_min_confidence_is_reported_and_keeps_the_ledger_as_it_is(
    repository: FakeRepository,
) -> None:
    head = repository.commit(FILES)
    path = next(iter(FILES))
    planned = plan(repository, head)
    found = replace(fault(repository, head, path), confidence=0.4)
    low = SuppressedFinding(found, "Below `min-confidence` (55 %)", Suppression.LOW_CONFIDENCE)
    merged = merge(planned, [part(planned, 1, repository, suppressed=[low])], repository)
    assert (titles(merged), merged.state.entries) == ([], ())
    assert report(planned, merged, repository).suppressed == (low,)
    before = audit(repository, head, found=[found])[1].state
    again = plan(repository, head, before, read_again=True)
    kept = merge(again, [part(again, 1, repository, suppressed=[low])], repository, live=before)
    assert (titles(kept), kept.low_confidence) == (["It fails"], ())


def test_a_baseline_dismisses_what_is_new_alone(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    state = audit(repository, head, found=[fault(repository, head, "src/f0.py")])[1].state
    planned = plan(repository, head, state, read_again=True)
    found = [fault(repository, head, f"src/f{index}.py") for index in range(2)]
    merged = merge(planned, [part(planned, 1, repository, found)], repository, live=state, baseline=True)
    assert [finding.path for finding in merged.update.findings] == ["src/f0.py"]
    assert [entry.by for entry in merged.update.entries if entry.closed] == ["baseline"]


class TestAnotherAuditWroteFirst:
    """The state has changed since the plan was made."""

    def test_findings_files_and_spending_of_both_count(self, repository: FakeRepository) -> None:
        head = repository.commit(FILES)
        first = plan(repository, head, only=("src/f0.py", "src/f1.py"))
        other = audit(
            repository, head, only=("src/f2.py",), found=[fault(repository, head, "src/f2.py", title="Other")]
        )
        own = part(first, 1, repository, [fault(repository, head, "src/f0.py")], calls=2)
        merged = merge(first, [own], repository, live=other[1].state)
        assert sorted(titles(merged)) == ["It fails", "Other"]
        assert merged.state.total.model_calls == 3
        assert merged.state.runs == 2
        assert read_paths(plan(repository, head, merged.state)) == ["src/f3.py"]

    def test_what_it_skipped_and_owes_stays_so(self, repository: FakeRepository) -> None:
        head = repository.commit(FILES)
        first = plan(repository, head, only=("src/f0.py",))
        other = plan(repository, head, only=("src/f1.py", "src/f2.py"))
        skipped = {"src/f1.py": SkipReason.BINARY, "src/f2.py": SkipReason.DEADLINE}
        live = merge(other, [part(other, 1, repository, skipped=skipped)], repository).state
        merged = merge(first, [part(first, 1, repository)], repository, live=live)
        listing = repository.files(head) or ()
        assert blobs_of(listing, merged.state.seen) == {blob(FILES["src/f0.py"])}
        assert blobs_of(listing, merged.state.skipped["binary"]) == {blob(FILES["src/f1.py"])}
        assert blobs_of(listing, merged.state.owed) == {blob(FILES["src/f2.py"])}

    def test_a_newer_lap_goes_on(self, repository: FakeRepository) -> None:
        head = repository.commit(FILES)
        before = audit(repository, head)[1].state
        first = plan(repository, head, replace(before, seen=b""), only=("src/f0.py",))
        newer = audit(repository, head, before, read_again=True, only=("src/f1.py",))[1].state
        merged = merge(first, [part(first, 1, repository)], repository, live=newer)
        assert merged.state.lap == 2
        assert read_paths(plan(repository, head, merged.state)) == ["src/f2.py", "src/f3.py"]

    @pytest.mark.parametrize("change", [{"settings": "f" * 16}, {"lap": 0}])
    def test_another_lap_adds_findings_alone(
        self, repository: FakeRepository, change: dict[str, object]
    ) -> None:
        head = repository.commit(FILES)
        first = plan(repository, head, only=("src/f0.py",))
        found = [fault(repository, head, "src/f1.py")]
        live = audit(repository, head, found=found, only=("src/f1.py",))[1].state
        merged = merge(first, [part(first, 1, repository)], repository, live=replace(live, **change))  # type: ignore[arg-type]  # a table
        assert titles(merged) == ["It fails"]
        assert merged.state.settings == first.state.settings
        assert len(plan(repository, head, merged.state).files) == 3

    def test_an_audit_of_another_commit_is_refused(self, repository: FakeRepository) -> None:
        head = repository.commit(FILES)
        first = plan(repository, head, only=("src/f0.py",))
        newer = repository.commit({**FILES, "new.py": "new\n"})
        live = audit(repository, newer, found=[fault(repository, newer, "new.py")])[1].state
        with pytest.raises(
            RepositoryError, match="has ended since this one was planned: nothing was written"
        ):
            merge(first, [part(first, 1, repository)], repository, live=live)

    def test_a_state_that_was_lost_is_written_again(self, repository: FakeRepository) -> None:
        head = repository.commit(FILES)
        state = audit(repository, head, found=[fault(repository, head, "src/f0.py")])[1].state
        planned = plan(repository, head, state)
        assert titles(merge(planned, [], repository, live=None)) == ["It fails"]


def test_a_plan_that_nobody_ran_reads_nothing_and_counts_it(repository: FakeRepository) -> None:
    head = repository.commit(FILES)
    planned = plan(repository, head, using=FEW)
    made = report(planned, merge(planned, [], repository), repository)
    assert (made.files_read, made.files_total, made.runs_left) == (0, 4, 1)
    assert made.failed_shards == ("Shard 1 made no report: its 4 files are read next time.",)


OPEN, DISMISSED = entry_of(1), entry_of(2, status=LedgerStatus.DISMISSED, by="octocat", closed="2026-11-02")
BY_ALERT = replace(DISMISSED, by="code scanning #7")
FINGERPRINTS = frozenset({OPEN.fingerprint, DISMISSED.fingerprint})


def alert(
    number: int = 7, line: int = 2, path: str = "src/1.py", message: str = "Title 1\n\nMore"
) -> DismissedAlert:
    return DismissedAlert(
        number, "hunkwise", path, line, line, message, "f" * 40, "mona", "false positive", "By design"
    )


def box(ticked: Sequence[str] = (), shown: frozenset[str] = FINGERPRINTS) -> IssueControls:
    return IssueControls(False, frozenset(ticked), shown)


ONE, TWO = OPEN.fingerprint, DISMISSED.fingerprint
BY_ONE = DismissalChange(ONE, True, by="code scanning #7", why="false positive: By design")


@pytest.mark.parametrize(
    ("second", "controls", "alerts", "changes"),
    [
        (DISMISSED, box([TWO]), (), []),
        (DISMISSED, box([ONE, TWO]), None, [DismissalChange(ONE, True, by="mona")]),
        (DISMISSED, box([]), None, [DismissalChange(TWO, False)]),
        (DISMISSED, box([], frozenset({ONE})), (), []),  # without a box it is not decided on
        (DISMISSED, box(["f" * 16], frozenset()), (), [DismissalChange("f" * 16, True, by="mona")]),
        (DISMISSED, box([TWO]), (alert(),), [BY_ONE]),
        (DISMISSED, box([TWO]), (alert(line=3),), []),
        (DISMISSED, box([TWO]), (alert(path="b.py"),), []),
        (DISMISSED, box([TWO]), (alert(message="Other"),), []),
        (BY_ALERT, box([TWO]), (), [DismissalChange(TWO, False)]),  # the alert was opened again
        (BY_ALERT, box([TWO]), None, []),  # alerts could not be read
        (BY_ALERT, box([TWO]), (alert(7, 99, "moved.py"),), []),  # lines of an old upload
        (BY_ALERT, box([]), (alert(7, 99, "moved.py"),), []),  # the alert wins over the box
        (BY_ALERT, box([]), None, [DismissalChange(TWO, False)]),
    ],
)
def test_people_dismiss_by_boxes_and_alerts(
    second: LedgerEntry,
    controls: IssueControls,
    alerts: tuple[DismissedAlert, ...] | None,
    changes: list[DismissalChange],
) -> None:
    state = AuditState("octo/site", "f" * 40, "", 0, entries=(OPEN, second))
    stored = StoredAudit(state, controls, "mona", alerts)
    assert dismissal_changes(stored) == changes


def test_boxes_count_without_a_state() -> None:
    stored = StoredAudit(None, box([ONE], frozenset({ONE})), "")
    assert dismissal_changes(stored) == [DismissalChange(ONE, True, by="checkbox")]

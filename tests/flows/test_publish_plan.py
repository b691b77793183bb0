"""What stands after a run, and what the next one is to know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.finding import (
    MAX_OVERVIEW,
    NO_SUMMARY,
    Area,
    Finding,
    Recheck,
    RecheckState,
    Severity,
    Verification,
    Walkthrough,
)
from hunkwise.domain.pull_request import Comment, Conversation
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    PostResult,
    SkipReason,
    SuppressedFinding,
    Suppression,
)
from hunkwise.flows.publish_plan import PublishPlan, merge, split_by_confidence
from hunkwise.plan.incremental import hunk_keys
from hunkwise.publish.conclusion import Gates
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.state import SUMMARY_MARKER, encode
from tests.flows.ports import FILE, FOUND, MENDED, MENDED_TEXT, SECOND, TERMS, whole_review
from tests.tracking.pushes import HEAD, fault, inline, said, state, thread

KEYS = frozenset(hunk_keys(FILE))


def standing(
    *findings: Finding, talk: Conversation | None = None, terms: Any = TERMS, **review: Any
) -> PublishPlan:
    return PublishPlan(terms, whole_review(*findings, **review), talk, lambda _: MENDED_TEXT)


def remembering(before: HiddenState, *threads: Any, **changes: Any) -> Conversation:
    """A conversation whose summary comment carries the state."""
    body = f"{SUMMARY_MARKER}\nWhat stands.\n\n{encode(before, 30_000)}"
    return said(*threads, comments=(Comment(5, body),), **changes)


def test_where_nothing_is_known_all_is_new() -> None:
    alone = standing(FOUND, SECOND)
    assert alone.reconciliation.post == (FOUND, SECOND)
    assert alone.remembered is None
    assert alone.review.findings == (FOUND, SECOND)


def test_what_stands_is_what_is_new_and_what_stood_in_reading_order() -> None:
    talk = remembering(inline(FOUND), thread(FOUND))
    both = standing(SECOND, talk=talk)
    assert [(found.title, found.raised_as is not None) for found in both.review.findings] == [
        (FOUND.title, True), (SECOND.title, False),
    ]  # fmt: skip
    assert both.remembered == inline(FOUND)


@pytest.mark.parametrize(
    ("coverage", "fixed"),
    [
        (FileCoverage("a.py", 2, 2), True),
        (FileCoverage("a.py", 2, 1, SkipReason.BUDGET), False),
        (FileCoverage("a.py", 2, 0, SkipReason.IGNORED), False),
        (FileCoverage("a.py", 0, 0, SkipReason.NO_CHANGED_LINES), True),
    ],
)
def test_a_finding_is_fixed_only_where_its_file_was_read_whole(coverage: FileCoverage, fixed: bool) -> None:
    talk = remembering(inline(FOUND), thread(FOUND))
    made = standing(talk=talk, files=(MENDED,), coverage=Coverage((coverage,)))
    assert (made.reconciliation.fixed != ()) == fixed
    assert (made.review.findings == ()) == fixed


@pytest.mark.parametrize(
    ("confidence", "prompt", "kept"),
    [
        (0.55, "review", True),
        (0.549, "review", False),
        (0.0, "review", False),
        (None, "review", True),
        (0.69, "strict", False),
        (0.7, "strict", True),
        (0.0, "open", True),
        (0.5, "of another job", False),
    ],
)
def test_a_finding_below_min_confidence_is_suppressed(
    confidence: float | None, prompt: str, kept: bool
) -> None:
    own = {"strict": 0.7, "open": 0.0}
    prompts = [
        PromptSettings(name=name, template="x.j2", min_confidence=least) for name, least in own.items()
    ]
    config = Config(prompts=(PromptSettings(name="review"), *prompts))
    finding = replace(FOUND, confidence=confidence, prompt=prompt)
    findings, suppressed = split_by_confidence([finding], config)
    assert findings == ((finding,) if kept else ())
    assert [(entry.finding, entry.kind) for entry in suppressed] == (
        [] if kept else [(finding, Suppression.LOW_CONFIDENCE)]
    )
    least = own.get(prompt, 0.55)
    assert [entry.reason for entry in suppressed] == [
        f"Below `min-confidence` ({least:.0%})".replace("%", " %")
    ] * (not kept)
    assert split_by_confidence([finding], config.with_all_confidences()) == ((finding,), ())


@pytest.mark.parametrize(
    ("first", "second", "joint"), [(0.4, 0.9, 0.9), (0.9, 0.4, 0.9), (0.4, None, None), (0.3, 0.2, 0.3)]
)
@pytest.mark.parametrize("title", [FOUND.title, "Another title"])
def test_findings_that_are_merged_have_the_highest_confidence(
    first: float | None, second: float | None, joint: float | None, title: str
) -> None:
    both = (replace(FOUND, confidence=first), replace(FOUND, confidence=second, title=title))
    ((merged,), _) = merge(both, Severity.LOW)
    assert merged.confidence == joint


def unsure(finding: Finding) -> SuppressedFinding:
    return SuppressedFinding(finding, "Below `min-confidence` (55 %)", Suppression.LOW_CONFIDENCE)


@pytest.mark.parametrize("known", [False, True], ids=["no conversation", "conversation"])
def test_a_new_finding_below_min_confidence_is_listed_and_neither_posted_nor_counted(known: bool) -> None:
    made = standing(SECOND, talk=said() if known else None, suppressed=(unsure(FOUND),))
    assert made.reconciliation.post == made.review.findings == (SECOND,)
    assert made.review.low_confidence == (unsure(FOUND),)
    alone = standing(
        talk=said(), suppressed=(unsure(FOUND),), terms=replace(TERMS, gates=Gates(fail_on=Severity.LOW))
    )
    assert alone.view(PostResult()).verdict.exit_code is ExitCode.REVIEWED


@pytest.mark.parametrize("changed_code", [False, True])
def test_a_finding_that_was_raised_stays_open_if_it_is_reported_with_less_confidence(
    changed_code: bool,
) -> None:
    talk = remembering(inline(FOUND), thread(FOUND))
    again, file = (fault(MENDED, 2, FOUND.title), MENDED) if changed_code else (FOUND, FILE)
    made = standing(talk=talk, files=(file,), suppressed=(unsure(replace(again, confidence=0.1)),))
    assert (made.reconciliation.fixed, made.reconciliation.post) == ((), ())
    assert [found.raised_as for found in made.review.findings] == [FOUND.fingerprint]
    assert made.review.low_confidence == ()
    without = standing(talk=talk, files=(file,))
    assert bool(without.reconciliation.fixed) == changed_code


@pytest.mark.parametrize("resolved", [False, True])
def test_a_fixed_finding_is_not_raised_again_below_min_confidence(resolved: bool) -> None:
    before = state(replace(inline(FOUND).findings[0], fixed=True))
    made = standing(talk=remembering(before, thread(FOUND, resolved=resolved)), suppressed=(unsure(FOUND),))
    assert (made.reconciliation.post, made.reconciliation.kept) == ((), ())
    assert made.review.low_confidence == (unsure(FOUND),)


def test_repeated_findings_are_counted_as_left_out() -> None:
    talk = remembering(inline(FOUND), thread(FOUND, thumbs_down=("maintainer",)))
    made = standing(FOUND, talk=talk, dropped=2)
    assert (made.review.findings, made.review.dropped) == ((), 3)


@pytest.mark.parametrize(("annotated", "rungs"), [(0, "ss"), (1, "as"), (2, "aa")])
@pytest.mark.parametrize("summary", [True, False])
def test_every_finding_has_a_rung(annotated: int, rungs: str, summary: bool) -> None:
    severe = replace(SECOND, severity=Severity.CRITICAL)
    kept, placed = replace(FOUND, title="Was there"), replace(FOUND, title="Posted now", category="other")
    talk = remembering(inline(kept), thread(kept))
    made = standing(
        replace(FOUND, path="b.py"), severe, placed, talk=talk, terms=replace(TERMS, summary=summary)
    )
    posted = PostResult(where={placed: Destination.BODY})
    view = made.view(posted, annotated)
    where = {published.finding: published.destination for published in view.findings}
    assert tuple(where) == made.review.findings
    below = Destination.SUMMARY if summary else Destination.REPORT
    names = {"s": below, "a": Destination.ANNOTATION}
    left = made.unposted(posted)
    assert left[0] == severe
    assert [where[found] for found in left] == [names[letter] for letter in rungs]
    assert {found.title: rung for found, rung in where.items() if found not in left} == {
        "Posted now": Destination.BODY, "Was there": Destination.INLINE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rewrites", "own", "hunks"),
    [(0, True, KEYS), (3, True, KEYS), (None, True, frozenset()), (0, False, frozenset())],
    ids=["known", "rewritten before", "GitHub does not say", "a report"],
)
def test_hunks_are_remembered_only_where_the_next_run_can_tell_what_they_were(
    rewrites: int | None, own: bool, hunks: frozenset[str]
) -> None:
    made = standing(FOUND, talk=said(rewrites=rewrites), terms=replace(TERMS, own_review=own), hunks=KEYS)
    left = made.state(made.view(PostResult(where={FOUND: Destination.INLINE})))
    assert left.hunks == hunks
    assert (left.rewrites, left.settings, left.base) == (rewrites or 0, "d1", "main")


@pytest.mark.parametrize(
    ("approve", "path", "kind", "hunks"),
    [
        (True, FILE.path, Suppression.REFUTED, frozenset()),
        (True, FILE.path, Suppression.NOT_WORTH_COMMENT, frozenset()),
        (True, FILE.path, Suppression.MERGED, KEYS),
        (True, "other.py", Suppression.REFUTED, KEYS),
        (False, FILE.path, Suppression.REFUTED, KEYS),
    ],
)
def test_where_approvals_are_possible_files_with_suppressed_findings_are_reviewed_again(
    approve: bool, path: str, kind: Suppression, hunks: frozenset[str]
) -> None:
    suppressed = (SuppressedFinding(replace(FOUND, path=path, anchor=None), "It is not so.", kind),)
    terms = replace(TERMS, gates=Gates(approve=approve))
    made = standing(talk=said(rewrites=0), terms=terms, hunks=KEYS, suppressed=suppressed)
    assert made.state(made.view(PostResult())).hunks == hunks


def test_the_newest_heads_are_remembered_each_once() -> None:
    shas = tuple(f"{number:040x}" for number in range(19))
    before = replace(state(), reviewed_shas=(HEAD, *shas))
    made = standing(talk=remembering(before))
    assert made.state(made.view(PostResult())).reviewed_shas == (*shas, HEAD)
    full = replace(state(), reviewed_shas=tuple(f"{number:040x}" for number in range(20)))
    last = standing(talk=remembering(full))
    later = last.state(last.view(PostResult())).reviewed_shas
    assert (len(later), later[-1]) == (20, HEAD)


def test_a_state_without_a_conversation_carries_no_hunks() -> None:
    made = standing(FOUND, hunks=KEYS, terms=replace(TERMS, gates=Gates(fail_on=Severity.LOW)))
    left = made.state(made.view(PostResult()))
    assert (left.hunks, left.rewrites, left.conclusion) == (frozenset(), 0, "failure")
    assert left.findings == ()


def test_what_was_said_of_the_change_is_remembered_bounded_and_of_our_own_review_alone() -> None:
    told = Walkthrough((Area("Pool", "New."),))
    made = standing(talk=said(), summary="w" * 9_000, walkthrough=told)
    kept = made.state(made.view(PostResult())).summary
    assert (len(kept.overview), kept.walkthrough) == (MAX_OVERVIEW, told)
    reported = standing(
        talk=said(), summary="Words.", walkthrough=told, terms=replace(TERMS, own_review=False)
    )
    assert reported.state(reported.view(PostResult())).summary == NO_SUMMARY


def test_the_report_of_another_job_ends_no_finding_whose_code_stands() -> None:
    """It is made in a job that the author of the change may control."""
    confirmed = state(replace(inline(FOUND).findings[0], check=Verification.CONFIRMED))
    talk = remembering(confirmed, thread(FOUND))
    rechecks = {"1": Recheck(RecheckState.FIXED, "It is fixed.")}
    own = standing(talk=talk, rechecks=rechecks)
    assert (len(own.reconciliation.fixed), own.review.findings) == (1, ())
    other = standing(talk=talk, terms=replace(TERMS, own_review=False), rechecks=rechecks)
    assert [found.check for found in other.review.findings] == [Verification.OUTDATED]
    assert other.reconciliation.fixed == ()

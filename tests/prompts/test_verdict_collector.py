"""Verdicts on a batch of findings: which are accepted, and that a finding stays when in doubt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Finding, Severity
from hunkwise.prompts.report_verdicts import Verdict, VerdictCollector

WHY = "Line 3 of a.py checks it already."
SEVERITIES = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)


def collector() -> VerdictCollector:
    return VerdictCollector(
        [Finding("a.py", severity, f"Fault {severity.label}", "It fails.") for severity in SEVERITIES]
    )


def one(number: int, verdict: str = "keep", evidence: str = WHY, **more: Any) -> dict[str, Any]:
    return {"finding": number, "verdict": verdict, "evidence": evidence, **more}


def call(*verdicts: object, done: object = True) -> dict[str, Any]:
    return {"verdicts": list(verdicts), "done": done}


def verdict_texts(collected: VerdictCollector) -> list[str]:
    """Returns each finding's verdict as text, empty without one."""
    accepted = (collected.verdict_on(number) for number in range(1, 4))
    return [
        f"{one.verdict} {one.severity.label}" if one and one.severity else one.verdict if one else ""
        for one in accepted
    ]


def test_one_verdict_per_finding_completes_the_answer() -> None:
    collected = collector()
    reply = collected.take(call(one(1), one(2, "drop"), one(3)))
    assert (reply.accepted, reply.text) == (True, "Taken so far: 3 of 3.")
    assert collected.answered
    assert verdict_texts(collected) == ["keep", "drop", "keep"]
    assert [collected.verdict_on(number).evidence for number in (1, 2)] == [WHY, WHY]  # type: ignore[union-attr]  # both are there


def test_finding_is_lowered_to_given_severity() -> None:
    collected = collector()
    assert collected.take(call(one(1, "lower", severity="low"), one(2, severity="critical"), one(3))).accepted
    assert verdict_texts(collected) == ["lower low", "keep", "keep"]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (one(2, "same", evidence="", same_as=3), Verdict("same", same_as=3)),
        (one(2, "not_worth_comment"), Verdict("not_worth_comment", evidence=WHY)),
        (one(2, "unclear", evidence=""), Verdict("unclear")),
        (one(2, corrected="On Tuesdays."), Verdict("keep", evidence=WHY, corrected="On Tuesdays.")),
        (one(2, corrected=" \u200b "), Verdict("keep", evidence=WHY)),
        (one(2, "drop", corrected="On Tuesdays.", same_as=1), Verdict("drop", evidence=WHY)),
        (
            one(2, "lower", severity="low", corrected="Rarely."),
            Verdict("lower", Severity.LOW, WHY, corrected="Rarely."),
        ),
    ],
)
def test_each_verdict_has_its_fields(verdict: dict[str, Any], expected: Verdict) -> None:
    collected = collector()
    assert collected.take(call(one(1), verdict, one(3))).accepted
    assert collected.verdict_on(2) == expected


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (one(2, "keep"), ""),
        (one(2, "unclear"), ""),
        (one(2, "fixed"), ""),
        (one(2, "fixed", evidence=""), "finding 2: `fixed` needs `evidence`"),
        (
            one(2, "drop"),
            "finding 2: it is of an earlier run: the verdict is one of `keep`, `fixed`, `unclear`",
        ),
        (one(2, "lower", severity="low"), "finding 2: it is of an earlier run"),
        (one(2, "not_worth_comment"), "finding 2: it is of an earlier run"),
        (one(2, "same", same_as=1), "finding 2: it is of an earlier run"),
    ],
)
def test_earlier_finding_has_other_verdicts(verdict: dict[str, Any], message: str) -> None:
    old = Finding("a.py", Severity.MEDIUM, "Old", "It fails.")
    collected = VerdictCollector([Finding("a.py", Severity.LOW, "New", "It fails.")], [old])
    reply = collected.take(call(one(1), verdict))
    assert message in reply.text
    assert reply.accepted is (not message)
    assert (collected.verdict_on(2) is None) is bool(message)


def test_keep_needs_no_evidence() -> None:
    collected = collector()
    assert collected.take(call(one(1, evidence=""), one(2), one(3))).accepted
    assert verdict_texts(collected) == ["keep", "keep", "keep"]


def test_all_verdicts_complete_the_answer_without_done() -> None:
    collected = collector()
    assert collected.take(call(one(1), one(2), one(3), done=False)).accepted
    assert collected.answered


def test_verdicts_may_arrive_in_several_calls() -> None:
    collected = collector()
    reply = collected.take(call(one(1), done=False))
    assert not reply.accepted
    assert reply.text.startswith("Taken so far: 1 of 3. Go on")
    assert not collected.answered
    assert verdict_texts(collected) == ["", "", ""], "no verdict counts before the answer is complete"
    assert collected.take(call(one(2), one(3, "drop"))).accepted
    assert verdict_texts(collected) == ["keep", "keep", "drop"]


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (one(1, "drop", evidence=""), "finding 1: `drop` needs `evidence`"),
        (one(1, "drop", evidence=" \u200b — "), "finding 1: `drop` needs `evidence`"),
        (one(1, "lower", evidence="", severity="low"), "finding 1: `lower` needs `evidence`"),
        (one(1, "lower"), "finding 1: `lower` needs `severity`"),
        (one(1, "lower", severity="high"), "finding 1: `severity` must be below high"),
        (one(1, "lower", severity="critical"), "finding 1: `severity` must be below high"),
        (one(1, "maybe"), "verdicts[0].verdict"),
        (one(1, "drop", evidence=3), "finding 1: `drop` needs `evidence`"),  # type: ignore[arg-type]  # wrong on purpose
        (one(1, "fixed"), "finding 1: `fixed` is for findings of an earlier run"),
        (one(1, "not_worth_comment"), "finding 1: it is high, which is worth a comment"),
        (one(1, "same"), "finding 1: `same` needs `same_as`: the number of another finding, 1 to 3"),
        (one(1, "same", same_as=1), "finding 1: `same` needs `same_as`"),
        (one(1, "same", same_as=4), "finding 1: `same` needs `same_as`"),
        (one(1, "same", same_as="two"), "finding 1: `same` needs `same_as`"),
    ],
)
def test_invalid_verdict_is_reported_once_and_then_finding_is_kept(verdict: object, message: str) -> None:
    collected = collector()
    reply = collected.take(call(verdict, one(2), one(3)))
    assert not reply.accepted
    assert message in reply.text
    assert "kept as it is" in reply.text
    assert collected.take(call(verdict)).accepted
    assert verdict_texts(collected) == ["", "keep", "keep"]
    assert collected.contradicted == set()


def test_reported_verdict_can_be_corrected() -> None:
    collected = collector()
    collected.take(call(one(1, "drop", evidence=""), one(2, "lower", severity="high"), one(3)))
    assert collected.take(call(one(1, "drop"), one(2, "lower", severity="low"))).accepted
    assert verdict_texts(collected) == ["drop", "lower low", "keep"]


def test_drop_without_evidence_may_be_changed_to_keep() -> None:
    collected = collector()
    collected.take(call(one(1, "drop", evidence=""), one(2), one(3)))
    assert collected.take(call(one(1))).accepted
    assert verdict_texts(collected)[0] == "keep"
    assert collected.contradicted == set()


def test_missing_verdicts_are_requested_once() -> None:
    collected = collector()
    reply = collected.take(call(one(2)))
    assert not reply.accepted
    assert "no verdict yet on finding 1, 3" in reply.text
    assert collected.take(call()).accepted
    assert verdict_texts(collected) == ["", "keep", ""]


@pytest.mark.parametrize("other", [one(1), one(1, "lower", severity="low"), one(1, "keep", evidence="")])
def test_contradictory_verdicts_in_one_call_do_not_count(other: dict[str, Any]) -> None:
    for pair in ((one(1, "drop"), other), (other, one(1, "drop"))):
        collected = collector()
        assert collected.take(call(*pair, one(2), one(3))).accepted
        assert verdict_texts(collected) == ["", "keep", "keep"]
        assert collected.contradicted == {1}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (one(1), one(1, "drop")),
        (one(1, "drop"), one(1)),
        (one(1), one(1, "drop", evidence="")),
        (one(1, "lower", severity="low"), one(1, "drop")),
        (one(1, "lower", severity="low"), one(1, "lower", severity="medium")),
        (one(1, "same", same_as=2), one(1, "same", same_as=3)),
        (one(1, "same", same_as=2), one(1)),
        (one(1, "unclear"), one(1)),
    ],
)
def test_contradictory_verdicts_in_several_calls_do_not_count(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    collected = collector()
    collected.take(call(first, done=False))
    collected.take(call(then, one(2), one(3)))
    assert verdict_texts(collected) == ["", "keep", "keep"]
    assert collected.contradicted == {1}
    collected.take(call(first, first))
    assert verdict_texts(collected)[0] == "", "a third verdict does not count"


def test_call_after_the_complete_answer_may_contradict_it() -> None:
    collected = collector()
    assert collected.take(call(one(1, "drop"), one(2), one(3))).accepted
    collected.take(call(one(1)))
    assert verdict_texts(collected) == ["", "keep", "keep"]
    assert collected.contradicted == {1}


def test_repeated_verdict_counts_once() -> None:
    collected = collector()
    collected.take(call(one(1, "drop", evidence=""), one(1, "drop"), one(2), one(2), one(3)))
    collected.take(call(one(1, "drop", evidence=""), one(1, "drop", evidence="Other words.")))
    assert verdict_texts(collected) == ["drop", "keep", "keep"]
    assert collected.verdict_on(1).evidence == WHY  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize("unknown", [0, 4, 999_999])
def test_call_with_unknown_number_does_not_count(unknown: int) -> None:
    collected = collector()
    collected.take(call(one(3, "drop"), done=False))
    reply = collected.take(call(one(unknown), one(1, "drop"), one(2, "drop")))
    assert not reply.accepted
    assert f"there is no finding {unknown}: they are numbered from 1 to 3" in reply.text
    assert verdict_texts(collected) == ["", "", ""]
    assert collected.take(call(one(1), one(2), one(3))).accepted
    assert verdict_texts(collected) == ["keep", "keep", "keep"]


def test_repeated_unknown_numbers_end_without_verdicts() -> None:
    collected = collector()
    collected.take(call(one(0, "drop"), one(1, "drop"), one(2, "drop")))
    assert collected.take(call(one(0, "drop"), one(1, "drop"), one(2, "drop"))).accepted
    assert verdict_texts(collected) == ["", "", ""]


def test_list_of_unknown_numbers_is_shortened() -> None:
    reply = collector().take(call(*(one(number) for number in range(10, 60))))
    assert "and 30 more" in reply.text


def test_invalid_verdict_withdraws_earlier_verdict() -> None:
    collected = collector()
    collected.take(call(one(1, "drop"), done=False))
    reply = collected.take(call(one(1, "no drop"), one(2), one(3)))
    assert not reply.accepted
    assert verdict_texts(collected)[0] == ""
    collected.take(call(one(1, "drop")))
    assert verdict_texts(collected)[0] == "drop"


def test_valid_verdict_beside_invalid_one_does_not_count() -> None:
    collected = collector()
    assert not collected.take(call(one(1, "drop"), one(1, "not drop"), one(2), one(3))).accepted
    assert verdict_texts(collected)[0] == ""


def test_endless_invalid_calls_are_stopped() -> None:
    collected = collector()
    for _ in range(9):
        assert not collected.take("garbage").accepted
    assert collected.take("garbage").accepted
    assert verdict_texts(collected) == ["", "", ""]


def test_verdicts_without_done_do_not_count() -> None:
    collected = collector()
    collected.take(call(one(1, "drop"), done=False))
    assert not collected.answered
    assert verdict_texts(collected) == ["", "", ""]


_VERDICTS = st.fixed_dictionaries(
    {
        "finding": st.integers(0, 4),
        "verdict": st.sampled_from(["keep", "drop", "lower", "not_worth_comment", "same", "fixed", "?"]),
        "evidence": st.sampled_from(["", WHY]),
    },
    optional={"severity": st.sampled_from(["low", "medium", "high"]), "same_as": st.integers(0, 4)},
)


@given(st.lists(st.tuples(st.lists(_VERDICTS, max_size=5), st.booleans()), max_size=12))
def test_finding_is_dropped_only_by_one_verdict_with_evidence(calls: list[tuple[list[Any], bool]]) -> None:
    collected = collector()
    for verdicts, done in calls:
        collected.take(call(*verdicts, done=done))
    given_verdicts = [verdict for verdicts, _ in calls for verdict in verdicts]
    for number, severity in enumerate(SEVERITIES, 1):
        ruling = collected.verdict_on(number)
        for_finding = [verdict for verdict in given_verdicts if verdict["finding"] == number]
        if ruling is None:
            continue
        assert number not in collected.contradicted
        assert ruling.verdict != "fixed"
        assert ruling.same_as not in (number, 0, 4)
        if ruling.verdict not in ("keep", "same"):
            assert any(
                v["verdict"] == ruling.verdict and v["evidence"] == ruling.evidence == WHY
                for v in for_finding
            )
        if ruling.severity is not None:
            assert ruling.severity < severity

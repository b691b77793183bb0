"""Verdicts on a batch of findings: what holds of them, and that whatever is doubtful keeps the finding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Finding, Severity
from hunkwise.prompts.report_verdicts import Verdict, VerdictCollector

WHY = "Line 3 of a.py checks it already."
SEVERITIES = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)


def desk() -> VerdictCollector:
    return VerdictCollector(
        [Finding("a.py", severity, f"Fault {severity.label}", "It fails.") for severity in SEVERITIES]
    )


def one(number: int, verdict: str = "keep", evidence: str = WHY, **more: Any) -> dict[str, Any]:
    return {"finding": number, "verdict": verdict, "evidence": evidence, **more}


def call(*verdicts: object, done: object = True) -> dict[str, Any]:
    return {"verdicts": list(verdicts), "done": done}


def rulings(at: VerdictCollector) -> list[str]:
    """What was decided on each finding, in a word; empty where nothing was."""
    made = (at.verdict_on(number) for number in range(1, 4))
    return [
        f"{one.verdict} {one.severity.label}" if one and one.severity else one.verdict if one else ""
        for one in made
    ]


def test_a_verdict_on_each_finding_is_an_answer() -> None:
    at = desk()
    reply = at.take(call(one(1), one(2, "drop"), one(3)))
    assert (reply.accepted, reply.text) == (True, "Taken so far: 3 of 3.")
    assert at.answered
    assert rulings(at) == ["keep", "drop", "keep"]
    assert [at.verdict_on(number).evidence for number in (1, 2)] == [WHY, WHY]  # type: ignore[union-attr]  # both are there


def test_a_finding_is_lowered_to_what_was_said() -> None:
    at = desk()
    assert at.take(call(one(1, "lower", severity="low"), one(2, severity="critical"), one(3))).accepted
    assert rulings(at) == ["lower low", "keep", "keep"]


@pytest.mark.parametrize(
    ("verdict", "taken"),
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
def test_each_verdict_has_its_own_fields(verdict: dict[str, Any], taken: Verdict) -> None:
    at = desk()
    assert at.take(call(one(1), verdict, one(3))).accepted
    assert at.verdict_on(2) == taken


@pytest.mark.parametrize(
    ("verdict", "said"),
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
def test_a_finding_of_an_earlier_run_has_verdicts_of_its_own(verdict: dict[str, Any], said: str) -> None:
    old = Finding("a.py", Severity.MEDIUM, "Old", "It fails.")
    at = VerdictCollector([Finding("a.py", Severity.LOW, "New", "It fails.")], [old])
    reply = at.take(call(one(1), verdict))
    assert said in reply.text
    assert reply.accepted is (not said)
    assert (at.verdict_on(2) is None) is bool(said)


def test_keeping_needs_no_words() -> None:
    at = desk()
    assert at.take(call(one(1, evidence=""), one(2), one(3))).accepted
    assert rulings(at) == ["keep", "keep", "keep"]


def test_all_verdicts_are_an_answer_also_where_the_model_would_go_on() -> None:
    at = desk()
    assert at.take(call(one(1), one(2), one(3), done=False)).accepted
    assert at.answered


def test_verdicts_may_come_in_several_calls() -> None:
    at = desk()
    reply = at.take(call(one(1), done=False))
    assert not reply.accepted
    assert reply.text.startswith("Taken so far: 1 of 3. Go on")
    assert not at.answered
    assert rulings(at) == ["", "", ""], "nothing counts before the model has come to its end"
    assert at.take(call(one(2), one(3, "drop"))).accepted
    assert rulings(at) == ["keep", "keep", "drop"]


@pytest.mark.parametrize(
    ("verdict", "said"),
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
def test_what_does_not_hold_is_told_once_and_then_the_finding_is_kept(verdict: object, said: str) -> None:
    at = desk()
    reply = at.take(call(verdict, one(2), one(3)))
    assert not reply.accepted
    assert said in reply.text
    assert "kept as it is" in reply.text
    assert at.take(call(verdict)).accepted
    assert rulings(at) == ["", "keep", "keep"]
    assert at.contradicted == set()


def test_what_was_told_can_be_mended() -> None:
    at = desk()
    at.take(call(one(1, "drop", evidence=""), one(2, "lower", severity="high"), one(3)))
    assert at.take(call(one(1, "drop"), one(2, "lower", severity="low"))).accepted
    assert rulings(at) == ["drop", "lower low", "keep"]


def test_a_refutation_for_which_no_evidence_was_found_may_be_taken_back() -> None:
    at = desk()
    at.take(call(one(1, "drop", evidence=""), one(2), one(3)))
    assert at.take(call(one(1))).accepted
    assert rulings(at)[0] == "keep"
    assert at.contradicted == set()


def test_missing_verdicts_are_asked_for_once() -> None:
    at = desk()
    reply = at.take(call(one(2)))
    assert not reply.accepted
    assert "no verdict yet on finding 1, 3" in reply.text
    assert at.take(call()).accepted
    assert rulings(at) == ["", "keep", ""]


@pytest.mark.parametrize("other", [one(1), one(1, "lower", severity="low"), one(1, "keep", evidence="")])
def test_a_model_that_contradicts_itself_in_one_call_decides_nothing(other: dict[str, Any]) -> None:
    for pair in ((one(1, "drop"), other), (other, one(1, "drop"))):
        at = desk()
        assert at.take(call(*pair, one(2), one(3))).accepted
        assert rulings(at) == ["", "keep", "keep"]
        assert at.contradicted == {1}


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
def test_a_model_that_contradicts_itself_over_calls_decides_nothing(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    at = desk()
    at.take(call(first, done=False))
    at.take(call(then, one(2), one(3)))
    assert rulings(at) == ["", "keep", "keep"]
    assert at.contradicted == {1}
    at.take(call(first, first))
    assert rulings(at)[0] == "", "there is no third word"


def test_a_call_beside_the_last_one_may_contradict_it() -> None:
    at = desk()
    assert at.take(call(one(1, "drop"), one(2), one(3))).accepted
    at.take(call(one(1)))
    assert rulings(at) == ["", "keep", "keep"]
    assert at.contradicted == {1}


def test_the_same_verdict_twice_is_one() -> None:
    at = desk()
    at.take(call(one(1, "drop", evidence=""), one(1, "drop"), one(2), one(2), one(3)))
    at.take(call(one(1, "drop", evidence=""), one(1, "drop", evidence="Other words.")))
    assert rulings(at) == ["drop", "keep", "keep"]
    assert at.verdict_on(1).evidence == WHY  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize("stranger", [0, 4, 999_999])
def test_who_confuses_the_numbers_has_said_nothing(stranger: int) -> None:
    at = desk()
    at.take(call(one(3, "drop"), done=False))
    reply = at.take(call(one(stranger), one(1, "drop"), one(2, "drop")))
    assert not reply.accepted
    assert f"there is no finding {stranger}: they are numbered from 1 to 3" in reply.text
    assert rulings(at) == ["", "", ""]
    assert at.take(call(one(1), one(2), one(3))).accepted
    assert rulings(at) == ["keep", "keep", "keep"]


def test_numbers_that_stay_confused_cost_the_check() -> None:
    at = desk()
    at.take(call(one(0, "drop"), one(1, "drop"), one(2, "drop")))
    assert at.take(call(one(0, "drop"), one(1, "drop"), one(2, "drop"))).accepted
    assert rulings(at) == ["", "", ""]


def test_many_wrong_numbers_are_not_all_named() -> None:
    reply = desk().take(call(*(one(number) for number in range(10, 60))))
    assert "and 30 more" in reply.text


def test_something_unreadable_takes_an_earlier_verdict_back() -> None:
    at = desk()
    at.take(call(one(1, "drop"), done=False))
    reply = at.take(call(one(1, "no drop"), one(2), one(3)))
    assert not reply.accepted
    assert rulings(at)[0] == ""
    at.take(call(one(1, "drop")))
    assert rulings(at)[0] == "drop"


def test_a_readable_verdict_beside_an_unreadable_one_does_not_count() -> None:
    at = desk()
    assert not at.take(call(one(1, "drop"), one(1, "not drop"), one(2), one(3))).accepted
    assert rulings(at)[0] == ""


def test_a_model_that_goes_on_for_ever_is_stopped() -> None:
    at = desk()
    for _ in range(9):
        assert not at.take("garbage").accepted
    assert at.take("garbage").accepted
    assert rulings(at) == ["", "", ""]


def test_a_model_that_never_said_that_it_was_done_has_decided_nothing() -> None:
    at = desk()
    at.take(call(one(1, "drop"), done=False))
    assert not at.answered
    assert rulings(at) == ["", "", ""]


_VERDICTS = st.fixed_dictionaries(
    {
        "finding": st.integers(0, 4),
        "verdict": st.sampled_from(["keep", "drop", "lower", "not_worth_comment", "same", "fixed", "?"]),
        "evidence": st.sampled_from(["", WHY]),
    },
    optional={"severity": st.sampled_from(["low", "medium", "high"]), "same_as": st.integers(0, 4)},
)


@given(st.lists(st.tuples(st.lists(_VERDICTS, max_size=5), st.booleans()), max_size=12))
def test_no_finding_is_dropped_but_by_one_word_with_its_evidence(calls: list[tuple[list[Any], bool]]) -> None:
    at = desk()
    for verdicts, done in calls:
        at.take(call(*verdicts, done=done))
    said = [verdict for verdicts, _ in calls for verdict in verdicts]
    for number, severity in enumerate(SEVERITIES, 1):
        ruling = at.verdict_on(number)
        of_it = [verdict for verdict in said if verdict["finding"] == number]
        if ruling is None:
            continue
        assert number not in at.contradicted
        assert ruling.verdict != "fixed"
        assert ruling.same_as not in (number, 0, 4)
        if ruling.verdict not in ("keep", "same"):
            assert any(
                v["verdict"] == ruling.verdict and v["evidence"] == ruling.evidence == WHY for v in of_it
            )
        if ruling.severity is not None:
            assert ruling.severity < severity

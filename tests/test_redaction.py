"""Tests that no secret is posted, in any encoding that a model could be made to use."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import quote

import pytest

from hunkwise.domain.finding import Area, Risk, RiskLevel, Verification, Walkthrough
from hunkwise.domain.review import RefutedFinding, ReviewFault
from hunkwise.publish.sanitize import line
from hunkwise.redaction import SecretScan, withhold, without_secrets
from tests.publish.samples import finding, review

SECRET = "ghs_abc~DEF/123+<xyz>?789"
SCAN = SecretScan([SECRET, "other-secret-value"])


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"the token is {SECRET}!",
        SECRET[::-1],
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        quote(SECRET, safe=""),
        quote(SECRET),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        " ".join(SECRET),
        SECRET.replace("_", "\\_"),
        SECRET.replace("<", "&lt;"),
        line(SECRET, 200),
        *(b64encode(b"x" * before + SECRET.encode() + b"yy").decode() for before in range(4)),
        *(b64encode(SECRET.encode() + b"y" * after).decode() for after in range(4)),
        *(urlsafe_b64encode(b"?" * before + SECRET.encode()).decode() for before in range(4)),
        b64encode(SECRET.encode()).decode().rstrip("="),
        "\n".join(b64encode(SECRET.encode()).decode()[n : n + 8] for n in range(0, 40, 8)),
    ],
)  # fmt: skip
def test_a_secret_is_found_in_any_of_its_shapes(text: str) -> None:
    assert SCAN.found_in(f"before\n{text}\nafter")


@pytest.mark.parametrize("text", ["", SECRET[:-2], "nothing here", SECRET.swapcase()])
def test_what_is_no_secret_is_let_through(text: str) -> None:
    assert not SCAN.found_in(text)


def test_short_secrets_would_be_found_in_everything_and_are_ignored() -> None:
    assert not SecretScan(["", "1234567"]).found_in("1234567")


def test_a_review_without_secrets_stays_as_it_is() -> None:
    whole = review(finding())
    assert withhold(whole, SCAN) is whole


def test_what_holds_a_secret_is_withheld_and_said_so() -> None:
    kept = finding("kept")
    whole = replace(
        review(kept, finding(body=f"see {SECRET}"), finding(suggestion=SECRET)),
        summary=f"All about {SECRET}.",
        notes=("fine", SECRET),
        faults=(ReviewFault("a", "fine"), ReviewFault("b", SECRET), ReviewFault("c", "", SECRET)),
    )
    safe = withhold(whole, SCAN)
    assert safe.findings == (kept,)
    assert (safe.summary, safe.notes, safe.dropped) == ("", ("fine",), 2)
    assert [fault.kind for fault in safe.faults] == ["a", "secret"]
    assert "revoke it" in safe.faults[-1].hint


@pytest.mark.parametrize(
    "walkthrough",
    [
        Walkthrough((Area("a", "b", SECRET),)),
        Walkthrough(risk=Risk(RiskLevel.LOW, f"see {SECRET}")),
        Walkthrough(diagram=f"flowchart LR\n  A[{SECRET}]"),
    ],
)
def test_a_walkthrough_that_holds_a_secret_is_withheld_whole(walkthrough: Walkthrough) -> None:
    safe = withhold(replace(review(finding()), summary="Fine.", walkthrough=walkthrough), SCAN)
    assert (safe.summary, safe.walkthrough, len(safe.findings)) == ("Fine.", None, 1)
    assert [fault.kind for fault in safe.faults] == ["secret"]


def test_a_secret_in_the_evidence_costs_the_evidence_and_not_the_finding() -> None:
    held = replace(finding(), check=Verification.CONFIRMED, evidence=f"It is {SECRET}.")
    safe = withhold(review(held, finding("Another")), SCAN)
    assert safe.findings == (replace(held, evidence=""), finding("Another"))
    assert safe.dropped == 0
    assert [fault.kind for fault in safe.faults] == ["secret"]
    assert withhold(review(replace(held, evidence="Why.", body=SECRET)), SCAN).findings == ()


@pytest.mark.parametrize(
    "gone",
    [
        RefutedFinding(finding(), f"It is {SECRET}."),
        RefutedFinding(finding(body=SECRET), "Why."),
        RefutedFinding(finding(SECRET[:20], body=SECRET[20:]), "Why."),
    ],
)
def test_a_refuted_finding_that_holds_a_secret_is_withheld(gone: RefutedFinding) -> None:
    fine = RefutedFinding(finding(), "Why.")
    safe = withhold(replace(review(), refuted=(fine, gone)), SCAN)
    assert (safe.refuted, safe.dropped) == ((fine,), 1)
    assert [fault.kind for fault in safe.faults] == ["secret"]


def test_a_walkthrough_without_a_secret_stays() -> None:
    whole = replace(review(), walkthrough=Walkthrough((Area("a", "b", "c"),), Risk(RiskLevel.LOW)))
    assert withhold(whole, SCAN) is whole


@pytest.mark.parametrize(
    "text",
    [
        "\u200b".join(SECRET),
        f"{SECRET[:9]}**{SECRET[9:]}**",
        f"`{SECRET[:9]}` `{SECRET[9:]}`",
        f"{SECRET[:9]}<!-- -->{SECRET[9:]}",
        "\n".join(f"- {letter}" for letter in SECRET),
        ".".join(reversed(SECRET)),
        SECRET.encode().hex(":").upper(),
        "".join(chr(0xFEE0 + ord(letter)) if letter.isalnum() else letter for letter in SECRET),
    ],
)  # fmt: skip
def test_a_secret_is_found_between_signs_that_a_reader_passes_over(text: str) -> None:
    assert SCAN.found_in(f"before\n{text}\nafter")


def test_words_on_a_run_are_said_without_its_secrets() -> None:
    assert SCAN.redacted("nothing here") == "nothing here"
    assert SCAN.redacted(f"refused: {SECRET}, {SECRET}") == "refused: ***, ***"
    first, second, third = SCAN.redacted(f"before\n{SECRET[::-1]}\nafter {SECRET}").split("\n")
    assert (first, "revoke it" in second, third) == ("before", True, "after ***")


def test_what_takes_several_lines_to_tell_a_secret_is_not_said_at_all() -> None:
    encoded = b64encode(SECRET.encode()).decode()
    split = "\n".join(encoded[start : start + 8] for start in range(0, len(encoded), 8))
    assert "revoke it" in SCAN.redacted(f"before\n{split}")
    assert "before" not in SCAN.redacted(f"before\n{split}")


def test_a_longer_secret_is_taken_out_before_one_that_begins_it() -> None:
    scan = SecretScan(["secret-one", "secret-one-and-two"])
    assert scan.redacted("a secret-one-and-two") == "a ***"


def test_values_that_are_written_down_hold_no_secret() -> None:
    harmless = {"a": [1, "x", None], "b": ("y",)}
    assert without_secrets(harmless, SCAN) is harmless
    contents = {"a": [1, f"x {SECRET}", None], "b": (SECRET, True)}
    assert without_secrets(contents, SCAN) == {"a": [1, "x ***", None], "b": ["***", True]}

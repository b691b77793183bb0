"""Tests that no secret is posted, in any encoding that a model could be made to use."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import quote

import pytest

from hunkwise.domain.finding import Area, Recheck, RecheckState, Risk, RiskLevel, Verification, Walkthrough
from hunkwise.domain.review import ReviewFault, SuppressedFinding
from hunkwise.publish.sanitize import line
from hunkwise.redaction import SecretScan, withhold, without_secrets
from tests.publish.samples import finding, review

SECRET = "ghs_abc~DEF/123+<xyz>?789"
TOKEN = "ghs_q7Rz2LkV9xWc4TnB8mYp1HsJ5dGf3AeU6oKi"
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
def test_finds_secret_in_each_encoding(text: str) -> None:
    assert SCAN.found_in(f"before\n{text}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        ",".join(f"0x{ord(letter):02x}" for letter in SECRET),
        ", ".join(f"0X{ord(letter):02X}" for letter in SECRET),
        "".join(f"\\x{ord(letter):02x}" for letter in SECRET),
        "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
        "".join(f"\\\\u{ord(letter):04X}" for letter in SECRET),
        "".join(f"\\u{{{ord(letter):x}}}" for letter in SECRET),
        "".join(f"\\U{ord(letter):08x}" for letter in SECRET),
        " ".join(f"U+{ord(letter):04X}" for letter in SECRET),
        "".join(f"&#x{ord(letter):x};" for letter in SECRET),
        "".join(f"\\{ord(letter):03o}" for letter in SECRET),
        "".join(f"\\{ord(letter):o}" for letter in SECRET),
        ", ".join(f"0o{ord(letter):o}" for letter in SECRET),
        "".join(f"\\0{ord(letter):o}" for letter in SECRET),
        "\ufe00".join(SECRET),
        "\U0001bca0".join(SECRET),
    ],
)
def test_a_secret_is_found_in_escapes_of_programming_languages(text: str) -> None:
    assert SCAN.found_in(f"before {text} after")


@pytest.mark.parametrize(
    "pieces",
    [
        [TOKEN[:20], TOKEN[20:]],
        [TOKEN[20:], TOKEN[:20]],
        [TOKEN[start : start + 10] for start in range(0, len(TOKEN), 10)],
        [TOKEN[start : start + 8] for start in range(0, len(TOKEN), 8)],
        [TOKEN[:12], TOKEN[8:30], TOKEN[28:]],
        [TOKEN[::-1][:15], TOKEN[::-1][15:]],
        [TOKEN.encode().hex()[:30], TOKEN.encode().hex()[30:].upper()],
        [b64encode(TOKEN.encode()).decode()[:20], b64encode(TOKEN.encode()).decode()[20:]],
        [" ".join(TOKEN[:20]), TOKEN[20:]],
    ],
)
def test_a_secret_in_pieces_over_several_findings_is_withheld(pieces: list[str]) -> None:
    scan = SecretScan([TOKEN])
    found = [finding(f"Part {n}", body=f"One part is {piece} here.") for n, piece in enumerate(pieces)]
    kept = finding("Kept", body="Nothing of it, but ghs_ is how a token begins.")
    safe = withhold(review(*found[:1], kept, *found[1:]), scan)
    assert safe.findings == (kept,)
    assert [fault.kind for fault in safe.faults] == ["secret"]
    some = review(kept, *found[:-1])
    assert withhold(some, scan) is some


@pytest.mark.parametrize("name", ["title", "body", "suggestion"])
def test_letters_of_a_secret_in_one_field_of_many_findings_cost_all_of_them(name: str) -> None:
    found = [replace(finding(), **{name: TOKEN[start : start + 2]}) for start in range(0, len(TOKEN), 2)]  # type: ignore[arg-type]
    assert withhold(review(*found), SecretScan([TOKEN])).findings == ()


def test_a_piece_in_the_summary_costs_the_summary() -> None:
    whole = replace(review(finding(body=TOKEN[:20]), finding("Kept")), summary=f"And {TOKEN[20:]}.")
    safe = withhold(whole, SecretScan([TOKEN]))
    assert (safe.findings, safe.summary) == ((finding("Kept"),), "")


@pytest.mark.parametrize("state", RecheckState)
def test_evidence_with_a_secret_leaves_an_earlier_finding_undecided(state: RecheckState) -> None:
    fine, undecided = Recheck(state, "Line 4 checks it."), Recheck(RecheckState.UNDECIDED)
    for evidence in (f"It is {TOKEN}.", f"And {TOKEN[20:]}."):
        answers = {"1": fine, "2": Recheck(state, evidence)}
        whole = replace(review(finding(body=TOKEN[:20])), rechecks=answers)
        assert withhold(whole, SecretScan([TOKEN])).rechecks == {"1": fine, "2": undecided}


@pytest.mark.parametrize("text", ["", SECRET[:-2], "nothing here", SECRET.swapcase()])
def test_ignores_other_text(text: str) -> None:
    assert not SCAN.found_in(text)


def test_keeps_review_without_secrets_and_ignores_short_secrets() -> None:
    for whole in (
        review(finding()),
        replace(review(), walkthrough=Walkthrough((Area("a", "b", "c"),), Risk(RiskLevel.LOW))),
    ):
        assert withhold(whole, SCAN) is whole
    assert not SecretScan(["", "1234567"]).found_in("1234567")


def test_withholds_parts_with_a_secret() -> None:
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
def test_withholds_whole_walkthrough_with_a_secret(walkthrough: Walkthrough) -> None:
    safe = withhold(replace(review(finding()), summary="Fine.", walkthrough=walkthrough), SCAN)
    assert (safe.summary, safe.walkthrough, len(safe.findings)) == ("Fine.", None, 1)
    assert [fault.kind for fault in safe.faults] == ["secret"]


def test_withholds_evidence_but_not_the_finding() -> None:
    held = replace(finding(), check=Verification.CONFIRMED, evidence=f"It is {SECRET}.")
    safe = withhold(review(held, finding("Another")), SCAN)
    assert safe.findings == (replace(held, evidence=""), finding("Another"))
    assert safe.dropped == 0
    assert [fault.kind for fault in safe.faults] == ["secret"]
    assert withhold(review(replace(held, evidence="Why.", body=SECRET)), SCAN).findings == ()


@pytest.mark.parametrize(
    "gone",
    [
        SuppressedFinding(finding(), f"It is {SECRET}."),
        SuppressedFinding(finding(body=SECRET), "Why."),
        SuppressedFinding(finding(SECRET[:20], body=SECRET[20:]), "Why."),
    ],
)
def test_withholds_suppressed_finding_with_a_secret(gone: SuppressedFinding) -> None:
    fine = SuppressedFinding(finding(), "Why.")
    safe = withhold(replace(review(), suppressed=(fine, gone)), SCAN)
    assert (safe.suppressed, safe.dropped) == ((fine,), 1)
    assert [fault.kind for fault in safe.faults] == ["secret"]


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
def test_finds_secret_between_markup(text: str) -> None:
    assert SCAN.found_in(f"before\n{text}\nafter")


def test_redacts_secrets() -> None:
    assert SCAN.redacted("nothing here") == "nothing here"
    assert SCAN.redacted(f"refused: {SECRET}, {SECRET}") == "refused: ***, ***"
    first, second, third = SCAN.redacted(f"before\n{SECRET[::-1]}\nafter {SECRET}").split("\n")
    assert (first, "revoke it" in second, third) == ("before", True, "after ***")
    longer_first = SecretScan(["secret-one", "secret-one-and-two"])
    assert longer_first.redacted("a secret-one-and-two") == "a ***"


def test_withholds_whole_text_with_secret_over_several_lines() -> None:
    encoded = b64encode(SECRET.encode()).decode()
    split = "\n".join(encoded[start : start + 8] for start in range(0, len(encoded), 8))
    assert "revoke it" in SCAN.redacted(f"before\n{split}")
    assert "before" not in SCAN.redacted(f"before\n{split}")


def test_redacts_nested_values() -> None:
    harmless = {"a": [1, "x", None], "b": ("y",)}
    assert without_secrets(harmless, SCAN) is harmless
    contents = {"a": [1, f"x {SECRET}", None], "b": (SECRET, True)}
    assert without_secrets(contents, SCAN) == {"a": [1, "x ***", None], "b": ["***", True]}

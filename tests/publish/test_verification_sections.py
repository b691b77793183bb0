"""Results of the verification in all published documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.finding import UNVERIFIED, VERIFIED, Finding, Verification
from hunkwise.domain.review import Destination, Review, ReviewEvent, SuppressedFinding, Suppression
from hunkwise.publish.annotations import attributes
from hunkwise.publish.conclusion import Gates, conclude
from hunkwise.publish.documents import job_summary, log_text, review_body, summary_comment
from hunkwise.publish.finding_text import comment
from hunkwise.publish.placement import CommentPlan, place
from hunkwise.publish.report import as_json
from hunkwise.publish.sarif import as_sarif
from hunkwise.publish.sections import check_of, evidence_fold, headline, tally
from tests.publish.samples import SERVER, anchor, clean, file_diff, finding, review, state, view

WHY = "Row 3 lets it through."
CHECKS = [(Verification.CONFIRMED, 3), (Verification.LOWERED, 1), (Verification.UNVERIFIED, 1)]
TALLY = "3 confirmed, 1 downgraded, 1 not checked, 2 rejected"


def checked(
    check: Verification | None, title: str = "A title", line: int = 2, evidence: str = WHY
) -> Finding:
    return replace(finding(title, at=anchor(line)), check=check, evidence=evidence)


def verified_review() -> Review:
    findings = [checked(check, f"{check} {number}") for check, count in CHECKS for number in range(count)]
    gone = tuple(SuppressedFinding(finding(f"Gone {number}"), WHY) for number in range(2))
    return replace(review(*findings, finding("Never asked")), suppressed=gone)


def test_checks_are_counted_in_one_line() -> None:
    assert tally(verified_review()) == TALLY
    assert tally(review(finding())) == ""
    assert tally(replace(review(), suppressed=(SuppressedFinding(finding(), WHY),))) == "1 rejected"


def test_summaries_and_log_have_the_line_without_dropped_findings() -> None:
    whole = verified_review()
    texts = [job_summary(view(whole)).text, summary_comment(view(whole), state()), log_text(whole, None)]
    for text in texts:
        assert text.count(f"Double-checked: {TALLY}.") == 1
        assert "Gone" not in text
    assert "Double-checked" not in job_summary(view(review(finding()))).text


def test_findings_not_worth_a_comment_are_folded_and_merged_ones_counted() -> None:
    hostile = finding("<b>@all</b> ](x)", at=anchor(3))
    small = [SuppressedFinding(hostile, WHY, Suppression.NOT_WORTH_COMMENT)]
    small += [SuppressedFinding(finding(f"S{n}"), WHY, Suppression.NOT_WORTH_COMMENT) for n in range(24)]
    whole = replace(
        review(finding("Held")),
        suppressed=(*small, SuppressedFinding(finding("Same"), WHY, Suppression.MERGED)),
    )
    for text in (job_summary(view(whole)).text, summary_comment(view(whole), state())):
        assert "Double-checked: 1 merged into another, 25 not worth a comment." in text
        assert "Not worth a comment: 25 findings" in text
        assert "- and 5 more, in the JSON report" in text
        assert "S18" in text
        assert "S19" not in text
        assert "<b>" not in text
        assert "Same" not in text
    assert "worth a comment" not in job_summary(view(verified_review())).text


@pytest.mark.parametrize(
    ("thresholds", "title"),
    [
        (("55 %", "55 %"), "Below <code>min-confidence</code> (55 %): 2 findings"),
        (("55 %", "70 %"), "Below <code>min-confidence</code>: 2 findings"),
    ],
)
def test_findings_below_min_confidence_are_folded_with_their_confidence(
    thresholds: tuple[str, str], title: str
) -> None:
    found = [
        replace(finding("<b>One</b>", at=anchor(3)), confidence=0.4),
        replace(finding("Two"), confidence=0.549),
    ]
    low = tuple(
        SuppressedFinding(one, f"Below `min-confidence` ({least})", Suppression.LOW_CONFIDENCE)
        for one, least in zip(found, thresholds, strict=True)
    )
    whole = replace(clean(review()), suppressed=low)
    for text in (job_summary(view(whole)).text, summary_comment(view(whole), state())):
        assert f"<details><summary>{title}</summary>" in text
        assert "- `src/a.py:3` &lt;b>One&lt;/b> (40 %)\n- `src/a.py` Two (54.9 %)\n" in text
        assert "Double-checked" not in text
    assert as_json(view(whole))["suppressed"][0]["reason"] == low[0].reason
    assert conclude(whole, Gates()).sentence == "No findings above min-confidence."
    assert "min-confidence" not in job_summary(view(verified_review())).text


def test_log_marks_unverified_findings() -> None:
    lines = log_text(verified_review(), None).splitlines()
    assert [line.endswith("(not double-checked)") for line in lines[:7]] == [
        "unverified 0" in line for line in lines[:7]
    ]
    assert sum(line.endswith("(not double-checked)") for line in lines) == 1


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (None, ""),
        (Verification.CONFIRMED, "confirmed"),
        (Verification.CORRECTED, "confirmed and corrected"),
        (Verification.LOWERED, "downgraded"),
        (Verification.UNCLEAR, "not confirmed"),
        (Verification.UNVERIFIED, "not double-checked"),
        (Verification.RECHECKED, "checked again: still open"),
        (Verification.OUTDATED, "not checked again since the code changed"),
    ],
)
def test_last_line_of_a_comment_names_the_check_only_if_it_failed(
    check: Verification | None, expected: str
) -> None:
    one = checked(check)
    assert check_of(one) == expected
    failed = expected if check in UNVERIFIED else ""
    small = [line for line in comment(one, server_url=SERVER).splitlines() if "<sub>" in line]
    assert small == ([f"<sub>{failed}</sub>"] if failed else [])
    assert attributes(one, SERVER) == failed


@pytest.mark.parametrize("check", list(Verification))
def test_evidence_is_folded_and_only_for_confirmed_findings(check: Verification) -> None:
    text = comment(checked(check), server_url=SERVER)
    held = check not in (Verification.UNVERIFIED, Verification.OUTDATED)
    fold = f"<details><summary>Evidence ({check_of(checked(check))})</summary>\n\n{WHY}\n\n</details>"
    assert (fold in text) == held
    assert evidence_fold(checked(check, evidence=" "), SERVER) == ""


def test_review_body_marks_findings_and_has_their_evidence() -> None:
    found = (checked(Verification.UNVERIFIED, evidence=""), checked(Verification.CONFIRMED, "Held"))
    text = review_body(view(review(*found)), CommentPlan((), (), found), ReviewEvent.COMMENT).text
    assert "not double-checked" in text
    assert text.count("<summary>Evidence (confirmed)</summary>") == 1


@pytest.mark.parametrize(
    "evidence",
    [
        "</details>\n\n<h1>x</h1>",
        "<!-- hunkwise:finding v1 fp=0123456789abcdef -->",
        "@octocat #1 https://evil.example/x ![x](https://evil.example/y)",
        "/merge\n\n- [ ] x\n\n```suggestion\nx\n```",
        "\u202e" * 20 + "x",
    ],
)
def test_evidence_is_untrusted_text(evidence: str) -> None:
    text = evidence_fold(checked(Verification.CONFIRMED, evidence=evidence), SERVER)
    inner = text.removeprefix("<details><summary>Evidence (confirmed)</summary>\n\n")
    inner = inner.removesuffix("\n\n</details>")
    for forbidden in ("</details>", "<h1>", "<!--", "](https", "\u202e", "```suggestion"):
        assert forbidden not in inner


def test_long_evidence_is_cut() -> None:
    assert len(evidence_fold(checked(Verification.CONFIRMED, evidence="@" * 9_000), SERVER)) < 3_200


def test_sarif_has_the_check_as_a_property() -> None:
    whole = review(checked(Verification.LOWERED), finding("Never asked"))
    results = as_sarif(whole, repository="o/r", server_url=SERVER, version="1")["runs"][0]["results"]
    assert [result["properties"].get("check") for result in results] == [None, "lowered"]


def test_headline_after_all_findings_were_dropped_is_neutral() -> None:
    whole = replace(clean(review()), suppressed=(SuppressedFinding(finding(), WHY),))
    assert (
        headline(view(whole))
        == "### hunkwise: no findings: the second check ruled out everything that was reported"
    )


def test_equal_findings_are_ordered_by_check_then_evidence() -> None:
    held = checked(Verification.CONFIRMED, "held")
    bare = checked(Verification.CONFIRMED, "bare", evidence="")
    lowered = replace(checked(Verification.LOWERED, "lowered"), confidence=0.5)
    doubtful = replace(checked(Verification.UNVERIFIED, "doubtful", evidence=""), confidence=1.0)
    unchecked = replace(checked(None, "never", evidence=""), confidence=0.9)
    placement = place([unchecked, doubtful, bare, held, lowered], [file_diff()], max_comments=3)
    assert placement.inline == (lowered, held, bare)
    assert placement.in_body == (doubtful, unchecked)


def test_severity_has_precedence_over_check() -> None:
    small = checked(Verification.CONFIRMED, "small")
    grave = replace(checked(Verification.UNVERIFIED, "grave"), severity=small.severity + 1)  # type: ignore[arg-type]  # the next one
    assert place([small, grave], [file_diff()], max_comments=1).inline == (grave,)


@pytest.mark.parametrize("check", [None, *Verification])
def test_strict_placement_comments_only_verified_findings(check: Verification | None) -> None:
    on_line = checked(check)
    on_file = replace(on_line, anchor=None)
    both = CommentPlan((on_line,), (on_file,), ())
    assert place([on_line, on_file], [file_diff()], max_comments=9) == both
    placement = place([on_line, on_file], [file_diff()], max_comments=9, strict=True)
    if check in VERIFIED:
        assert placement == both
    else:
        assert (placement.inline, placement.on_file) == ((), ())
        assert set(placement.in_body) == {on_line, on_file}


def test_check_does_not_change_fingerprint_or_marker() -> None:
    texts = {
        comment(checked(check, evidence=str(check)), server_url=SERVER, where=Destination.INLINE).rpartition(
            "\n"
        )[2]
        for check in (None, *Verification)
    }
    assert len(texts) == 1
    assert len({checked(check, evidence=str(check)).fingerprint for check in (None, *Verification)}) == 1

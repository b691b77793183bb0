"""What the log says of a review."""

from __future__ import annotations

from dataclasses import replace

from hunkwise.domain.finding import Severity
from hunkwise.publish.documents import log_text
from tests.publish.samples import anchor, clean, finding, review


def test_the_log_has_a_line_for_each_finding_and_one_for_the_numbers() -> None:
    whole = clean(review(finding("Not\nclosed", at=anchor(2), severity=Severity.HIGH), finding("Second")))
    assert log_text(whole, "https://x/1").split("\n") == [
        "medium   src/a.py  Second",
        "high     src/a.py:2  Not closed",
        "2 findings; reviewed 4 of 4 changed lines (100 %); 2 model calls, 12.3 s.",
        "The review: https://x/1",
    ]


def test_the_log_tells_new_known_fixed_and_dismissed_findings_apart() -> None:
    known = replace(finding("Known", at=anchor(2)), raised_as="0" * 16)
    lines = log_text(clean(review(known, finding("New"))), None, fixed=3, dismissed=1).split("\n")
    assert lines == [
        "medium   src/a.py  New",
        "medium   src/a.py:2  Known  (raised before)",
        "2 findings (1 new, 1 raised before), 3 fixed, 1 dismissed; "
        "reviewed 4 of 4 changed lines (100 %); 2 model calls, 12.3 s.",
    ]

"""The step's outputs, as later steps of the workflow read them."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

from hunkwise.domain.outcome import Where
from hunkwise.publish.view import View


def _rungs(view: View, report: str) -> dict[str, int]:
    """The number of standing findings on each rung that has any; none is on a report that was not written."""
    tally = Counter(view.where(finding) for finding in view.review.findings)
    held = (rung for rung in Where if tally[rung] and (report or rung is not Where.REPORT))
    return {rung.value: tally[rung] for rung in held}


def outputs_of(view: View, report: str, sarif: str) -> dict[str, str]:
    """The step's outputs, by CONTRACT.md's names."""
    review = view.review
    return {
        "conclusion": str(view.verdict.conclusion),
        "findings": str(len(review.findings)),
        "highest-severity": review.highest.label if review.highest else "",
        "coverage": str(review.coverage.percent),
        "review-url": view.posted.review_url or "",
        "placement": json.dumps(_rungs(view, report)),
        "report": report,
        "sarif": sarif,
        "model-calls": str(review.usage.model_calls),
        "input-tokens": str(review.usage.input_tokens),
        "output-tokens": str(review.usage.output_tokens),
        "ai-credits": f"{Decimal(review.usage.nano_credits).scaleb(-9):f}",
    }

"""Renders the parts of a summary: heading, gates, faults, results of the verification, and details of the run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hunkwise.domain.finding import UNVERIFIED, Finding, Severity, Verification
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    Review,
    ReviewFault,
    SuppressedFinding,
    Suppression,
    Usage,
)
from hunkwise.domain.text import as_percent, count, cut, one_line, take_fitting
from hunkwise.errors import ModelKind
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import change_blocks, folded
from hunkwise.publish.conclusion import (
    PublishedReview,
    count_by_severity,
    describe_gap,
    describe_remedy,
    describe_result,
)
from hunkwise.publish.coverage_text import coverage_sentence, missing_files, unreviewed
from hunkwise.publish.links import code_link, linked, place_of
from hunkwise.tracking.dismissal import is_resolved
from hunkwise.tracking.markers import Pause

_STATES = {
    Destination.INLINE: "new",
    Destination.FILE: "new",
    Destination.BODY: "new, in the review",
    Destination.ANNOTATION: "new, as an annotation",
    Destination.SUMMARY: "new, in the job summary",
    Destination.REPORT: "new, in the report",
}
_IN_REVIEW = (Destination.INLINE, Destination.FILE, Destination.BODY)


@dataclass(frozen=True, slots=True)
class FindingLinks:
    """Renders the places of a run's findings, and their states."""

    view: PublishedReview

    def of(self, finding: Finding) -> str:
        """See `code_link`."""
        view = self.view
        return code_link(finding, view.server_url, view.repository, view.review.head_sha)

    def with_state(self, finding: Finding) -> str:
        """Returns the place in the code, then the state, unless the reader is where the finding is published."""
        published = self.view.published(finding)
        if not published.known and published.destination in (Destination.SUMMARY, Destination.REPORT):
            return self.of(finding)
        return f"{self.of(finding)} · {self.state(finding)}"

    def state(self, finding: Finding) -> str:
        """Returns whether the finding is new or open, as a link to its comment."""
        view = self.view
        published = view.published(finding)
        destination, thread = published.destination, published.thread
        if not published.known:
            address = view.posted.comments.get(finding)
            if address is None and destination in _IN_REVIEW:
                address = view.posted.review_url
            return linked(_STATES[destination], address, view.server_url)
        news = _NEWS.get(finding.check, "") if finding.check else ""
        by_author = thread is not None and is_resolved(thread)
        label = "open, resolved by the author" if by_author else "open"
        return linked(label, thread.url if thread else None, view.server_url) + news


_EVIDENCE_LIMIT = 3_000
_CHECK_LABELS = {
    Verification.CONFIRMED: "confirmed",
    Verification.CORRECTED: "confirmed and corrected",
    Verification.LOWERED: "downgraded",
    Verification.UNCLEAR: "not confirmed",
    Verification.UNVERIFIED: "not double-checked",
    Verification.RECHECKED: "checked again: still open",
    Verification.OUTDATED: "not checked again since the code changed",
}
_TALLY_LABELS = {
    **_CHECK_LABELS,
    Verification.CORRECTED: "corrected",
    Verification.UNVERIFIED: "not checked",
    Verification.RECHECKED: "checked again and still open",
}
_NEWS = {
    Verification.RECHECKED: ", checked again",
    Verification.OUTDATED: ", not checked again since the code changed",
}
_SUPPRESSION_LABELS = {
    Suppression.MERGED: "merged into another",
    Suppression.NOT_WORTH_COMMENT: "not worth a comment",
    Suppression.REFUTED: "rejected",
}
_MOST_LISTED = 20
"""Findings without a comment that a list names."""
_LISTED_BYTES = 5_000
_LISTED_TITLE_LIMIT = 160


def check_of(finding: Finding) -> str:
    """Returns the verification result in words; empty if the finding was not verified."""
    return _CHECK_LABELS[finding.check] if finding.check else ""


_DEFAULT_PROMPTS = ("review", "audit")


def attribute_line(finding: Finding, write: Callable[[str], str], *, names_prompt: bool) -> str:
    """Returns, for example, `security · 95 % confident`; empty if there is nothing to say. `write` escapes a text.

    `names_prompt`: several prompts ran. Where only one of the default ones did, its name says nothing.
    """
    parts = [write(cut(one_line(finding.category), 60))] if finding.category else []
    if finding.confidence is not None:
        parts.append(f"{100 * finding.confidence:.0f} % confident")
    if names_prompt or finding.prompt not in _DEFAULT_PROMPTS:
        parts.append(f"prompt {write(cut(one_line(finding.prompt), 60))}")
    if finding.check in UNVERIFIED:
        parts.append(check_of(finding))
    return " · ".join(filter(None, parts))


def tally(review: Review) -> str:
    """Returns `3 confirmed, 1 downgraded, 1 not checked, 2 rejected`; empty without verification."""
    checks = Counter(finding.check for finding in review.findings)
    counts = [(checks[check], label) for check, label in _TALLY_LABELS.items()]
    kinds = Counter(entry.kind for entry in review.suppressed)
    counts += [(kinds[kind], label) for kind, label in _SUPPRESSION_LABELS.items()]
    return ", ".join(f"{number:,} {label}" for number, label in counts if number)


def evidence_fold(finding: Finding, server_url: str) -> str:
    """Returns the evidence of the verification in a folded block; empty if there is none."""
    if finding.check in (None, Verification.UNVERIFIED, Verification.OUTDATED):
        return ""
    return _fold_evidence(check_of(finding), finding.evidence, server_url)


def fixed_evidence(evidence: str, server_url: str) -> str:
    """Returns the evidence that an earlier finding is fixed, in a folded block; empty if there is none."""
    return _fold_evidence("fixed", evidence, server_url)


def _fold_evidence(result: str, evidence: str, server_url: str) -> str:
    words = sanitize.text(evidence, _EVIDENCE_LIMIT, server_url=server_url)
    return folded(f"Evidence ({result})", words) if words else ""


def not_worth_comment(review: Review) -> list[str]:
    """Returns a folded list of the findings that are true and have no comment."""
    small = [entry.finding for entry in review.suppressed if entry.kind is Suppression.NOT_WORTH_COMMENT]
    if not small:
        return []
    return [_fold_findings("Not worth a comment", small)]


def low_confidence(entries: Sequence[SuppressedFinding]) -> list[str]:
    """Returns a folded list of the findings below `min-confidence`, each with its confidence."""
    if not entries:
        return []
    title = sanitize.line(low_confidence_title(entries), 80)
    # GitHub renders no Markdown in a summary element.
    title = title.replace("`min-confidence`", "<code>min-confidence</code>")
    return [_fold_findings(title, [entry.finding for entry in entries], confident=True)]


def low_confidence_title(entries: Sequence[SuppressedFinding]) -> str:
    """Returns the title of a list of findings below `min-confidence`, with its value if all have the same."""
    reasons = {entry.reason for entry in entries}
    return reasons.pop() if len(reasons) == 1 else "Below `min-confidence`"


def _fold_findings(title: str, findings: Sequence[Finding], *, confident: bool = False) -> str:
    """Returns a folded list of findings; `confident`: with the confidence of each, which it must have."""
    listed = (
        f"- {sanitize.code_span(place_of(finding))} {sanitize.line(finding.title, _LISTED_TITLE_LIMIT)}"
        + (f" ({as_percent(finding.confidence or 0.0)})" if confident else "")
        for finding in findings[:_MOST_LISTED]
    )
    rows = take_fitting(listed, _LISTED_BYTES, "\n")
    more = len(findings) - len(rows)
    rows += [f"- and {more:,} more, in the JSON report"] if more else []
    return folded(f"{title}: {count(len(findings), 'finding')}", "\n".join(rows))


BADGES = {
    Severity.CRITICAL: "🔴\u00a0critical",
    Severity.HIGH: "🟠\u00a0high",
    Severity.MEDIUM: "🟡\u00a0medium",
    Severity.LOW: "🔵\u00a0low",
}
"""With a space at which no browser breaks the line."""
DEMO = (
    "> **Made by fixed rules, not by a model:** the demo looks at the added lines only. It shows how hunkwise works, "
    "and says little about this change."
)
HOW_TO_ANSWER = "<sub>Wrong? Resolve the thread, 👎, or reply `/hunkwise dismiss`. Fixed? Push.</sub>"
_MOST_FAULTS = 5
_MOST_NOTES = 8
_NOTES_BYTES = 5_000
_INSTRUCTIONS_BYTES = 2_000
_KEY = re.compile(r"\(([a-z-]+: \w+)\)")
"""A key of the configuration with its value, in a sentence of `RunConclusion`."""
_FAULT_LABELS = {
    **dict.fromkeys(map(str, ModelKind), "Model error"),
    str(ModelKind.BUDGET): "Budget",
    str(ModelKind.TIMEOUT): "Time limit",
}
"""By kind; that of posting is always `Could not post`."""


def opening(view: PublishedReview) -> list[str]:
    """Returns the blocks above the findings: their number, what blocks, what is missing, and what failed."""
    review = view.review
    blocks = [headline(view)]
    if view.posted.stale:
        blocks.append(f"> {sanitize.line(view.posted.stale, 300)}")
    if review.demo:
        blocks.append(DEMO)
    blocks += _gates(view)
    blocks += missing_files(review.coverage)
    blocks += faults(review.faults, view.posted.fault)
    return [*blocks, *([sentence] if (sentence := since(view)) else [])]


def details(view: PublishedReview, *, names: int, summarized: bool = True, drawn: bool = False) -> list[str]:
    """Returns the folded blocks below the findings. Lists of files have up to `names` bytes each.

    `summarized`: with the summary of the change; `drawn`: with its diagram, if there is one.
    """
    review = view.review
    change = change_blocks(view, drawn=drawn) if summarized else []
    return [
        *change,
        *not_worth_comment(review),
        *low_confidence(review.low_confidence),
        *unreviewed(review.coverage, names),
        run_details(view),
    ]


def unchanged_details(view: PublishedReview, *, names: int) -> list[str]:
    """Returns the folded blocks of a run that found everything as the last run left it."""
    missing = [file for file in view.review.coverage.files if file.missing]
    return [*unreviewed(Coverage(tuple(missing)), names), run_details(view)]


def describe_pause(pause: Pause) -> str:
    """Returns sentences in plain text: who stopped the automatic reviews, when, and how they continue."""
    who, when = one_line(pause.by), f"{pause.at[:10]} at {pause.at[11:16]} UTC"
    return (
        f"Automatic reviews of this pull request are paused, by {who} on {when}. "
        "A comment `/hunkwise resume` continues them."
    )


def run_details(view: PublishedReview) -> str:
    """Returns a folded list: coverage, verification, notes, instructions, and the cost."""
    review = view.review
    notes = (*review.notes, *view.posted.notes)
    lines = [coverage_sentence(review.coverage, review.head_sha)]
    lines += [f"Double-checked: {verified}."] if (verified := tally(review)) else []
    if review.dropped:
        lines.append(
            f"{count(review.dropped, 'finding')} not shown: below `min-severity`, repeated, or withheld."
        )
    listed = take_fitting((sanitize.line(note, 300) for note in notes[:_MOST_NOTES]), _NOTES_BYTES, "\n")
    lines += listed
    if left := len(notes) - len(listed):
        lines.append(f"{count(left, 'more note')} in the JSON report.")
    lines += [_instructions_used(review.instructions)] if review.instructions else []
    address = view.posted.review_url
    if address:
        link = linked("View the review", address, view.server_url)
        lines.append(link if link != "View the review" else f"View the review: {sanitize.code_span(address)}")
    lines.append(cost_line(review.usage, review.seconds))
    return folded("Details", "\n".join(f"- {line}" for line in lines))


def _instructions_used(paths: Sequence[str]) -> str:
    names = take_fitting((sanitize.code_span(cut(path, 200)) for path in paths), _INSTRUCTIONS_BYTES, ", ")
    left = len(paths) - len(names)
    return f"Instructions: {', '.join([*names, *([f'{left:,} more'] if left else [])])}"


def headline(view: PublishedReview) -> str:
    """Returns the heading with the number of findings by severity; without any, it is limited to what was reviewed."""
    review, known = view.review, len(view.known_findings)
    if not review.findings:
        result = describe_result(review)
        if view.fixed or view.dismissed:
            result = result.replace("No findings", "No open findings")
        return f"### hunkwise: {result[:1].lower()}{result[1:].removesuffix('.')}"
    counts = count_by_severity(review.findings)
    if not known:
        return f"### hunkwise: {count(len(review.findings), 'finding')} ({counts})"
    new = len(review.findings) - known
    return f"### hunkwise: {count(len(review.findings), 'open finding')}, {new or 'nothing'} new ({counts})"


def _gates(view: PublishedReview) -> list[str]:
    """Returns the gates that were reached, and what could not be posted. `missing_files` has what was not reviewed."""
    verdict = view.verdict
    is_blocked = verdict.exit_code is ExitCode.GATE
    blocks = [f"**Blocked: {reason}**" for reason in verdict.reasons if is_blocked]
    if verdict.requested:
        blocks.append(f"**Changes requested: {verdict.requested}**")
    others = (*(() if is_blocked else verdict.reasons), *verdict.warnings)
    coverage = view.review.coverage
    blocks += [text for text in others if text not in (describe_gap(coverage), describe_remedy(coverage))]
    return [_KEY.sub(r"(`\1`)", text) for text in blocks]


def since(view: PublishedReview) -> str:
    """Returns what has changed since the last run: fixed and dismissed findings, and how many lines are new."""
    review, sentences = view.review, []
    if view.fixed:
        at = review.head_sha[:7]
        sentences.append(f"{len(view.fixed):,} fixed" + (f" in {sanitize.code_span(at)}." if at else "."))
    if view.dismissed:
        sentences.append(f"{len(view.dismissed):,} dismissed.")
    if review.carried_lines:
        new = review.coverage.reviewed_lines - review.carried_lines
        verb = "is" if new == 1 else "are"
        sentences.append(
            f"{count(new, 'line')} {verb} new since the last review."
            if new > 0
            else "No new changes since the last review."
        )
    return " ".join(sentences)


def cost_line(usage: Usage, seconds: float) -> str:
    """Returns one line on model calls, tokens, credits, models and time."""
    tokens = f"{usage.input_tokens:,} tokens in"
    if usage.cached_tokens:
        tokens += f" ({usage.cached_tokens:,} from the cache)"
    parts = [count(usage.model_calls, "model call"), f"{tokens}, {usage.output_tokens:,} out"]
    if usage.nano_credits:
        parts.append(f"{usage.credits:,.2f} AI credits")
    if usage.models:
        parts.append(", ".join(sanitize.code_span(cut(model, 80)) for model in usage.models[:5]))
    return " · ".join([*parts, f"{seconds:.1f} s"])


def faults(reviewing: Sequence[ReviewFault], posting: ReviewFault | None) -> list[str]:
    """Returns a paragraph for each fault, with its hint; the fault of posting comes first."""
    ordered = [*([posting] if posting else []), *reviewing]
    blocks = []
    for fault in ordered[:_MOST_FAULTS]:
        message = sanitize.line(f"{fault.message} {fault.hint}".strip(), 400)
        label = _FAULT_LABELS.get(fault.kind) or f"{fault.kind[:1].upper()}{fault.kind[1:]}"
        label = "Could not post" if fault is posting else sanitize.line(label, 60)
        blocks.append(f"⚠️ **{label}**: {message}")
    if len(ordered) > _MOST_FAULTS:
        blocks.append(f"{count(len(ordered) - _MOST_FAULTS, 'more fault')} in the JSON report.")
    return blocks

"""Renders the parts of a summary: findings by severity, coverage, verification, the change by area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.review import (
    Coverage,
    Destination,
    FileCoverage,
    Review,
    ReviewFault,
    SuppressedFinding,
    Suppression,
    Usage,
)
from hunkwise.domain.text import as_percent, count, cut, one_line, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import change_blocks, folded
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.links import code_link, linked, place_of
from hunkwise.tracking.dismissal import is_resolved
from hunkwise.tracking.markers import Pause

_POSTED = {
    Destination.INLINE: "commented on the line",
    Destination.FILE: "commented on the file",
    Destination.BODY: "in the review's body",
    Destination.ANNOTATION: "an annotation of the check run",
}
_STATES = {
    Destination.INLINE: "new, on the line",
    Destination.FILE: "new, on the file",
    Destination.BODY: "new, in the review",
    Destination.ANNOTATION: "new, an annotation of the check run",
    Destination.SUMMARY: "new, in the job summary",
    Destination.REPORT: "new, in the JSON report",
}
_EARLIER = {
    Destination.BODY: ", in a review's body",
    Destination.ANNOTATION: ", as an annotation",
    Destination.SUMMARY: ", in a job summary",
    Destination.REPORT: ", in a JSON report",
}


@dataclass(frozen=True, slots=True)
class FindingLinks:
    """Renders the places of a run's findings, and their states."""

    view: PublishedReview

    def of(self, finding: Finding) -> str:
        """See `code_link`."""
        view = self.view
        return code_link(finding, view.server_url, view.repository, view.review.head_sha)

    def with_destination(self, finding: Finding) -> str:
        """Returns the place in the code, then the state or destination, unless the reader is already there."""
        published = self.view.published(finding)
        state = self.state(finding) if published.known else _POSTED.get(published.destination)
        return f"{self.of(finding)} · {state}" if state else self.of(finding)

    def state(self, finding: Finding) -> str:
        """Returns the state of the finding: new, with its destination, or raised before, with a link to its thread."""
        view = self.view
        published = view.published(finding)
        destination, thread = published.destination, published.thread
        if not published.known:
            label = _STATES[destination]
            if destination is not Destination.BODY:
                return label
            return linked(label, view.posted.review_url, view.server_url)
        news = _NEWS.get(finding.check, "") if finding.check else ""
        if thread is None:
            return f"raised before{_EARLIER.get(destination, '') if published.previous else ''}{news}"
        label = (
            "resolved by the pull request's author, still counted" if is_resolved(thread) else "raised before"
        )
        return linked(label, thread.url, view.server_url) + news


_EVIDENCE_LIMIT = 3_000
_CHECK_LABELS = {
    Verification.CONFIRMED: "confirmed by a second opinion",
    Verification.CORRECTED: "confirmed and corrected by a second opinion",
    Verification.LOWERED: "lowered by a second opinion",
    Verification.UNCLEAR: "unverified: a second opinion could not tell",
    Verification.UNVERIFIED: "unverified: no second opinion was available",
    Verification.RECHECKED: "checked again: still open",
    Verification.OUTDATED: "not checked again since the code changed",
}
_TALLY_LABELS = {
    Verification.CONFIRMED: "confirmed",
    Verification.CORRECTED: "confirmed and corrected",
    Verification.LOWERED: "lowered",
    Verification.UNCLEAR: "unclear",
    Verification.UNVERIFIED: "could not be verified",
    Verification.RECHECKED: "checked again and still open",
    Verification.OUTDATED: "not checked again since the code changed",
}
_NEWS = {
    Verification.RECHECKED: ", checked again",
    Verification.OUTDATED: ", not checked again since the code changed",
}
_SUPPRESSION_LABELS = {
    Suppression.MERGED: "merged into another",
    Suppression.NOT_WORTH_COMMENT: "true and not worth a comment",
    Suppression.REFUTED: "dropped as refuted",
}
_MOST_LISTED = 20
"""Findings without a comment that a list names."""
_LISTED_TITLE_LIMIT = 160


def check_of(finding: Finding) -> str:
    """Returns the verification result in words; empty if the finding was not verified."""
    return _CHECK_LABELS[finding.check] if finding.check else ""


def tally(review: Review) -> str:
    """Returns `3 confirmed, 1 lowered, 1 could not be verified, 2 dropped as refuted`; empty without verification."""
    checks = Counter(finding.check for finding in review.findings)
    counts = [(checks[check], label) for check, label in _TALLY_LABELS.items()]
    kinds = Counter(entry.kind for entry in review.suppressed)
    counts += [(kinds[kind], label) for kind, label in _SUPPRESSION_LABELS.items()]
    return ", ".join(f"{number:,} {label}" for number, label in counts if number)


def evidence_fold(finding: Finding, server_url: str) -> str:
    """Returns the evidence of the verification in a folded block; empty if there is none."""
    if finding.check in (None, Verification.UNVERIFIED, Verification.OUTDATED):
        return ""
    return _fold_evidence(f"{finding.check}", finding.evidence, server_url)


def fixed_evidence(evidence: str, server_url: str) -> str:
    """Returns the evidence that an earlier finding is fixed, in a folded block; empty if there is none."""
    return _fold_evidence("fixed", evidence, server_url)


def _fold_evidence(result: str, evidence: str, server_url: str) -> str:
    words = sanitize.text(evidence, _EVIDENCE_LIMIT, server_url=server_url)
    return folded(f"Second opinion: {result}", words) if words else ""


def not_worth_comment(review: Review) -> list[str]:
    """Returns a folded list of the findings that are true and have no comment."""
    small = [entry.finding for entry in review.suppressed if entry.kind is Suppression.NOT_WORTH_COMMENT]
    if not small:
        return []
    return [_fold_findings("True, and not worth a comment", small)]


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
    rows = [
        f"- {sanitize.code_span(place_of(finding))} {sanitize.line(finding.title, _LISTED_TITLE_LIMIT)}"
        + (f" ({as_percent(finding.confidence or 0.0)})" if confident else "")
        for finding in findings[:_MOST_LISTED]
    ]
    more = len(findings) - len(rows)
    rows += [f"- and {more:,} more, in the JSON report"] if more else []
    return folded(f"{title}: {count(len(findings), 'finding')}", "\n".join(rows))


BADGES = {
    Severity.CRITICAL: "🔴 critical",
    Severity.HIGH: "🟠 high",
    Severity.MEDIUM: "🟡 medium",
    Severity.LOW: "🔵 low",
}
DEMO = (
    "> **By rules, not by a model:** this review was made by the demo's fixed rules over the added lines. "
    "It shows how hunkwise works, and says little about this change."
)
_MOST_FAULTS = 8
_MOST_NOTES = 8
_MOST_INSTRUCTIONS = 20


def overview(view: PublishedReview, *, names: int, drawn: bool = False) -> list[str]:
    """Returns the blocks above the findings."""
    table = [severity_table(view.review)] if view.review.findings else []
    return [*opening(view), *table, *details(view, names=names, drawn=drawn)]


def details(view: PublishedReview, *, names: int, summarized: bool = True, drawn: bool = False) -> list[str]:
    """Returns the blocks on the run and the change, besides the findings. Lists of files have up to `names` bytes each.

    `summarized`: with the summary of the change; `drawn`: with its diagram, if there is one.
    """
    review = view.review
    change = change_blocks(view, drawn=drawn) if summarized else []
    return [
        *since(view),
        *faults(review.faults, view.posted.fault),
        *change,
        *unreviewed(review.coverage, names),
    ]


def opening(view: PublishedReview) -> list[str]:
    """Returns the first blocks: number of open findings, conclusion of the run, and coverage."""
    review = view.review
    blocks = [headline(view)]
    if view.posted.stale:
        blocks.append(f"> {sanitize.line(view.posted.stale, 300)}")
    if review.demo:
        blocks.append(DEMO)
    blocks.append(verdict_block(view.verdict))
    blocks.append(coverage_sentence(review.coverage, review.head_sha, review.carried_lines))
    return blocks


def describe_pause(pause: Pause) -> str:
    """Returns sentences in plain text: who stopped the automatic reviews, when, and how they continue."""
    who, when = one_line(pause.by), f"{pause.at[:10]} at {pause.at[11:16]} UTC"
    return (
        f"Automatic reviews of this pull request are paused, by {who} on {when}. "
        "A comment `/hunkwise resume` continues them."
    )


def closing(view: PublishedReview) -> list[str]:
    """Returns the blocks below the findings: notes, instructions, the review's address, and the cost."""
    notes = (*view.review.notes, *view.posted.notes)
    lines = [f"- {sanitize.line(note, 300)}" for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(f"- {count(len(notes) - _MOST_NOTES, 'more note')} in the JSON report.")
    blocks = ["\n".join(lines)] if lines else []
    blocks += instructions_used(view.review.instructions)
    address = view.posted.review_url
    if address:
        link = linked("The review", address, view.server_url)
        blocks.append(link if link != "The review" else f"The review: {sanitize.code_span(address)}")
    return [*blocks, cost_line(view.review.usage, view.review.seconds)]


def instructions_used(paths: Sequence[str]) -> list[str]:
    """Returns a foldable list of the instruction files in the prompts."""
    if not paths:
        return []
    names = ", ".join(sanitize.code_span(cut(path, 200)) for path in paths[:_MOST_INSTRUCTIONS])
    more = f" and {len(paths) - _MOST_INSTRUCTIONS:,} more" if len(paths) > _MOST_INSTRUCTIONS else ""
    return [folded(f"Instructions used: {count(len(paths), 'file')}", names + more)]


def headline(view: PublishedReview) -> str:
    """Returns the heading with the number of findings; without any, it is limited to the reviewed lines."""
    review = view.review
    if review.findings:
        raised_before = len(view.known_findings)
        new = len(review.findings) - raised_before
        which = f", {new:,} of them new" if new else ", none of them new"
        return f"### hunkwise: {count(len(review.findings), 'finding')}{which if raised_before else ''}"
    if review.coverage.reviewed_lines == 0:
        return "### hunkwise: nothing was reviewed"
    had_findings = view.fixed or view.dismissed or review.suppressed
    result = "no open findings" if had_findings else "nothing found"
    if review.coverage.complete:
        return f"### hunkwise: {result} in the reviewed lines"
    return f"### hunkwise: {result} in the part that was reviewed"


def verdict_block(verdict: RunConclusion) -> str:
    """Returns the verdict's sentence, then the reasons and warnings that it does not contain."""
    sentence = verdict.sentence.casefold()
    more = [text for text in (*verdict.reasons, *verdict.warnings) if text.casefold() not in sentence]
    return "\n".join([f"**{verdict.sentence}**", *(f"- {text}" for text in more)])


def since(view: PublishedReview) -> list[str]:
    """Returns the numbers of fixed and dismissed earlier findings, of dropped findings, and of verified ones."""
    sentences = []
    if view.fixed:
        at = view.review.head_sha[:7]
        sentences.append(f"{len(view.fixed):,} fixed" + (f" in {sanitize.code_span(at)}." if at else "."))
    if view.dismissed:
        sentences.append(f"{len(view.dismissed):,} dismissed by a person: not raised again.")
    if view.review.dropped:
        sentences.append(
            f"{count(view.review.dropped, 'finding')} left out: below `min-severity`, repeated, or withheld."
        )
    blocks = [" ".join(sentences)] if sentences else []
    verified = tally(view.review)
    blocks += [f"Second opinion: {verified}."] if verified else []
    return [*blocks, *not_worth_comment(view.review), *low_confidence(view.review.low_confidence)]


def coverage_sentence(coverage: Coverage, head_sha: str, carried_lines: int = 0) -> str:
    """Returns the coverage by lines, files and percent, and how much of it this run reviewed."""
    counted = [file for file in coverage.files if file.counted_lines or file.reason is None or file.missing]
    read = sum(1 for file in coverage.files if file.reviewed_lines)
    at = f" at {sanitize.code_span(head_sha[:12])}" if head_sha else ""
    if not counted and not coverage.unlisted_files:
        if lines := coverage.unread_lines:
            return (
                f"Reviewed 0 of {count(lines, 'changed line')} (0 %){at}: the files look generated or vendored, or "
                'hold data. `ignore: ["!PATH"]` in the configuration has generated ones reviewed.'
            )
        return f"There was nothing to review{at}: no changed line was left after what is left out by choice."
    sentence = (
        f"Reviewed {coverage.reviewed_lines:,} of {count(coverage.changed_lines, 'changed line')} "
        f"({coverage.percent} %) in {read:,} of {count(len(counted), 'file')}{at}."
    )
    if carried_lines:
        sentence += f" {_describe_new_lines(coverage.reviewed_lines - carried_lines)}"
    if coverage.unlisted_files:
        sentence += f" GitHub did not list {count(coverage.unlisted_files, 'more file')}: not reviewed."
    return sentence


def _describe_new_lines(new_lines: int) -> str:
    """Returns a sentence on how many of the reviewed lines this run reviewed itself."""
    if new_lines <= 0:
        return "Nothing in it was new: an earlier run reviewed all of these lines."
    verb = "was" if new_lines == 1 else "were"
    return f"{count(new_lines, 'new changed line')} {verb} reviewed now, the rest before."


def severity_table(review: Review) -> str:
    """Returns a table of the number of findings by severity, the most severe first."""
    counts = Counter(finding.severity for finding in review.findings)
    head = " | ".join(BADGES.values())
    numbers = " | ".join(f"{counts[severity]:,}" for severity in BADGES)
    return f"| {head} |\n|{'---:|' * len(BADGES)}\n| {numbers} |"


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
    """Returns a list of the faults with their hints; the fault of posting comes first."""
    ordered = [*([posting] if posting else []), *reviewing]
    lines = []
    for fault in ordered[:_MOST_FAULTS]:
        message = sanitize.line(f"{fault.message} {fault.hint}".strip(), 500)
        lines.append(f"- ⚠️ **{sanitize.line(fault.kind, 60)}**: {message}")
    if len(ordered) > _MOST_FAULTS:
        lines.append(f"- {count(len(ordered) - _MOST_FAULTS, 'more fault')} in the JSON report.")
    return ["\n".join(lines)] if lines else []


def unreviewed(coverage: Coverage, names: int) -> list[str]:
    """Returns the files that should have been reviewed and were not, then those that were skipped."""
    skipped = tuple(file for file in coverage.files if file.reason is not None and not file.missing)
    blocks = []
    if coverage.missing:
        blocks.append(_fold_files("Not reviewed, or not whole", coverage.missing, names))
    if skipped:
        blocks.append(_fold_files("Left out by choice", skipped, names))
    return blocks


def _fold_files(title: str, files: Sequence[FileCoverage], names: int) -> str:
    """Returns a foldable list of files with their reasons; the list has at most `names` bytes."""
    lines = take_fitting((_describe_file(file) for file in files), names, "\n")
    if left := len(files) - len(lines):
        lines.append(f"- {count(left, 'file')} more, named in the JSON report")
    return folded(f"{title}: {count(len(files), 'file')}", "\n".join(lines))


def _describe_file(file: FileCoverage) -> str:
    detail = f" ({sanitize.line(file.detail, 120)})" if file.detail else ""
    part = ""
    if file.reviewed_lines:
        part = f", {file.reviewed_lines:,} of {file.changed_lines:,} changed lines were reviewed"
    return f"- {sanitize.code_span(cut(file.path, 200))}: {file.reason}{detail}{part}"

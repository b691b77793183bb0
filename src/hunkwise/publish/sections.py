"""Renders the parts of a summary: findings by severity, coverage, verification, the change by area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    Review,
    ReviewFault,
    Suppression,
    Usage,
)
from hunkwise.domain.text import count, cut, one_line, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import change_blocks, folded
from hunkwise.publish.conclusion import PublishedReview, count_by_severity
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
    Destination.INLINE: "new",
    Destination.FILE: "new",
    Destination.BODY: "new, in the review",
    Destination.ANNOTATION: "new, as an annotation",
    Destination.SUMMARY: "new, in the job summary",
    Destination.REPORT: "new, in the report",
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
        address = thread.url if thread else view.posted.comments.get(finding, "")
        if not published.known:
            if destination is Destination.BODY or not address:
                address = view.posted.review_url or ""
            return linked(_STATES[destination], address, view.server_url)
        news = _NEWS.get(finding.check, "") if finding.check else ""
        by_author = thread is not None and is_resolved(thread)
        label = "open, resolved by the author" if by_author else "open"
        return linked(label, address, view.server_url) + news


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
_MOST_NOT_WORTH_COMMENT = 20
_NOT_WORTH_COMMENT_LIMIT = 160


def check_of(finding: Finding) -> str:
    """Returns the verification result in words; empty if the finding was not verified."""
    return _CHECK_LABELS[finding.check] if finding.check else ""


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
    rows = [
        f"- {sanitize.code_span(place_of(finding))} {sanitize.line(finding.title, _NOT_WORTH_COMMENT_LIMIT)}"
        for finding in small[:_MOST_NOT_WORTH_COMMENT]
    ]
    more = len(small) - len(rows)
    rows += [f"- and {more:,} more, in the JSON report"] if more else []
    return [folded(f"Not worth a comment: {count(len(small), 'finding')}", "\n".join(rows))]


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
_MOST_FAULTS = 8
_MOST_NOTES = 8
_MOST_INSTRUCTIONS = 20
_MOST_NAMED = 5
"""Files that are not fully reviewed and are named above the findings."""
_FAULT_LABELS = {"github": "Could not post", "provider": "Model error"}
"""By the first word of a fault's kind."""


def opening(view: PublishedReview) -> list[str]:
    """Returns the blocks above the findings: their number, what blocks, what is missing, and what failed."""
    review, verdict = view.review, view.verdict
    blocks = [headline(view)]
    if view.posted.stale:
        blocks.append(f"> {sanitize.line(view.posted.stale, 300)}")
    if review.demo:
        blocks.append(DEMO)
    blocks += _verdict(view)
    blocks += missing_files(review.coverage)
    blocks += faults(review.faults, view.posted.fault)
    return [*blocks, *([sentence] if (sentence := since(view)) else [])]


def details(view: PublishedReview, *, names: int, summarized: bool = True, drawn: bool = False) -> list[str]:
    """Returns the folded blocks below the findings. Lists of files have up to `names` bytes each.

    `summarized`: with the summary of the change; `drawn`: with its diagram, if there is one.
    """
    review = view.review
    change = change_blocks(view, drawn=drawn) if summarized else []
    return [*change, *not_worth_comment(review), *unreviewed(review.coverage, names), run_details(view)]


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
    lines += [sanitize.line(note, 300) for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(f"{count(len(notes) - _MOST_NOTES, 'more note')} in the JSON report.")
    lines += [_instructions_used(review.instructions)] if review.instructions else []
    address = view.posted.review_url
    if address:
        link = linked("View the review", address, view.server_url)
        lines.append(link if link != "View the review" else f"The review: {sanitize.code_span(address)}")
    lines.append(cost_line(review.usage, review.seconds))
    return folded("Details", "\n".join(f"- {line}" for line in lines))


def _instructions_used(paths: Sequence[str]) -> str:
    names = ", ".join(sanitize.code_span(cut(path, 200)) for path in paths[:_MOST_INSTRUCTIONS])
    more = f" and {len(paths) - _MOST_INSTRUCTIONS:,} more" if len(paths) > _MOST_INSTRUCTIONS else ""
    return f"Instructions: {names}{more}"


def headline(view: PublishedReview) -> str:
    """Returns the heading with the number of findings by severity; without any, it is limited to what was reviewed."""
    review = view.review
    if review.findings:
        counts = count_by_severity(review.findings)
        known = len(view.known_findings)
        if not known:
            return f"### hunkwise: {count(len(review.findings), 'finding')} ({counts})"
        new = len(review.findings) - known
        return f"### hunkwise: {count(len(review.findings), 'open finding')}, {new or 'nothing'} new ({counts})"
    if review.coverage.reviewed_lines == 0:
        return f"### hunkwise: nothing {'to review' if review.coverage.complete else 'was reviewed'}"
    had_findings = view.fixed or view.dismissed
    result = "no open findings" if had_findings else "no findings"
    return f"### hunkwise: {result}{'' if review.coverage.complete else ' in the part that was reviewed'}"


def _verdict(view: PublishedReview) -> list[str]:
    """Returns what the heading does not say: the gates that were reached, warnings, and why there are no findings."""
    verdict, review = view.verdict, view.review
    lines = []
    if verdict.exit_code is ExitCode.GATE:
        lines += [f"**Blocked: {reason}**" for reason in verdict.reasons]
    if "Changes requested" in verdict.result:
        lines.append(f"**Changes requested{verdict.result.partition('Changes requested')[2]}**")
    # What was not reviewed is listed by `missing_files`.
    said = [] if verdict.exit_code is ExitCode.GATE else [*verdict.reasons]
    lines += [text for text in (*said, *verdict.warnings) if not text.startswith("Not fully reviewed")]
    if not review.findings and verdict.result not in ("No findings.", "Nothing was reviewed."):
        lines.append(verdict.result)
    return ["\n".join(f"> {line}" for line in lines)] if lines else []


def missing_files(coverage: Coverage) -> list[str]:
    """Returns the share of the lines that was reviewed, and the first files that should have been; empty if all were."""
    if coverage.complete:
        return []
    lines = [_missing_sentence(coverage)]
    lines += [_describe_file(file) for file in coverage.missing[:_MOST_NAMED]]
    if (left := len(coverage.missing) - _MOST_NAMED) > 0:
        lines.append(f"- and {count(left, 'more file')}, listed below")
    return ["\n".join(lines)]


def _missing_sentence(coverage: Coverage) -> str:
    files = len(coverage.missing) + coverage.unlisted_files
    sentence = (
        f"⚠️ **Not fully reviewed: {count(files, 'file')}.** {coverage.reviewed_lines:,} of "
        f"{count(coverage.changed_lines, 'changed line')} ({coverage.percent} %) were reviewed."
    )
    if coverage.unlisted_files:
        sentence += f" GitHub did not list {count(coverage.unlisted_files, 'file')} of them."
    return sentence


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


def coverage_sentence(coverage: Coverage, head_sha: str) -> str:
    """Returns the coverage by lines, files and percent."""
    counted = [file for file in coverage.files if file.reason is None or file.missing]
    read = sum(1 for file in coverage.files if file.reviewed_lines)
    at = f" at {sanitize.code_span(head_sha[:12])}" if head_sha else ""
    if not counted and not coverage.unlisted_files:
        if lines := coverage.generated_lines:
            return (
                f"Reviewed 0 of {count(lines, 'changed line')} (0 %){at}: the files look generated or vendored. "
                '`ignore: ["!PATH"]` in the configuration has them reviewed.'
            )
        return f"Nothing to review{at}: every changed file is skipped."
    return (
        f"Reviewed {coverage.reviewed_lines:,} of {count(coverage.changed_lines, 'changed line')} "
        f"({coverage.percent} %) in {read:,} of {count(len(counted), 'file')}{at}."
    )


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
        label = _FAULT_LABELS.get(fault.kind.partition(" ")[0]) or f"{fault.kind[:1].upper()}{fault.kind[1:]}"
        lines.append(f"- ⚠️ **{sanitize.line(label, 60)}**: {message}")
    if len(ordered) > _MOST_FAULTS:
        lines.append(f"- {count(len(ordered) - _MOST_FAULTS, 'more fault')} in the JSON report.")
    return ["\n".join(lines)] if lines else []


def unreviewed(coverage: Coverage, names: int) -> list[str]:
    """Returns the files that should have been reviewed and were not, then those that were skipped."""
    skipped = tuple(file for file in coverage.files if file.reason is not None and not file.missing)
    blocks = []
    if len(coverage.missing) > _MOST_NAMED:
        blocks.append(_fold_files("Not fully reviewed", coverage.missing, names))
    if skipped:
        blocks.append(_fold_files("Skipped", skipped, names))
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

"""The parts of a summary: findings by severity, coverage, verification, the change by area."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.review import Coverage, Destination, FileCoverage, Review, ReviewFault, Usage
from hunkwise.domain.text import cut, one_line
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import change_blocks
from hunkwise.publish.conclusion import PublishedReview, RunConclusion

_LONGEST_LINK = 1_000
_PLAIN_ADDRESS = re.compile(r"/[A-Za-z0-9._~/%?=&#+-]*")
_RUNGS = {
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


def place_of(finding: Finding) -> str:
    """`path:40–42`, `path:7 (before the change)`, or the path alone."""
    path = cut(one_line(finding.path), 300)
    anchor = finding.anchor
    if anchor is None:
        return path
    lines = f"{anchor.line}" if anchor.start_line is None else f"{anchor.start_line}–{anchor.line}"
    return f"{path}:{lines}" + (" (before the change)" if anchor.side is Side.LEFT else "")


def linked(label: str, address: str | None, server_url: str) -> str:
    """The label (Markdown) as a link, where the address is a plain one on GitHub's own server."""
    server = server_url.rstrip("/")
    if not address or not server or not address.startswith(f"{server}/") or len(address) > _LONGEST_LINK:
        return label
    return f"[{label}]({address})" if _PLAIN_ADDRESS.fullmatch(address.removeprefix(server)) else label


@dataclass(frozen=True, slots=True)
class FindingLinks:
    """Writes where the findings of one run are, and what became of each."""

    view: PublishedReview

    def of(self, finding: Finding) -> str:
        """The place in the code, as a permanent link where the head has the lines and is on a server."""
        label = sanitize.code_span(place_of(finding))
        anchor, view = finding.anchor, self.view
        path = _quoted(finding.path)
        on_head = anchor is None or anchor.side is Side.RIGHT
        if not (view.server_url and view.repository and view.review.head_sha and on_head and path):
            return label
        lines = f"#L{anchor.lines.start}-L{anchor.line}" if anchor else ""
        address = f"{view.server_url}/{view.repository}/blob/{view.review.head_sha}/{path}{lines}"
        return f"[{label}]({address})" if len(address) <= _LONGEST_LINK else label

    def with_rung(self, finding: Finding) -> str:
        """The place in the code, then where it was posted, as far as that is not where the reader is."""
        parts = [self.of(finding)]
        rung = self.view.posted.where.get(finding)
        if self.view.known(finding):
            parts.append(self.state(finding))
        elif rung in _RUNGS:
            parts.append(_RUNGS[rung])
        return " · ".join(parts)

    def state(self, finding: Finding) -> str:
        """What became of the finding: new and on which rung, or raised before and since when nothing changed."""
        view = self.view
        rung = view.posted.where.get(finding)
        if not view.known(finding):
            said = _STATES[rung] if rung else "new"
            return linked(said, view.posted.review_url, view.server_url) if rung is Destination.BODY else said
        kept = view.kept_by_finding.get(finding)
        thread = kept.thread if kept else None
        if thread is None:
            return f"raised before{_EARLIER.get(kept.raised.where, '') if kept else ''}"
        said = "resolved by the pull request's author, still counted" if thread.resolved else "raised before"
        return linked(said, thread.url, view.server_url)


def _quoted(path: str) -> str:
    """The path for an address; empty where no server could be meant by it, or a browser would leave the tree."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return ""
    try:
        return quote(path.encode("utf-8", "surrogateescape"), safe="/")
    except UnicodeEncodeError:
        return ""


_EVIDENCE_LIMIT = 3_000
_OF_ONE = {
    Verification.CONFIRMED: "confirmed by a second opinion",
    Verification.LOWERED: "lowered by a second opinion",
    Verification.UNVERIFIED: "unverified: no second opinion could be had",
}
_OF_ALL = {
    Verification.CONFIRMED: "confirmed",
    Verification.LOWERED: "lowered",
    Verification.UNVERIFIED: "could not be verified",
}


def check_of(finding: Finding) -> str:
    """What became of the finding; empty where nobody was asked."""
    return _OF_ONE[finding.check] if finding.check else ""


def tally(review: Review) -> str:
    """`3 confirmed, 1 lowered, 1 could not be verified, 2 dropped as refuted`; empty where nobody was asked."""
    checks = Counter(finding.check for finding in review.findings)
    counts = [(checks[check], said) for check, said in _OF_ALL.items()]
    counts.append((len(review.refuted), "dropped as refuted"))
    return ", ".join(f"{number:,} {said}" for number, said in counts if number)


def evidence_fold(finding: Finding, server_url: str) -> str:
    """The second model's words, folded away; empty where it said nothing for the finding."""
    if finding.check not in (Verification.CONFIRMED, Verification.LOWERED):
        return ""
    said = sanitize.text(finding.evidence, _EVIDENCE_LIMIT, server_url=server_url)
    return (
        f"<details><summary>Second opinion: {finding.check}</summary>\n\n{said}\n\n</details>" if said else ""
    )


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


def count(number: int, noun: str) -> str:
    """`1 file`, `1,200 files`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def overview(view: PublishedReview, *, names: int, drawn: bool = False) -> list[str]:
    """The blocks above the findings. Lists of files take up to `names` characters each.

    `drawn`: with the diagram, if there is one.
    """
    review = view.review
    blocks = opening(view)
    if review.findings:
        blocks.append(severity_table(review))
    blocks += [*since(view), *faults(review.faults, view.posted.fault), *change_blocks(view, drawn=drawn)]
    return [*blocks, *unreviewed(review.coverage, names)]


def opening(view: PublishedReview) -> list[str]:
    """What everybody should read: how much stands, how the run concluded, how much was looked at."""
    review = view.review
    blocks = [headline(view)]
    if view.stale:
        blocks.append(f"> {sanitize.line(view.stale, 300)}")
    if review.demo:
        blocks.append(DEMO)
    blocks.append(verdict_block(view.verdict))
    blocks.append(coverage_sentence(review.coverage, review.head_sha, review.carried_lines))
    return blocks


def colophon(view: PublishedReview) -> list[str]:
    """The blocks below the findings: notes, the review's address, and what it cost."""
    said = (*view.review.notes, *view.posted.notes)
    notes = [f"- {sanitize.line(note, 300)}" for note in said[:_MOST_NOTES]]
    if len(said) > _MOST_NOTES:
        notes.append(f"- {count(len(said) - _MOST_NOTES, 'more note')} in the JSON report.")
    blocks = ["\n".join(notes)] if notes else []
    blocks += instructions_used(view.review.instructions)
    address = view.posted.review_url
    if address:
        shown = linked("The review", address, view.server_url)
        blocks.append(shown if shown != "The review" else f"The review: {sanitize.code_span(address)}")
    return [*blocks, cost_line(view.review.usage, view.review.seconds)]


def instructions_used(paths: Sequence[str]) -> list[str]:
    """A foldable list of the files of instructions that a model was shown."""
    if not paths:
        return []
    shown = ", ".join(sanitize.code_span(cut(path, 200)) for path in paths[:_MOST_INSTRUCTIONS])
    more = f" and {len(paths) - _MOST_INSTRUCTIONS:,} more" if len(paths) > _MOST_INSTRUCTIONS else ""
    title = f"Instructions used: {count(len(paths), 'file')}"
    return [f"<details><summary>{title}</summary>\n\n{shown}{more}\n\n</details>"]


def headline(view: PublishedReview) -> str:
    """Never more than is known: silence about what was not read is not praise."""
    review = view.review
    if review.findings:
        known = len(view.known_findings)
        new = len(review.findings) - known
        which = f", {new:,} of them new" if known and new else ", none of them new" if known else ""
        return f"### hunkwise: {count(len(review.findings), 'finding')}{which}"
    if review.coverage.reviewed_lines == 0:
        return "### hunkwise: nothing was reviewed"
    gone = view.fixed or view.dismissed or review.refuted
    said = "no finding stands" if gone else "nothing found"
    if review.coverage.complete:
        return f"### hunkwise: {said} in the reviewed lines"
    return f"### hunkwise: {said} in the part that was reviewed"


def verdict_block(verdict: RunConclusion) -> str:
    """The verdict's sentence, then the reasons and warnings that it does not tell itself."""
    told = verdict.sentence.casefold()
    more = [said for said in (*verdict.reasons, *verdict.warnings) if said.casefold() not in told]
    return "\n".join([f"**{verdict.sentence}**", *(f"- {said}" for said in more)])


def since(view: PublishedReview) -> list[str]:
    """What became of earlier findings, what was left out of this run's, and what a second opinion made of them."""
    said = []
    if view.fixed:
        at = view.review.head_sha[:7]
        said.append(f"{len(view.fixed):,} fixed" + (f" in {sanitize.code_span(at)}." if at else "."))
    if view.dismissed:
        said.append(f"{len(view.dismissed):,} dismissed by a person: not raised again.")
    if view.review.dropped:
        said.append(
            f"{count(view.review.dropped, 'finding')} left out: below `min-severity`, repeated, or withheld."
        )
    blocks = [" ".join(said)] if said else []
    checked = tally(view.review)
    return [*blocks, f"Second opinion: {checked}."] if checked else blocks


def coverage_sentence(coverage: Coverage, head_sha: str, carried_lines: int = 0) -> str:
    """What was looked at, by lines, files and percent, and which part of it by earlier runs."""
    counted = [file for file in coverage.files if file.reason is None or file.missing]
    read = sum(1 for file in coverage.files if file.reviewed_lines)
    at = f" at {sanitize.code_span(head_sha[:12])}" if head_sha else ""
    if not counted and not coverage.unlisted_files:
        return f"There was nothing to review{at}: no changed line was left after what is left out by choice."
    sentence = (
        f"Reviewed {coverage.reviewed_lines:,} of {count(coverage.changed_lines, 'changed line')} "
        f"({coverage.percent} %) in {read:,} of {count(len(counted), 'file')}{at}."
    )
    if carried_lines:
        sentence += f" {_apart(coverage.reviewed_lines - carried_lines)}"
    if coverage.unlisted_files:
        sentence += f" GitHub did not list {count(coverage.unlisted_files, 'more file')}: not reviewed."
    return sentence


def _apart(now: int) -> str:
    """How many of the reviewed lines this run has looked at itself."""
    if now <= 0:
        return "Nothing in it was new: an earlier run reviewed all of these lines."
    were = "was" if now == 1 else "were"
    return f"{count(now, 'new changed line')} {were} reviewed now, the rest before."


def severity_table(review: Review) -> str:
    """The number of findings of each severity, the worst first."""
    tally = dict.fromkeys(BADGES, 0)
    for finding in review.findings:
        tally[finding.severity] += 1
    head = " | ".join(BADGES.values())
    numbers = " | ".join(f"{number:,}" for number in tally.values())
    return f"| {head} |\n|{'---:|' * len(BADGES)}\n| {numbers} |"


def cost_line(usage: Usage, seconds: float) -> str:
    """One line on model calls, tokens, models and time."""
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
    """What went wrong, with its remedy; what kept the review from being posted comes first."""
    all_of_them = [*([posting] if posting else []), *reviewing]
    lines = []
    for fault in all_of_them[:_MOST_FAULTS]:
        said = sanitize.line(f"{fault.message} {fault.hint}".strip(), 500)
        lines.append(f"- ⚠️ **{sanitize.line(fault.kind, 60)}**: {said}")
    if len(all_of_them) > _MOST_FAULTS:
        lines.append(f"- {count(len(all_of_them) - _MOST_FAULTS, 'more fault')} in the JSON report.")
    return ["\n".join(lines)] if lines else []


def unreviewed(coverage: Coverage, names: int) -> list[str]:
    """Files that should have been reviewed and were not, then those left out by choice."""
    chosen = tuple(file for file in coverage.files if file.reason is not None and not file.missing)
    blocks = []
    if coverage.missing:
        blocks.append(_folded("Not reviewed, or not whole", coverage.missing, names))
    if chosen:
        blocks.append(_folded("Left out by choice", chosen, names))
    return blocks


def _folded(title: str, files: Sequence[FileCoverage], names: int) -> str:
    """A foldable list of files with their reasons, of at most about `names` characters."""
    lines = [f"<details><summary>{title}: {count(len(files), 'file')}</summary>", ""]
    lines += _within((_why(file) for file in files), names)
    left = len(files) - (len(lines) - 2)
    if left:
        lines.append(f"- {count(left, 'file')} more, named in the JSON report")
    return "\n".join([*lines, "", "</details>"])


def _within(lines: Iterable[str], budget: int) -> list[str]:
    kept: list[str] = []
    for entry in lines:
        budget -= len(entry.encode()) + 1
        if budget < 0:
            break
        kept.append(entry)
    return kept


def _why(file: FileCoverage) -> str:
    detail = f" ({sanitize.line(file.detail, 120)})" if file.detail else ""
    part = ""
    if file.reviewed_lines:
        part = f", {file.reviewed_lines:,} of {file.changed_lines:,} changed lines were reviewed"
    return f"- {sanitize.code_span(cut(file.path, 200))}: {file.reason}{detail}{part}"

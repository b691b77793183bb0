"""Plans what is published: merges the findings of this run, and reconciles them with earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from hunkwise.domain.finding import (
    NO_SUMMARY,
    Finding,
    Recheck,
    RecheckState,
    Severity,
    code_key,
    joint_confidence,
    reading_order,
)
from hunkwise.domain.pull_request import Conversation
from hunkwise.domain.review import (
    Destination,
    FileCoverage,
    PostResult,
    Review,
    ReviewEvent,
    SkipReason,
    SuppressedFinding,
    Suppression,
)
from hunkwise.domain.text import as_percent
from hunkwise.plan.incremental import file_key, hunk_keys
from hunkwise.publish.conclusion import (
    Gates,
    PublishedReview,
    conclude,
    count_fallbacks,
    reached,
    still_requests_changes,
)
from hunkwise.publish.placement import PublishedFinding, destinations, unposted
from hunkwise.publish.sanitize import fence
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState, PreviousFinding
from hunkwise.tracking.previous import raised_before
from hunkwise.tracking.reconcile import Reconciliation, reconcile
from hunkwise.tracking.state import MOST_SHAS, latest_state, truncate_summary

_MAX_BODY = 8_000


def merge(findings: Iterable[Finding], min_severity: Severity) -> tuple[tuple[Finding, ...], int]:
    """Returns the findings to publish, by path, line and severity, and how many were dropped or merged.

    Of findings on the same lines with the same title the most severe is kept, and among equals the one with the
    longest body. Another title with the same fingerprint on overlapping lines may be a second fault at that
    place: its text is appended to the first one's body, not dropped.
    """
    all_findings = list(findings)
    candidates = [finding for finding in all_findings if finding.severity >= min_severity]
    candidates.sort(key=lambda finding: (-finding.severity, -len(finding.body), finding.title, finding.body))
    kept: list[Finding] = []
    titles: dict[tuple[str, range | None, str, str], int] = {}
    by_fingerprint: dict[tuple[str, str], list[int]] = {}
    for finding in candidates:
        title = _title_key(finding)
        if (same := titles.get(title)) is not None:
            kept[same] = replace(kept[same], confidence=joint_confidence((kept[same], finding)))
            continue
        indexes = by_fingerprint.setdefault((finding.path, finding.fingerprint), [])
        duplicate = next((index for index in indexes if _overlap(finding, kept[index])), None)
        if duplicate is not None and len(kept[duplicate].body) + len(finding.body) <= _MAX_BODY:
            kept[duplicate] = _append(kept[duplicate], finding)
            titles[title] = duplicate
            continue
        indexes.append(len(kept))
        titles[title] = len(kept)
        kept.append(finding)
    kept.sort(key=reading_order)
    return tuple(kept), len(all_findings) - len(kept)


def split_by_confidence(
    findings: Iterable[Finding], config: Config
) -> tuple[tuple[Finding, ...], tuple[SuppressedFinding, ...]]:
    """Returns the findings that may get a comment, and those that are below `min-confidence`."""
    kept: list[Finding] = []
    unsure: list[SuppressedFinding] = []
    for finding in findings:
        least = config.min_confidence_of(finding.prompt)
        if finding.confidence is None or finding.confidence >= least:
            kept.append(finding)
        else:
            reason = f"Below `min-confidence` ({as_percent(least)})"
            unsure.append(SuppressedFinding(finding, reason, Suppression.LOW_CONFIDENCE))
    return tuple(kept), tuple(unsure)


def _append(finding: Finding, other: Finding) -> Finding:
    body = f"{finding.body}\n\n**Also:** {other.title}\n\n{other.body}"
    if other.suggestion is not None and other.suggestion != finding.suggestion:
        body += f"\n\n{fence(other.suggestion)}"
    return replace(finding, body=body, confidence=joint_confidence((finding, other)))


def _title_key(finding: Finding) -> tuple[str, range | None, str, str]:
    anchor = finding.anchor
    title = finding.title.casefold()
    # Titles without any letter or digit must not all have the same key.
    words = " ".join("".join(char if char.isalnum() else " " for char in title).split()) or title
    if anchor is None:
        return finding.path, None, "", words
    return finding.path, anchor.lines, anchor.side.value, words


def _overlap(finding: Finding, other: Finding) -> bool:
    if finding.anchor is None or other.anchor is None:
        return finding.anchor is other.anchor
    return finding.anchor.overlaps(other.anchor)


@dataclass(frozen=True)
class PublishSettings:
    """The settings of a publication, and the pull request and run that it belongs to."""

    repository: str
    number: int
    base: str
    """Name of the base branch."""
    server_url: str
    run: str
    gates: Gates
    max_comments: int
    strict: bool = False
    """A finding that verification did not confirm gets no comment of its own."""
    dry_run: bool = False
    own_review: bool = True
    """This run made the review. One reported by another job never approves, and its hunks are reviewed again."""
    summary: bool = True
    """There is a job summary; it contains the findings that could not be posted."""
    report: bool = True
    """The JSON report could be written; it contains them too."""
    for_agents: bool = False
    """Findings have a prompt for a coding agent."""
    automatic: bool = True
    """Nobody asked for this run: it posts nothing if the pull request is paused."""


@dataclass(frozen=True)
class PublishPlan:
    """A run's review, and the conversation that it is posted to."""

    settings: PublishSettings
    run_review: Review
    """The review of this run, before it is reconciled with earlier findings."""
    conversation: Conversation | None
    """None if it could not be read: then no earlier findings are known."""
    text_at_head: Callable[[str], str | None]

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The findings that are new, still open from earlier runs, fixed or dismissed."""
        unsure = {_without_place(entry.finding) for entry in self.run_review.low_confidence}
        new = (finding for finding in self._reconciled.post if _without_place(finding) not in unsure)
        return replace(self._reconciled, post=tuple(new))

    @cached_property
    def _reconciled(self) -> Reconciliation:
        """The same, and those below `min-confidence` are new too: one that was raised before stays open by them."""
        found = (*self.run_review.findings, *(entry.finding for entry in self.run_review.low_confidence))
        if self.conversation is None:
            return Reconciliation(post=found)
        # A file skipped on purpose was not reviewed either: whether a finding in it is fixed is unknown.
        unread = {file.path for file in self.run_review.coverage.files if _is_unread(file)}
        return reconcile(
            found,
            raised_before(self.remembered, self.conversation),
            self.conversation,
            self.run_review.files,
            reviewed=lambda path: path not in unread,
            text_at_head=self.text_at_head,
            recheck=self._recheck,
        )

    def _recheck(self, key: str) -> Recheck | None:
        """Returns whether an earlier finding still applies; another job's report cannot close one whose code exists."""
        if not self.settings.own_review:
            return Recheck(RecheckState.UNDECIDED)
        return self.run_review.rechecks.get(key)

    @cached_property
    def remembered(self) -> HiddenState | None:
        """The hidden state in the summary comment; None if there is none."""
        comments = self.conversation.comments if self.conversation else ()
        return latest_state(comments, repository=self.settings.repository, number=self.settings.number)

    @cached_property
    def review(self) -> Review:
        """The review with all open findings: gates and counts use these, not the new ones alone."""
        new = set(map(_without_place, self._reconciled.post))
        open_findings = [*self.reconciliation.post, *(kept.finding for kept in self.reconciliation.kept)]
        return replace(
            self.run_review,
            findings=tuple(sorted(open_findings, key=reading_order)),
            suppressed=tuple(
                entry
                for entry in self.run_review.suppressed
                if entry.kind is not Suppression.LOW_CONFIDENCE or _without_place(entry.finding) in new
            ),
            dropped=self.run_review.dropped + self.reconciliation.repeated,
        )

    def unposted(self, posted: PostResult) -> tuple[Finding, ...]:
        """Returns the new findings that are not in the review, the most severe first."""
        return unposted(self.reconciliation.post, posted.where)

    def view(self, posted: PostResult, annotated: int = 0) -> PublishedReview:
        """Returns the data of all published texts. `annotated`: how many of `unposted` are annotations."""
        settings, findings = self.settings, self._published_findings(posted, annotated)
        fallbacks = count_fallbacks(
            findings,
            report=settings.report,
            unposted=posted.fault is not None,
            to_post=not settings.dry_run,
        )
        return PublishedReview(
            review=self.review,
            verdict=conclude(self.review, settings.gates, fallbacks),
            findings=findings,
            posted=posted,
            fixed=self.reconciliation.fixed,
            dismissed=self.reconciliation.dismissed,
            repository=settings.repository,
            number=settings.number,
            server_url=settings.server_url,
            run=settings.run,
            for_agents=settings.for_agents,
        )

    def _published_findings(self, posted: PostResult, annotated: int) -> tuple[PublishedFinding, ...]:
        new = destinations(self.reconciliation.post, posted.where, annotated, summary=self.settings.summary)
        published = [PublishedFinding(finding, destination) for finding, destination in new.items()]
        published += [
            PublishedFinding(kept.finding, kept.raised.where, kept.raised, kept.thread)
            for kept in self.reconciliation.kept
        ]
        return tuple(sorted(published, key=lambda one: reading_order(one.finding)))

    def event_to_post(self, event: ReviewEvent) -> ReviewEvent:
        """Returns the event to post: changes are not requested a second time because of the same findings."""
        if event is not ReviewEvent.REQUEST_CHANGES or self.conversation is None:
            return event
        new_reason = reached(self.reconciliation.post, self.settings.gates.request_changes_on)
        return (
            event
            if new_reason or not still_requests_changes(self.conversation.reviews)
            else ReviewEvent.COMMENT
        )

    def needs_review(self, event: ReviewEvent) -> bool:
        """Returns whether to post a review: for new findings, or for an event that no review of ours has yet."""
        conversation = self.conversation
        if self.reconciliation.post:
            return True
        if event is ReviewEvent.COMMENT or conversation is None or conversation.viewer == conversation.author:
            return False
        if any(review.commit_sha == self.run_review.head_sha for review in conversation.reviews):
            return False
        return event is ReviewEvent.APPROVE or not still_requests_changes(conversation.reviews)

    def _reviewed_hunks(self, view: PublishedReview) -> frozenset[str]:
        """Returns the hunks that the next run may skip: none in files with a finding that could not be posted there.

        Where an approval is possible, none in files with a suppressed finding: a later run that has forgotten it would
        approve.
        """
        unposted = {one.finding.path for one in view.findings if not _is_on_pull_request(one.destination)}
        if self.settings.gates.approve:
            # What a merged finding says is posted with another one.
            suppressed = [one for one in self.run_review.suppressed if one.kind is not Suppression.MERGED]
            unposted |= {one.finding.path for one in suppressed}
        keys = {
            key
            for file in self.run_review.files
            if file.path in unposted
            for key in (file_key(file), *hunk_keys(file))
        }
        return self.run_review.hunks - keys

    def _posted_findings(self, view: PublishedReview) -> tuple[PreviousFinding, ...]:
        """Returns the findings on the pull request; the next run is to find and post the others again."""
        in_diff = {file.path for file in self.run_review.files}
        where = {published.finding: published.destination for published in view.findings}
        records = (
            record for record in self.reconciliation.remembered(where) if _is_on_pull_request(record.where)
        )
        return tuple(record if record.path in in_diff else self._pin(record) for record in records)

    def _pin(self, record: PreviousFinding) -> PreviousFinding:
        """Adds the file's digest to a finding on a file outside the diff: it stays open until that file changes."""
        if record.line is not None:
            return record
        text = self.text_at_head(record.path)
        return replace(record, code=code_key(text) if text else "")

    def state(self, view: PublishedReview) -> HiddenState:
        """Returns the hidden state for the next run."""
        run_review, settings, conversation = self.run_review, self.settings, self.conversation
        rewrites = conversation.rewrites if conversation else None
        hunks_are_valid = settings.own_review and rewrites is not None
        before = self.remembered.reviewed_shas if self.remembered else ()
        shas = [sha for sha in before if sha != run_review.head_sha]
        return HiddenState(
            repository=settings.repository,
            number=settings.number,
            head_sha=run_review.head_sha,
            reviewed_shas=(*shas, run_review.head_sha)[-MOST_SHAS:],
            base=settings.base,
            rewrites=rewrites or 0,
            settings=run_review.settings,
            hunks=self._reviewed_hunks(view) if hunks_are_valid else frozenset(),
            findings=self._posted_findings(view),
            conclusion=view.verdict.conclusion.value,
            summary=truncate_summary(run_review.summary, run_review.walkthrough)
            if settings.own_review
            else NO_SUMMARY,
            paused=self.remembered.paused if self.remembered else None,
        )


def _without_place(finding: Finding) -> Finding:
    """Returns the finding without its lines, which `reconcile` may move to the other side."""
    return replace(finding, anchor=None)


def _is_on_pull_request(level: Destination) -> bool:
    return level in (Destination.INLINE, Destination.FILE, Destination.BODY)


def _is_unread(file: FileCoverage) -> bool:
    return file.reason not in (None, SkipReason.NO_CHANGED_LINES)

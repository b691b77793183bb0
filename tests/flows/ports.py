"""Where a publication goes, in memory: what was told to GitHub, in order, and what GitHub refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import CheckRun, Comment, Conversation, Thread
from hunkwise.domain.review import (
    CheckOutput,
    Conclusion,
    Coverage,
    Destination,
    FileCoverage,
    PostResult,
    Review,
    ReviewFault,
    Usage,
)
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.flows.check_run import CheckRunProgress
from hunkwise.flows.publication import GitHubPorts, Publication, PublishedFindings
from hunkwise.flows.publish_plan import PublishSettings
from hunkwise.publish.annotations import Annotation
from hunkwise.publish.conclusion import Gates, PublishedReview
from hunkwise.publish.placement import ReviewDraft
from hunkwise.tracking.markers import finding_marker
from tests.tracking.pushes import HEAD, changed, fault, said

RUN = "42.abc"
AWAY = GitHubError(GitHubErrorKind.UNAVAILABLE, "GitHub is away.", "Wait.")
FORBIDDEN = GitHubError(GitHubErrorKind.FORBIDDEN, "The token may not write.", "Give it more.")
QUERY = "query = 'select ' + name"
FILE = changed("a.py", " import db", f"+{QUERY}", "+db.run(query)", " end")
MENDED = changed("a.py", " import db", "+query = 'select ?'", "+db.run(query, name)", " end")
MENDED_TEXT = "import db\nquery = 'select ?'\ndb.run(query, name)\nend\n"
FOUND = fault(FILE, 2, "SQL is built from strings")
SECOND = fault(FILE, 3, "The connection is never closed", category="leak")
TERMS = PublishSettings("o/r", 7, "main", "https://github.com", RUN, Gates(), 30)
TALK = said()


def whole_review(
    *findings: Finding, files: Sequence[FileDiff] = (FILE,), questions: int = 1, **more: Any
) -> Review:
    """A review that looked at everything."""
    coverage = Coverage(tuple(FileCoverage(file.path, 2, 2) for file in files))
    made = Review(HEAD, findings, coverage, Usage(), files=tuple(files), questions=questions, settings="d1")
    return replace(made, **more)


def mine(check_id: int, run: str = RUN, status: str = "in_progress") -> CheckRun:
    """A check run of hunkwise's."""
    return CheckRun(check_id, status, external_id=f"hunkwise:{run}")


@dataclass
class Refusals:
    """What GitHub refuses, by the name of the method; everything else works."""

    errors: dict[str, GitHubError] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """Every write that GitHub took."""

    def write(self, name: str, what: str = "") -> None:
        if name in self.errors:
            raise self.errors[name]
        self.told.append(f"{name} {what}".rstrip())


@dataclass
class FakeReviews:
    """Posts a review as GitHub would; `fault` and what is `declined` leave findings over."""

    to: Refusals
    fault: ReviewFault | None = None
    stale: str | None = None
    declined: frozenset[Finding] = frozenset()
    rendered: list[ReviewDraft] = field(default_factory=list)

    def publish(self, rendered: ReviewDraft) -> PostResult:
        self.rendered.append(rendered)
        if self.fault is not None:
            return PostResult(fault=self.fault)
        if self.stale is not None:
            return PostResult(stale=self.stale)
        placed = rendered.placement
        rungs = {
            Destination.INLINE: placed.inline,
            Destination.FILE: placed.on_file,
            Destination.BODY: placed.in_body,
        }
        where = {one: rung for rung, some in rungs.items() for one in some if one not in self.declined}
        self.to.write("review", f"{rendered.event} {len(where)}")
        return PostResult("https://github.com/o/r/pull/7#pullrequestreview-1", where)

    def dismiss(self, review_id: int, message: str) -> None:
        self.to.write("dismiss", f"{review_id}")

    def delete_pending(self, review_id: int) -> None:
        self.to.write("delete_pending", f"{review_id}")


@dataclass
class FakeThreads:
    """Closes threads."""

    to: Refusals
    notes: tuple[str, ...] = ()
    posted: Mapping[str, str] = field(default_factory=dict)
    """URLs of comments by their last lines."""
    logins: list[str] = field(default_factory=list)
    """Whose comments were asked for."""

    def close(
        self, threads: Sequence[Thread], head_sha: str, *, answer: bool, evidence: Mapping[Thread, str]
    ) -> tuple[str, ...]:
        for thread in threads:
            self.to.write("close", thread.id if answer else f"{thread.id} unanswered")
        return self.notes

    def urls(self, login: str) -> Mapping[str, str]:
        self.logins.append(login)
        return self.posted


@dataclass
class FakeComments:
    """Comments in the conversation, by id."""

    to: Refusals
    bodies: dict[int, str] = field(default_factory=dict)

    def save(self, body: str, comment_id: int | None) -> Comment:
        known = max(self.bodies, default=900) + 1 if comment_id is None else comment_id
        self.to.write("save", f"{known}")
        self.bodies[known] = body
        return Comment(known, body, f"https://github.com/o/r/pull/7#issuecomment-{known}")

    def delete(self, comment_id: int) -> None:
        self.to.write("delete", f"{comment_id}")
        self.bodies.pop(comment_id, None)


@dataclass
class FakeChecks:
    """Check runs; the first has the id 100. `takes`: so many annotations are taken."""

    to: Refusals
    takes: int = 1_000
    annotations: tuple[Annotation, ...] = ()
    lines: SimpleQueue[str] = field(default_factory=SimpleQueue)
    """Of progress, as they come."""
    hold: Callable[[], object] = lambda: None
    """Is called while a line of progress is on its way."""

    def start(self, head_sha: str, external_id: str, output: CheckOutput, details_url: str) -> int:
        assert (external_id, details_url) == (f"hunkwise:{RUN}", "https://github.com/o/r/actions/runs/42")
        self.to.write("check", output.title)
        return 100

    def progress(self, check_id: int, output: CheckOutput) -> None:
        self.lines.put(output.summary)
        self.hold()
        self.to.write("progress", output.summary)

    def annotate(self, check_id: int, output: CheckOutput, annotations: Sequence[Annotation]) -> int:
        self.to.write("annotate", f"{check_id}")
        self.annotations = tuple(annotations)
        return min(self.takes, len(annotations))

    def complete(self, check_id: int, conclusion: Conclusion, output: CheckOutput) -> None:
        self.to.write("conclude", f"{check_id} {conclusion}")


@dataclass(frozen=True)
class FakeHead:
    """The head's files, by path."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def text(self, path: str) -> str | None:
        return self.files[path].decode() if path in self.files else None


class World:
    """A conversation, and everything around one publication."""

    def __init__(
        self,
        talk: Conversation | None = TALK,
        terms: PublishSettings = TERMS,
        *,
        errors: Mapping[str, GitHubError] | None = None,
    ) -> None:
        """`errors`: what GitHub refuses, by the name of the method."""
        self.before = talk
        self.talks: list[Conversation | GitHubError] = []
        """How the conversation looks each time that it is read again; then as it was at the beginning."""
        self.terms = terms
        self.to = Refusals(dict(errors or {}))
        self.reviews = FakeReviews(self.to)
        self.threads = FakeThreads(self.to)
        self.comments = FakeComments(self.to)
        self.checks = FakeChecks(self.to)
        self.files: dict[str, bytes] = {}
        self.upload: Callable[[PublishedReview], None] | None = None
        self.slept: list[float] = []
        self.seconds = 0.0

    @property
    def told(self) -> list[str]:
        return self.to.told

    def announcement(self) -> CheckRunProgress:
        return CheckRunProgress(
            self.checks,
            run=RUN,
            details_url="https://github.com/o/r/actions/runs/42",
            clock=lambda: self.seconds,
        )

    def publish(self, found: Review, *, begun: bool = True) -> PublishedFindings:
        """One run's publication, to its end."""
        announcement = self.announcement()
        outlets = GitHubPorts(
            self._again, self.reviews, self.threads, self.comments, announcement, upload=self.upload
        )
        try:
            if begun:
                announcement.begin(HEAD)
            head = FakeHead(self.files)
            made = Publication(self.terms, outlets, self.before, head, sleep=self.slept.append)
            return made.publish(found)
        finally:
            announcement.close()

    def after(self, published: PublishedFindings, *threads: Thread, **changes: Any) -> Conversation:
        """The conversation as the next run finds it, when that run had posted these threads."""
        comments = tuple(Comment(number, body, f"C{number}") for number, body in self.comments.bodies.items())
        return said(*threads, comments=comments, **{"rewrites": 0, **changes})

    def _again(self) -> Conversation:
        now = self.talks.pop(0) if self.talks else self.before or TALK
        if isinstance(now, GitHubError):
            raise now
        return now


def in_body(finding: Finding) -> str:
    """A review's text that carries the finding."""
    return f"{finding.title}\n\n{finding_marker(finding, Destination.BODY)}"

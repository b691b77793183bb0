"""What holds whatever was found, raised, changed and said."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import Conversation, Reply, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import HiddenState, make_record
from hunkwise.tracking.previous import raised_before
from hunkwise.tracking.reconcile import Reconciliation, shown_threads
from tests.tracking.pushes import FIXED, changed, fault, review, run, said, state, thread

LINES = ["except:", "password = 'secret'", "eval(text)", "return value", "}", ""]
TITLES = ["SQL is built from strings", "The password is in the code", "Nothing is checked here"]
PATHS = ["a.py", "b.py"]


@st.composite
def diffs(draw: st.DrawFn) -> tuple[FileDiff, ...]:
    files = []
    for path in draw(st.lists(st.sampled_from(PATHS), unique=True)):
        rows = draw(
            st.lists(st.builds(str.__add__, st.sampled_from("+- "), st.sampled_from(LINES)), min_size=1)
        )
        other = next(name for name in PATHS if name != path)
        status = draw(st.sampled_from([FileStatus.MODIFIED, FileStatus.ADDED, FileStatus.RENAMED]))
        old_path = other if status is FileStatus.RENAMED else None
        files.append(changed(path, *rows, at=draw(st.integers(1, 30)), status=status, old_path=old_path))
    return tuple(files)


@st.composite
def findings(draw: st.DrawFn, files: tuple[FileDiff, ...]) -> tuple[Finding, ...]:
    made: dict[tuple[object, str], Finding] = {}
    for file in draw(st.lists(st.sampled_from(files), max_size=6)) if files else []:
        rows = [(side, line) for side, lines in file.lines_by_side.items() for line in lines]
        side, line = draw(st.sampled_from(rows))
        title, category = draw(st.sampled_from(TITLES)), draw(st.sampled_from(["bug", "security", ""]))
        about = draw(st.integers(0, 5)) == 0
        finding = fault(file, None if about else line, title, side=side, category=category)
        made.setdefault((finding.anchor or finding.path, title), finding)
    return tuple(made.values())


@dataclass(frozen=True)
class Story:
    """A pull request, what is known of it, and what a run finds in it now."""

    files: tuple[FileDiff, ...]
    talk: Conversation
    before: HiddenState
    found: tuple[Finding, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Earlier findings are in threads, in a review's body, or in a comment that somebody deleted."""
    earlier, files = draw(diffs()), draw(diffs())
    known, found = draw(findings(earlier)), draw(findings(files))
    threads, in_body, records = [], [], []
    for number, finding in enumerate(known, 1):
        one = thread(finding, number, resolved=draw(st.booleans()), outdated=draw(st.booleans()))
        by = draw(st.sampled_from(["us", "maintainer", "stranger"]))
        thumbs = draw(st.sampled_from([(), ("maintainer",), ("nobody",)]))
        replies: tuple[Reply, ...] = draw(st.sampled_from([(), (FIXED,)]))
        one = replace(one, resolved_by=by if one.resolved else "", thumbs_down=thumbs, replies=replies)
        where = draw(st.sampled_from(["thread", "thread", "thread", "body", "deleted"]))
        threads += [one] if where == "thread" else []
        in_body += [finding] if where == "body" else []
        commented = Destination.INLINE if finding.anchor else Destination.FILE
        records.append(make_record(finding, Destination.BODY if where == "body" else commented))
    reviews = (review(1, *in_body),) if in_body else ()
    return Story(files, said(*threads, reviews=reviews), state(*records), found)


def later(talk: Conversation, story: Reconciliation) -> Conversation:
    """What was said when the story had been published."""
    closed = {
        one: replace(one, resolved=True, resolved_by="us", replies=(*one.replies, FIXED))
        for one in story.fixed
    }
    posted = [thread(finding, 100 + number) for number, finding in enumerate(story.post)]
    return replace(talk, threads=(*(closed.get(one, one) for one in talk.threads), *posted))


@settings(max_examples=150, deadline=None)
@given(stories(), st.booleans(), st.booleans(), st.booleans())
def test_nothing_is_lost_and_nothing_repeated(
    made: Story, remembered: bool, readable: bool, looked: bool
) -> None:
    files, talk, found = made.files, made.talk, made.found
    texts = {path: "\n".join(LINES) for path in PATHS} if readable else {}
    unreviewed = () if looked else tuple(PATHS)
    before = made.before if remembered else None
    story = run(talk, *files, found=found, before=before, texts=texts, unreviewed=unreviewed)

    again = [kept.finding for kept in story.kept if kept.finding.body == "In full."]
    assert len(story.post) + len(again) + story.repeated == len(found)
    fingerprints = iter([finding.fingerprint for finding in found])
    assert all(finding.fingerprint in fingerprints for finding in story.post)  # in the given order
    closable: list[Thread] = [one for one in talk.threads if one.ours and not one.resolved]
    assert all(one in closable for one in story.fixed)
    assert not {kept.thread for kept in story.kept if kept.thread} & set(story.fixed)
    entries = raised_before(before, talk)
    assert len(story.kept) + len(story.dismissed) + len(story.fixed) <= len(entries)
    if not (readable or looked):
        assert not [one for one in story.fixed if any(file.path == one.path for file in files)]

    where = {one: Destination.INLINE if one.anchor else Destination.FILE for one in story.post}
    second_talk = later(talk, story)
    second_state = state(*story.remembered(where))
    second = run(second_talk, *files, found=found, before=second_state, texts=texts, unreviewed=unreviewed)
    assert (second.post, second.fixed) == ((), ())
    third = run(second_talk, *files, before=state(*second.remembered({})), texts=texts, unreviewed=unreviewed)
    assert [kept.raised for kept in third.kept] == [kept.raised for kept in second.kept]
    assert (third.post, third.fixed) == ((), ())
    assert len(shown_threads(second_talk, files)) <= len(second_talk.threads)

"""Checks what a push changes on a pull request: its head, its diff, and the lines of its threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github_state import Thread
from tests.fakes_contract.conftest import Origin, ServeCommits, Served
from tests.fakes_contract.conversation import read
from tests.fakes_contract.test_github_writing import comment

BASE = [f"line {number}" for number in range(1, 41)]
HEAD = [*BASE[:2], "third", "added", *BASE[3:19], *BASE[20:]]
"""Line 3 changed, one added after it, line 20 removed."""


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Pushed:
    """A pull request whose file is app.py, and its repository for further commits."""

    served: Served
    repository: GitRepository

    @property
    def fake(self) -> FakeGitHub:
        return self.served.fake

    def comment(self, line: int, side: str = "RIGHT", start: int | None = None) -> Thread:
        place = comment(path="app.py", line=line, side=side, start_line=start, start_side=start and side)
        self.served.pull.create_review(body="x", event="COMMENT", comments=[place])
        return self.fake.threads[-1]

    def push(self, files: dict[str, str | bytes | None]) -> str:
        return self.fake.push(1, self.repository.commit(files))


@pytest.fixture
def pushed(serve_commits: ServeCommits, tmp_path: Path) -> Pushed:
    repository = GitRepository.create(tmp_path / "pushed")
    repository.commit({"app.py": text(BASE), "other.py": "x\n"})
    base = repository.git("rev-parse", "main")
    repository.branch("feature")
    head = repository.commit({"app.py": text(HEAD)})
    served = serve_commits(repository, "main", "feature")
    return Pushed(replace(served, origin=Origin(repository, base, head)), repository)


def test_push_moves_head(pushed: Pushed) -> None:
    sha = pushed.push({"new.py": "new\n"})
    assert pushed.served.pull.head.sha == read(pushed.served)["headRefOid"] == sha
    assert {file.filename for file in pushed.served.pull.get_files()} == {"app.py", "new.py"}
    assert pushed.fake.hub.pulls[1].timeline == []


@pytest.mark.parametrize(
    ("after", "line", "start", "place"),
    [
        (["new", *HEAD], 4, None, (None, 5)),
        ([*HEAD[:2], *HEAD[3:]], 4, None, (None, 3)),
        ([*HEAD[:3], "changed", *HEAD[4:]], 4, None, None),
        ([*HEAD[:3], *HEAD[4:]], 4, None, None),
        ([*HEAD[:4], "behind", *HEAD[4:]], 4, None, (None, 4)),
        ([*HEAD[:3], "before", *HEAD[3:]], 4, None, (None, 5)),
        (["new", "new", *HEAD], 4, 3, (5, 6)),
        ([*HEAD[:3], "between", *HEAD[3:]], 4, 3, None),
        ([*HEAD[:2], "changed", *HEAD[3:]], 4, 3, None),
        (BASE, 4, None, None),
        (BASE, 2, None, None),
    ],
)
def test_line_moves_until_it_is_changed(
    pushed: Pushed, after: list[str], line: int, start: int | None, place: tuple[int | None, int] | None
) -> None:
    thread = pushed.comment(line, start=start)
    pushed.push({"app.py": text(after), "other.py": "y\n"})
    (node,) = read(pushed.served)["reviewThreads"]["nodes"]
    assert (node["isOutdated"], node["line"]) == (place is None, place[1] if place else None)
    assert (thread.start_line, thread.line) == (place or (None, None))
    assert thread.comments[0].line == line
    (listed,) = pushed.served.ask("GET", "/pulls/1/comments")[1]
    assert (listed["line"], listed["original_line"]) == (thread.line, line)


@pytest.mark.parametrize(
    ("after", "line", "place"),
    [
        (["new", *HEAD], 20, 20),
        (["new", *HEAD], 19, 19),
        ([*HEAD[:19], "changed", *HEAD[20:]], 20, 20),
        ([*HEAD[:20], *BASE[19:]], 20, None),
        (BASE, 3, None),
    ],
)
def test_left_line_stays_while_it_is_removed(
    pushed: Pushed, after: list[str], line: int, place: int | None
) -> None:
    thread = pushed.comment(line, side="LEFT")
    pushed.push({"app.py": text(after), "other.py": "y\n"})
    assert (thread.outdated, thread.line) == (place is None, place)


def test_left_line_moves_with_base(pushed: Pushed) -> None:
    thread = pushed.comment(20, side="LEFT")
    pushed.repository.git("checkout", "-q", "main")
    pushed.fake.push_base(1, pushed.repository.commit({"app.py": text(["top", *BASE])}))
    assert thread.line == 20  # the merge base is where it was
    pushed.repository.git("checkout", "-q", "feature")
    pushed.repository.git("merge", "-q", "-m", "Merge", "main")
    pushed.fake.push(1, "feature")
    assert thread.line == 21
    assert pushed.fake.hub.pulls[1].timeline == []


def test_range_across_sides_moves_at_both_ends(pushed: Pushed) -> None:
    across = comment(path="app.py", start_line=3, start_side="LEFT", line=4)
    pushed.served.pull.create_review(body="x", event="COMMENT", comments=[across])
    (thread,) = pushed.fake.threads
    pushed.push({"app.py": text(["new", *HEAD])})
    assert (thread.start_line, thread.line) == (3, 5)


@pytest.mark.parametrize(
    "gone", [{"app.py": None, "moved.py": text(HEAD)}, {"app.py": text(BASE), "other.py": "y\n"}]
)
def test_renamed_or_unchanged_file_outdates_threads(
    pushed: Pushed, gone: dict[str, str | bytes | None]
) -> None:
    on_line = pushed.comment(4)
    head = pushed.served.repo.get_commit(pushed.served.origin.head)
    pushed.served.pull.create_review_comment("File.", head, "app.py", subject_type="file")
    on_file = pushed.fake.threads[-1]
    pushed.push(gone)
    assert (on_line.outdated, on_line.line, on_file.outdated) == (True, None, True)


def test_thread_on_file_stays(pushed: Pushed) -> None:
    head = pushed.served.repo.get_commit(pushed.served.origin.head)
    pushed.served.pull.create_review_comment("File.", head, "app.py", subject_type="file")
    pushed.push({"app.py": text(["new", *HEAD])})
    assert (pushed.fake.threads[0].outdated, pushed.fake.threads[0].line) == (False, None)


def test_force_push_is_in_timeline(pushed: Pushed) -> None:
    thread = pushed.comment(4)
    old = pushed.served.origin.head
    pushed.repository.git("checkout", "-q", "-B", "feature", "main")
    pushed.push({"app.py": text([*HEAD[:3], "other", *HEAD[4:]])})
    assert (thread.outdated, thread.line) == (True, None)
    pushed.fake.push(1, old)
    assert (thread.outdated, thread.line) == (False, 4)
    pushed.fake.retarget(1, "main")
    timeline = read(pushed.served)["timelineItems"]
    assert timeline == {"totalCount": 3, "nodes": [{"__typename": "HeadRefForcePushedEvent"}]}
    assert pushed.fake.hub.pulls[1].timeline[-1] == "BASE_REF_CHANGED_EVENT"


def test_other_base_changes_diff(pushed: Pushed) -> None:
    thread = pushed.comment(4)
    pushed.repository.git("branch", "release", "feature")
    assert pushed.fake.retarget(1, "release") == pushed.served.origin.head
    whole = read(pushed.served)
    assert (whole["baseRefName"], whole["baseRefOid"]) == ("release", pushed.served.origin.head)
    assert list(pushed.served.pull.get_files()) == []
    assert thread.outdated


def test_force_push_of_base_is_in_timeline(pushed: Pushed) -> None:
    pushed.repository.git("checkout", "-q", "main")
    pushed.fake.push_base(1, pushed.repository.commit({"other.py": "y\n"}))
    assert pushed.fake.hub.pulls[1].timeline == []
    pushed.repository.git("reset", "-q", "--hard", pushed.served.origin.base)
    sha = pushed.fake.push_base(1, pushed.repository.commit({"other.py": "z\n"}))
    assert pushed.served.pull.base.sha == sha
    assert pushed.fake.hub.pulls[1].timeline == ["BASE_REF_FORCE_PUSHED_EVENT"]


def test_comment_on_earlier_commit_moves_to_head(pushed: Pushed) -> None:
    earlier = pushed.served.repo.get_commit(pushed.served.origin.head)
    pushed.push({"app.py": text(["new", *HEAD[:3], "changed", *HEAD[4:]])})
    pull = pushed.served.pull
    moved = pull.create_review_comment("Moved.", earlier, "app.py", line=3)
    gone = pull.create_review_comment("Gone.", earlier, "app.py", line=4)
    assert (moved.line, gone.raw_data["line"]) == (4, None)
    assert [thread.outdated for thread in pushed.fake.threads] == [False, True]
    reply = pull.create_review_comment_reply(gone.id, "Still.")
    assert reply.raw_data["line"] is None
    gone.edit("Edited.")
    assert pull.get_review_comment(gone.id).raw_data["line"] is None


@pytest.mark.parametrize(("merged", "state"), [(False, "CLOSED"), (True, "MERGED")])
def test_closes_and_reopens_pull_request(pushed: Pushed, merged: bool, state: str) -> None:
    pushed.fake.close(1, merged=merged)
    assert (pushed.served.pull.state, pushed.served.pull.merged) == ("closed", merged)
    assert read(pushed.served)["state"] == state
    if not merged:
        pushed.fake.reopen(1)
        assert read(pushed.served)["state"] == "OPEN"

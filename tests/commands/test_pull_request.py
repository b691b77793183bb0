"""Files at the head, by which threads are judged: what cannot be read is not taken for what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.commands.pull_request import HeadContents, is_automatic
from hunkwise.errors import OversizeError
from hunkwise.repository.git import Git
from hunkwise.repository.trees import MAX_FILE, GitTree
from hunkwise.settings.github_context import PublishTask, ReviewTask
from tests.fakes.git_repository import GitRepository


@pytest.fixture
def head(tmp_path: Path) -> GitTree:
    repository = GitRepository.create(tmp_path / "repository")
    sha = repository.commit(
        {"small.py": "a = 1\n", "large.py": "a" * (MAX_FILE + 1), "most.py": "a" * MAX_FILE}
    )
    return GitTree(Git(repository.path), sha)


def test_a_file_that_is_too_large_is_neither_empty_nor_gone(head: GitTree) -> None:
    files = HeadContents(head)
    assert files.text("small.py") == "a = 1\n"
    assert files.text("gone.py") == ""
    assert files.text("large.py") is None
    assert files.read("large.py") is None
    assert len(files.read("most.py") or b"") == MAX_FILE


def test_whoever_asks_for_it_is_told_how_much_is_read(head: GitTree) -> None:
    with pytest.raises(OversizeError, match=r"'large.py' has more than 2,000,000 bytes"):
        head.read("large.py")


HEAD = "a" * 40


@pytest.mark.parametrize(
    ("task", "automatic"),
    [
        *(
            (ReviewTask("o/r", 1, HEAD, HEAD, fork=False, action=action), True)
            for action in ("opened", "synchronize", "reopened", "ready_for_review", "edited")
        ),
        *(
            (ReviewTask("o/r", 1, None, None, fork=False, action=action), False)
            for action in ("workflow_dispatch", "local", "command")
        ),
        (PublishTask("o/r", HEAD, "f/r", 99, "success"), True),
        (PublishTask("o/r", HEAD, None, None, "", 1), True),
        (PublishTask("o/r", None, None, None, "", 1), False),
    ],
)
def test_only_events_of_a_pull_request_are_automatic(task: ReviewTask | PublishTask, automatic: bool) -> None:
    assert is_automatic(task) is automatic

"""The code at one commit as a model may read it: searches cannot take a run's time and memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git
from hunkwise.repository.trees import MAX_HITS, MOST_LOST_SEARCHES, GitTree
from tests.repository.trees import Trees

GREEDY = "((a{1,100}){1,100}){1,100}"
"""Needs more memory than a search gets, after some seconds."""


class Slow(Git):
    """A repository in which every search is in vain, and takes its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.searches = 0
        self.at_once = 0
        self.most_at_once = 0

    def grep(self, *_arguments: object, **_options: object) -> list[tuple[str, int, str]]:
        self.searches += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        threading.Event().wait(1.05)
        self.at_once -= 1
        raise RepositoryError("in vain")


def test_searches_that_come_to_nothing_are_few_and_one_after_another(tmp_path: Path) -> None:
    slow = Slow(tmp_path)
    head = GitTree(slow, "0" * 40)
    said: list[str] = []

    def search() -> None:
        with pytest.raises(RepositoryError) as raised:
            head.search(GREEDY, ())
        said.append(raised.value.message)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (slow.searches, slow.most_at_once) == (MOST_LOST_SEARCHES, 1)
    assert sorted(said) == ["Too many searches took too long."] * 3 + ["in vain"] * 3


def test_a_pattern_that_is_wrong_costs_no_later_search(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    head = GitTree(Git(tmp_path), trees.commit({b"a.txt": b"one\n" * 200}))
    for _ in range(MOST_LOST_SEARCHES + 1):
        with pytest.raises(RepositoryError):
            head.search("(", ())
    assert len(head.search("one", ()) or ()) == MAX_HITS

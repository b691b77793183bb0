"""Many files of a commit come in one request, where they are proved."""

from __future__ import annotations

import pytest

from hunkwise.errors import GitHubError
from hunkwise.github.blob_lookup import MAX_LOOKUP_FILES
from hunkwise.github.client import ApiTree
from tests.fakes.github import GraphqlRefusal
from tests.github.conftest import BASE_FILES, World


def test_files_come_in_one_request(world: World) -> None:
    head = ApiTree(world.client(), world.base)
    world.fake.journal.clear()
    known = head.read_many(["src/a.py", "gone.txt", "nothing", "../x", "logo.png", "src"])
    assert known == {
        "src/a.py": BASE_FILES["src/a.py"].encode(),
        "gone.txt": b"gone\n",
        "nothing": None,
        "src": ("a.py", "old name.py"),
    }
    assert [request.path for request in world.fake.journal] == ["/graphql"]


def test_more_files_than_a_query_takes_are_not_known(world: World) -> None:
    head = ApiTree(world.client(), world.base)
    known = head.read_many([f"nothing/{number}" for number in range(MAX_LOOKUP_FILES + 1)])
    assert list(known) == [f"nothing/{number}" for number in range(MAX_LOOKUP_FILES)]


def test_without_paths_nothing_is_asked(world: World) -> None:
    head = ApiTree(world.client(), world.base)
    world.fake.journal.clear()
    assert head.read_many(["../x"]) == {}
    assert world.fake.journal == []


def test_where_graphql_is_refused_nothing_is_known(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    with pytest.raises(GitHubError):
        ApiTree(world.client(), world.base).read_many(["src/a.py"])

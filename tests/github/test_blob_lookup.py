"""Many files of a commit come in one query, where they are proved, and are asked for singly where they are not."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hunkwise.domain.pull_request import Known
from hunkwise.errors import GitHubError
from hunkwise.github.client import MAX_LOOKUP_FILES, ApiTree, proven_entries
from hunkwise.github.responses import JsonValue, read_answer
from tests.fakes.github import GraphqlRefusal
from tests.github.conftest import BASE_FILES, World

SHA = "a" * 40
COMMIT = {"__typename": "Commit", "oid": SHA}
FORBIDDEN = {"type": "FORBIDDEN", "message": "Resource not accessible by integration"}


def blob(content: bytes, **other: Any) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"__typename": "Blob", "oid": oid, "text": content.decode(), **other}


def tree(*entries: Any) -> dict[str, Any]:
    return {"__typename": "Tree", "oid": SHA, "entries": list(entries)}


def known(repository: Any, *errors: Any) -> Known:
    """What is known of `a` and `b` after such an answer."""
    answer = {"data": {"repository": repository}, "errors": list(errors)}
    response = read_answer(JsonValue(answer, "POST /graphql"))
    return proven_entries(response, SHA, {"path0": "a", "path1": "b"})


def asked_of(world: World, *paths: str, token: str = "ghs_write") -> Known:
    return ApiTree(world.client(token), world.base).read_many(paths)


def test_files_folders_and_gaps_come_in_one_request(world: World) -> None:
    found = asked_of(
        world, "src/a.py", "gone.txt", "docs/ü/read me.md", "docs", ".github/hunkwise.yml", "empty.txt"
    )
    assert found == {
        "src/a.py": BASE_FILES["src/a.py"].encode(),
        "gone.txt": b"gone\n",
        "docs/ü/read me.md": b"hello\n",
        "docs": ("ü/",),
        ".github/hunkwise.yml": None,
        "empty.txt": None,
    }
    assert [request.path for request in world.fake.journal] == ["/graphql"]


def test_more_files_than_a_query_takes_are_not_known(world: World) -> None:
    known = asked_of(world, *(f"nothing/{number}" for number in range(MAX_LOOKUP_FILES + 1)))
    assert list(known) == [f"nothing/{number}" for number in range(MAX_LOOKUP_FILES)]


def test_without_paths_nothing_is_asked(world: World) -> None:
    assert asked_of(world, "../x") == {}
    assert world.fake.journal == []


def test_where_graphql_is_refused_nothing_is_known(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    with pytest.raises(GitHubError):
        asked_of(world, "src/a.py")


@pytest.mark.parametrize("path", ["link.py", "away", "big.txt", "logo.png", "", "../x", "src//a.py"])
def test_links_binaries_large_files_and_odd_paths_are_left_to_rest(world: World, path: str) -> None:
    assert asked_of(world, path) == {}


@pytest.mark.parametrize("path", ['"} viewer { login } x: object(oid: "', "a:b", "HEAD", "$path1", "\n"])
def test_a_path_is_a_variable_whatever_it_says(world: World, path: str) -> None:
    assert asked_of(world, path, "gone.txt") == {path: None, "gone.txt": b"gone\n"}
    (odd,) = world.fake.journal
    asked_of(world, "some", "gone.txt")
    assert odd.json["query"] == world.fake.journal[0].json["query"]
    assert odd.json["variables"]["path0"] == f"{world.base}:{path}"


def test_a_commit_that_graphql_does_not_see_proves_nothing(world: World) -> None:
    assert ApiTree(world.client(), "0" * 40).read_many(["AGENTS.md"]) == {}


def test_a_commit_that_is_no_sha_is_not_asked_for(world: World) -> None:
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        ApiTree(world.client(), "main").read_many(["AGENTS.md"])


def test_nothing_is_known_to_a_token_that_may_not_read_contents(world: World) -> None:
    world.fake.tokens["ghs_blind"] = frozenset({"none:contents"})
    assert asked_of(world, "AGENTS.md", "src", token="ghs_blind") == {}


def test_null_is_absence_only_where_the_commit_was_seen() -> None:
    absent = {"path0": None, "path1": None}
    assert known({"commit": COMMIT, **absent}) == {"a": None, "b": None}
    for unseen in (None, {}, {**COMMIT, "oid": "b" * 40}, {**COMMIT, "__typename": "Tag"}, "commit"):
        assert known({"commit": unseen, **absent}) == {}
    assert known(absent) == known(None) == known("nothing") == {}


def test_a_missing_word_is_no_absence() -> None:
    assert known({"commit": COMMIT, "path1": None}) == {"b": None}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (["repository", "path0"], {"b": None}),
        (["repository", "path0", "text"], {"b": None}),
        (["repository", "pullRequest", "commits"], {"a": None, "b": None}),
        (["repository"], {}),
        ([], {}),
    ],
)
def test_null_with_an_error_is_no_absence(path: list[str], left: Known) -> None:
    found = known({"commit": COMMIT, "path0": None, "path1": None}, {**FORBIDDEN, "path": path})
    assert found == left


def test_a_file_is_known_by_gits_own_hash() -> None:
    content = "version: 1\n# Café\r\n".encode()
    long = hashlib.sha256(b"blob %d\0" % len(content) + content).hexdigest()
    told = {"commit": COMMIT, "path0": blob(content), "path1": blob(content, oid=long)}
    assert known(told) == {"a": content, "b": content}


@pytest.mark.parametrize(
    "said",
    [
        blob(b"cut\nshort\n", text="cut\n"),
        blob(b"\xef\xbb\xbfmarked\n", text="marked\n"),
        blob(b"replaced\n", text="repl\ufffdced\n"),
        blob(b"half a pair\n", text="\ud800\n"),
        blob(b"unnamed\n", oid=None),
        blob(b"named oddly\n", oid="x" * 64),
        blob(b"../AGENTS.md"),
        blob(b"binary\n", text=None),
        blob(b"no text\n", text=7),
        blob(b"a commit\n", __typename="Commit"),
        {"__typename": "Commit", "oid": SHA},
        {"__typename": "Tree", "entries": None},
        {"__typename": "Tree", "entries": [None]},
        {"__typename": "Tag", "entries": []},
        tree({"name": None, "type": "blob"}),
        "text",
        [],
    ],
)
def test_what_is_not_proved_is_not_known(said: Any) -> None:
    assert known({"commit": COMMIT, "path0": said, "path1": None}) == {"b": None}


def test_a_folder_is_known_by_its_names() -> None:
    entries = [
        {"name": "a.md", "type": "blob"},
        {"name": "more", "type": "tree"},
        {"name": "m", "type": "commit"},
    ]
    assert known({"commit": COMMIT, "path0": tree(*entries)}) == {"a": ("a.md", "more/", "m")}

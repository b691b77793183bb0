"""The client, over HTTP, with a fake GitHub server over a real repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hunkwise.domain.diff import FileStatus, Side
from hunkwise.errors import GitHubError, GitHubErrorKind, OversizeError
from hunkwise.github.client import GitHub
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve
from tests.github.conftest import BASE_FILES, Clock, World, git


def test_pull_request_has_all_fields(world: World) -> None:
    pull = world.client().pull_request(1)
    assert (pull.repository, pull.number, pull.title, pull.body, pull.author) == (
        "octo/repo",
        1,
        "T",
        "",
        "octocat",
    )
    assert (pull.base, pull.base_sha, pull.head_sha) == ("main", world.base, world.head)
    assert (pull.labels, pull.draft, pull.state) == (("a", "b"), True, "open")
    assert (pull.changed_files, pull.additions, pull.deletions) == (5, 2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": 2}, "another pull request than 1"),
        ({"number": True}, "no number at `number`"),
        ({"base": {"repo": {"full_name": "../../user"}}}, "its repository has no name"),
        ({"base": {"repo": {"full_name": "../user"}}}, "its repository has no name"),
        ({"base": {"repo": {"full_name": "octo/.."}}}, "its repository has no name"),
        ({"head": {"sha": "../../user"}}, "no commit's SHA"),
        ({"base": {"sha": "main"}}, "no commit's SHA"),
    ],
)
def test_inconsistent_pull_request_is_an_error(world: World, changes: dict[str, Any], message: str) -> None:
    response = world.client().connection.get("/repos/octo/repo/pulls/1").value
    assert isinstance(response, dict)
    for name, change in changes.items():
        response[name] = {**response[name], **change} if isinstance(change, dict) else change
    response["base"]["repo"] = {"full_name": "octo/repo", **response["base"]["repo"]}
    world.fake.fault("GET", "/pulls/1$", status=200, body=response)
    with pytest.raises(GitHubError, match=message):
        world.client().pull_request(1)


def test_head_repository_is_empty_if_it_was_deleted(world: World) -> None:
    world.fake.add_pull_request(2, base_sha=world.base, head_sha=world.head, fork=True)
    world.fake.add_pull_request(3, base_sha=world.base, head_sha=world.head, head_repository_deleted=True)
    client = world.client()
    heads = [client.pull_request(number).head_repository for number in (1, 2, 3)]
    assert heads == ["octo/repo", "stranger/repo", ""]


def test_files_have_hunks_or_are_marked_as_missing_patch(world: World) -> None:
    client = world.client()
    files = {file.path: file for file in client.files(client.pull_request(1))}
    assert set(files) == {"src/a.py", "src/new.py", "gone.txt", "logo.png", "empty.txt"}
    changed = files["src/a.py"]
    assert (changed.additions, changed.deletions, changed.patch_missing) == (2, 1, False)
    assert changed.lines_by_side[Side.RIGHT][6].raw == b"line five and a half"
    renamed = files["src/new.py"]
    assert (renamed.status, renamed.old_path, renamed.patch_missing) == (
        FileStatus.RENAMED,
        "src/old name.py",
        False,
    )
    assert files["gone.txt"].status is FileStatus.REMOVED
    assert files["logo.png"].patch_missing
    assert files["empty.txt"].patch_missing


def test_omitted_patches_are_missing_and_make_renames_uncertain(world: World) -> None:
    world.fake.hub.total_patch_lines = 1
    client = world.client()
    files = {file.path: file for file in client.files(client.pull_request(1))}
    assert files["src/a.py"].patch_missing
    assert files["src/new.py"].patch_missing


def test_pages_of_files_are_read_concurrently(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-qm", "base", "--allow-empty")
    git(tmp_path, "checkout", "-qb", "feature")
    for number in range(450):
        (tmp_path / f"file{number:04}.txt").write_text(f"{number}\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "head")
    fake = FakeGitHub(tmp_path / ".git", check_contracts=False)
    fake.add_pull_request(1, base_sha="main", head_sha="feature")
    clock = Clock()
    with serve(fake) as url:
        client = GitHub("ghs_write", url, "octo/repo", deadline=clock.deadline, sleep=clock.sleep)
        pull = client.pull_request(1)
        names = [f"file{number:04}.txt" for number in range(450)]
        assert [file.path for file in client.files(pull)] == names
        assert sum("/files" in request.path for request in fake.journal) == 5
        # The number of files may have increased since GitHub counted them.
        few = pull.__class__(**{**{name: getattr(pull, name) for name in pull.__slots__}, "changed_files": 0})
        assert [file.path for file in client.files(few)] == names
        client.close()


@pytest.mark.parametrize("path", ["src/a.py", "docs/ü/read me.md", "src/old name.py"])
def test_file_is_read_at_the_commit(world: World, path: str) -> None:
    assert world.client().file(path, world.base) == BASE_FILES[path].encode()


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with the raw path of the request."""
    await Response(json.dumps({"message": scope["raw_path"].decode()}), 422)(scope, receive, send)


def test_unusual_names_are_sent_encoded() -> None:
    with serve(_echo) as url:
        client = GitHub("ghs_write", url, "octo/repo", deadline=Clock().deadline)
        with pytest.raises(GitHubError) as echoed:
            client.file("a/100%#?;&\udcff ü.py", "0" * 40)
        client.close()
    assert "contents/a/100%25%23%3F%3B%26%FF%20%C3%BC.py)" in echoed.value.message


def test_file_above_a_megabyte_is_read_as_a_blob(world: World) -> None:
    read = world.client().file("big.txt", world.base)
    assert read is not None
    assert len(read) == 1_120_000


@pytest.mark.parametrize(
    "path",
    ["missing.py", "src", "away", "../../user", "a/../../user", "/etc/passwd", "src//a.py", "./a", "src/"],
)
def test_path_that_is_not_a_file_is_none(world: World, path: str) -> None:
    assert world.client().file(path, world.base) is None
    assert all("/user" not in request.path for request in world.fake.journal)


def test_folders_are_listed(world: World) -> None:
    client = world.client()
    assert client.directory("src", world.base) == ("a.py", "old name.py")
    assert "src/" in (client.directory("", world.base) or ())
    assert client.directory("src/a.py", world.base) is None
    assert client.directory("nowhere", world.base) is None


def test_refused_read_is_an_error(world: World) -> None:
    world.fake.fault("GET", "/contents/", status=403)
    with pytest.raises(GitHubError) as refused:
        world.client().file("src/a.py", world.base)
    assert refused.value.kind is GitHubErrorKind.FORBIDDEN


def test_only_full_shas_are_requested(world: World) -> None:
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        world.client().file("src/a.py", "main")
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        world.client().merge_base("main", world.head)


def test_merge_base_is_requested_without_files(world: World) -> None:
    assert world.client().merge_base(world.base, world.head) == world.base
    assert world.fake.journal[-1].query["page"] == "2"


def test_path_of_the_server_url_is_used(world: World) -> None:
    client = world.client(url=f"{world.url}/api/v3/")
    assert client.pull_request(1).number == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_read_is_retried_after_a_server_error(world: World, status: int) -> None:
    world.fake.fault("GET", "/pulls/1", status=status, times=2)
    assert world.client().pull_request(1).number == 1


def test_read_is_retried_after_a_truncated_or_lost_response(world: World) -> None:
    world.fake.fault("GET", "/pulls/1", truncate=True)
    world.fake.fault("GET", "/pulls/1", disconnect=True)
    world.fake.fault("GET", "/pulls/1", status=200, html=True)
    assert world.client().pull_request(1).number == 1


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ({"status": 502, "times": 9}, GitHubErrorKind.UNAVAILABLE, "with 502"),
        ({"status": 200, "html": True, "times": 9}, GitHubErrorKind.UNAVAILABLE, "it is no JSON"),
        (
            {"status": 200, "body": "7", "times": 9},
            GitHubErrorKind.UNAVAILABLE,
            "neither an object nor a list",
        ),
        ({"status": 200, "body": {}, "times": 9}, GitHubErrorKind.UNAVAILABLE, "makes no sense"),
        ({"truncate": True, "times": 9}, GitHubErrorKind.UNAVAILABLE, "cut off"),
        ({"disconnect": True, "times": 9}, GitHubErrorKind.UNAVAILABLE, "no connection"),
        ({"redirect": "http://evil.example/x"}, GitHubErrorKind.UNAVAILABLE, "evil.example"),
        ({"status": 301, "redirect": "http://evil.example/x"}, GitHubErrorKind.UNAVAILABLE, "evil.example"),
    ],
)
def test_failed_read_is_an_error(
    world: World, fault: dict[str, object], kind: GitHubErrorKind, message: str
) -> None:
    world.fake.fault("GET", "/pulls/1", **fault)  # type: ignore[arg-type]  # keyword arguments from a table
    with pytest.raises(GitHubError, match=message) as failed:
        world.client().pull_request(1)
    assert failed.value.kind is kind
    assert failed.value.hint


@pytest.mark.parametrize(
    ("token", "repository", "number", "kind"),
    [
        ("ghs_wrong", "octo/repo", 1, GitHubErrorKind.AUTHENTICATION),
        ("ghs_write", "octo/other", 1, GitHubErrorKind.NOT_FOUND),
        ("ghs_write", "octo/repo", 99, GitHubErrorKind.NOT_FOUND),
        ("ghs\nx", "octo/repo", 1, GitHubErrorKind.AUTHENTICATION),
        ("ghs_\u20ac", "octo/repo", 1, GitHubErrorKind.AUTHENTICATION),
    ],
)
def test_invalid_tokens_and_names_have_hints(
    world: World, token: str, repository: str, number: int, kind: GitHubErrorKind
) -> None:
    with pytest.raises(GitHubError) as failed:
        world.client(token, repository).pull_request(number)
    assert failed.value.kind is kind
    assert failed.value.hint


def test_refused_connection_is_an_error(world: World) -> None:
    with pytest.raises(GitHubError, match="no connection"):
        world.client(url="http://127.0.0.1:9").pull_request(1)


def test_secondary_rate_limit_is_waited_for(world: World) -> None:
    world.fake.fault("GET", "/pulls/1", status=429, headers={"retry-after": "7"})
    world.fake.fault(
        "GET", "/pulls/1", status=403, body={"message": "You have exceeded a secondary rate limit."}
    )
    assert world.client().pull_request(1).number == 1
    assert world.clock.slept == [7.0, 60.0]


def test_secondary_rate_limit_beyond_the_deadline_is_an_error(world: World) -> None:
    world.clock.left = 5.0
    world.fake.fault("GET", "/pulls/1", status=429, headers={"retry-after": "7"})
    with pytest.raises(GitHubError) as failed:
        world.client().pull_request(1)
    assert failed.value.kind is GitHubErrorKind.RATE_LIMIT
    assert world.clock.slept == []


def test_blob_that_is_not_base64_is_an_error(world: World) -> None:
    body = {"type": "file", "encoding": "base64", "content": "a"}
    world.fake.fault("GET", "/contents/", status=200, body=body)
    with pytest.raises(GitHubError, match="no base64"):
        world.client().file("src/a.py", world.base)


def test_unknown_file_status_is_a_modification(world: World) -> None:
    entry = {"filename": "x", "status": "sparkled", "additions": 0, "deletions": 0}
    client = world.client()
    pull = client.pull_request(1)
    world.fake.fault("GET", "/files", status=200, body=[entry])
    (file,) = client.files(pull)
    assert (file.status, file.patch_missing) == (FileStatus.CHANGED, True)


@pytest.mark.parametrize("by_size", [True, False], ids=["by its size", "by its blob"])
def test_too_large_file_is_not_fetched(world: World, by_size: bool) -> None:
    size = 5_000_001 if by_size else 60
    body = {"type": "file", "encoding": "none", "size": size, "sha": "0" * 40, "content": ""}
    world.fake.fault("GET", "/contents/", status=200, body=body)
    error = OversizeError if by_size else GitHubError
    with pytest.raises(error):
        world.client().file("src/a.py", world.base)
    assert len(world.fake.journal) == (1 if by_size else 2)
    with pytest.raises(OversizeError, match=r"'src/a.py' has more than 9 bytes"):
        world.client().file("src/a.py", world.base, most=9)

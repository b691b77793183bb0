"""Compares reads of the fake GitHub with PyGithub: pull request, files, contents, trees, blobs, comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from github import GithubException, UnknownObjectException

from tests.fakes.git_repository import GitRepository
from tests.fakes_contract.conftest import ServeCommits, Served


def test_reads_repository_and_pull_request(github: Served) -> None:
    assert (github.repo.full_name, github.repo.default_branch) == ("octo/repo", "main")
    pull = github.pull
    assert (pull.title, pull.body, pull.user.login) == ("Change things", "Because.", "octocat")
    assert not pull.draft
    assert (pull.base.ref, pull.head.ref, pull.head.sha) == ("main", "feature", github.origin.head)
    assert [label.name for label in pull.labels] == ["bug"]
    assert pull.head.repo.full_name == pull.base.repo.full_name == "octo/repo"
    assert pull.changed_files == 7


def test_fork_and_deleted_head_repository(github: Served) -> None:
    ends: dict[str, Any] = {"base_sha": "main", "head_sha": "feature"}
    github.fake.add_pull_request(2, **ends, fork=True)
    github.fake.add_pull_request(3, **ends, head_repository_deleted=True)
    assert github.repo.get_pull(2).head.repo.full_name == "stranger/repo"
    assert github.repo.get_pull(3).raw_data["head"]["repo"] is None


def test_files_have_patches_of_git(github: Served) -> None:
    files = {file.filename: file for file in github.pull.get_files()}
    assert {name: file.status for name, file in files.items()} == {
        "logo.bin": "modified",
        "new/empty": "added",
        "new/file.py": "added",
        "no-end.txt": "modified",
        "src/gone.txt": "removed",
        "src/long.txt": "modified",
        "src/new näme.txt": "renamed",
    }
    assert files["src/new näme.txt"].previous_filename == "src/old name.txt"
    assert files["new/file.py"].patch == "@@ -0,0 +1 @@\n+print('new')"
    assert files["no-end.txt"].patch.endswith("+without line feed, twice\n\\ No newline at end of file")
    assert "patch" not in files["logo.bin"].raw_data
    assert "patch" not in files["new/empty"].raw_data
    assert "docs/README.md" not in files, "the base changed it, not the pull request"
    long = files["src/long.txt"]
    assert (long.additions, long.deletions, long.changes) == (3, 2, 5)
    assert long.patch.startswith("@@ -1,3 +1,4 @@\n+first\n line 1\n")
    assert long.patch.count("@@ -") == 3


@pytest.mark.parametrize(
    ("limits", "without_patch", "uncounted"),
    [
        ({"patch_line_limit": 12}, {"src/long.txt"}, set()),
        ({"total_patch_lines": 7}, {"src/long.txt", "src/new näme.txt", "src/gone.txt"}, None),
    ],
)
def test_withholds_patches_over_limits(
    github: Served, limits: dict[str, int], without_patch: set[str], uncounted: set[str] | None
) -> None:
    for name, limit in limits.items():
        setattr(github.fake.hub, name, limit)
    files = [file.raw_data for file in github.pull.get_files()]
    never = {"logo.bin", "new/empty"}
    assert {file["filename"] for file in files if "patch" not in file} - never == without_patch
    zeros = {file["filename"] for file in files if file["changes"] == 0} - never
    assert zeros == (without_patch if uncounted is None else uncounted)


def test_withholds_patch_by_name(github: Served) -> None:
    github.fake.add_pull_request(2, base_sha="main", head_sha="feature", withhold={"new/file.py"})
    files = {file.filename: file.raw_data for file in github.repo.get_pull(2).get_files()}
    assert "patch" not in files["new/file.py"]
    assert files["new/file.py"]["additions"] == 1


def test_reads_contents_of_files_and_folders(github: Served) -> None:
    repo, head = github.repo, github.origin.head
    readme = repo.get_contents("docs/README.md", ref=head)
    assert not isinstance(readme, list)
    assert readme.decoded_content == b"# Read me\n"
    folder = repo.get_contents("src", ref=head)
    assert isinstance(folder, list)
    assert [entry.path for entry in folder] == ["src/long.txt", "src/new näme.txt"]
    root = repo.get_contents("", ref="feature")
    assert isinstance(root, list)
    assert {entry.name: entry.type for entry in root}["dangling"] == "symlink"
    odd = repo.get_contents("src/new näme.txt", ref=head)
    assert not isinstance(odd, list)
    assert odd.decoded_content.startswith(b"moved 0\n")
    with pytest.raises(UnknownObjectException):
        repo.get_contents("src/missing", ref=head)
    with pytest.raises(UnknownObjectException):
        repo.get_contents("src", ref="no-such-branch")


def test_link_returns_file_or_dangling_link(github: Served) -> None:
    link = github.repo.get_contents("link.txt")
    dangling = github.repo.get_contents("dangling")
    assert not isinstance(link, list)
    assert not isinstance(dangling, list)
    assert (link.type, link.decoded_content) == ("file", b"what the link shows\n")
    assert (dangling.type, dangling.raw_data["target"]) == ("symlink", "nowhere")


def test_large_file_has_no_content(github: Served) -> None:
    large = github.repo.get_contents("large.txt")
    assert not isinstance(large, list)
    assert (large.encoding, large.raw_data["content"], large.size) == ("none", "", 1_100_000)
    assert github.repo.get_git_blob(large.sha).size == 1_100_000


def test_reads_submodule(serve_commits: ServeCommits, tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "with-submodule")
    base = repository.commit({"a.txt": "a\n"})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{base},vendored")
    repository.git("commit", "-q", "-m", "Add a submodule")
    head = repository.git("rev-parse", "HEAD")
    served = serve_commits(repository, base, head)
    content = served.repo.get_contents("vendored", ref=head)
    assert not isinstance(content, list)
    assert content.type == "submodule"
    (file,) = served.pull.get_files()
    assert file.patch == f"@@ -0,0 +1 @@\n+Subproject commit {base}"


def test_changed_type_has_two_hunks(serve_commits: ServeCommits, tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "type")
    base = repository.commit({"a.txt": "a\n", "b.txt": "b\n"})
    (repository.path / "a.txt").unlink()
    (repository.path / "a.txt").symlink_to("b.txt")
    head = repository.commit({"b.txt": "bb\n"})
    first, second = serve_commits(repository, base, head).pull.get_files()
    assert (first.status, first.patch.count("@@ -")) == ("changed", 2)
    assert second.patch == "@@ -1 +1 @@\n-b\n+bb"


def test_reads_trees_and_blobs(github: Served) -> None:
    tree = github.repo.get_git_tree(github.origin.head, recursive=True)
    entries = {entry.path: entry for entry in tree.tree}
    assert (entries["src"].type, entries["src/long.txt"].type) == ("tree", "blob")
    flat = github.repo.get_git_tree(github.origin.head)
    assert "src/long.txt" not in {entry.path for entry in flat.tree}
    assert (
        github.repo.get_git_blob(entries["new/file.py"].sha).raw_data["content"] == "cHJpbnQoJ25ldycpCg==\n"
    )
    with pytest.raises(UnknownObjectException):
        github.repo.get_git_blob("0" * 40)


def test_comparison_has_merge_base_and_files(github: Served) -> None:
    compared = github.repo.compare("main", "feature")
    assert compared.merge_base_commit.sha == github.origin.base
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("diverged", 1, 1)
    assert len(list(compared.files)) == 7
    assert github.repo.compare("main", "main").status == "identical"


def test_pages_and_limits_lists(serve_commits: ServeCommits, tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "many")
    base = repository.commit({"README": "x\n"})
    head = repository.commit({f"many/{number:04}.txt": f"{number}\n" for number in range(250)})
    served = serve_commits(repository, base, head)
    served.fake.hub.file_limit = 230
    client = served.client()
    client.per_page = 100
    pull = client.get_repo("octo/repo").get_pull(1)
    assert pull.changed_files == 250
    assert len(list(pull.get_files())) == 230
    asked = [(request.query["per_page"], request.query.get("page")) for request in served.fake.journal[2:]]
    assert asked == [("100", None), ("100", "2"), ("100", "3")]


def test_serves_prefix_of_enterprise_server(github: Served) -> None:
    client = github.client(prefix="/api/v3")
    client.per_page = 3
    pull = client.get_repo("octo/repo").get_pull(1)
    assert len(list(pull.get_files())) == 7
    assert pull.url == f"{github.url}/api/v3/repos/octo/repo/pulls/1"


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [("ghs_wrong", 401, "Bad credentials"), ("ghs_none", 404, "Not Found"), (None, 404, "Not Found")],
)
def test_wrong_tokens(github: Served, token: str | None, status: int, message: str) -> None:
    with pytest.raises(GithubException) as caught:
        github.client(token).get_repo("octo/repo")
    assert (caught.value.status, caught.value.data["message"]) == (status, message)


def test_token_of_workflow_run_has_no_user(github: Served) -> None:
    assert github.client("github_pat_x").get_user().login == "hubot"
    for token, status, message in (
        ("ghs_write", 403, "Resource not accessible by integration"),
        (None, 401, "Requires authentication"),
    ):
        with pytest.raises(GithubException) as caught:
            _ = github.client(token).get_user().login
        assert (caught.value.status, caught.value.data["message"]) == (status, message)


def test_reads_rate_limit(github: Served) -> None:
    assert github.client().get_rate_limit().rate.remaining == 4999


def test_missing_pull_request_repository_and_ref_are_not_found(github: Served) -> None:
    with pytest.raises(UnknownObjectException):
        github.repo.get_pull(77)
    with pytest.raises(UnknownObjectException):
        github.client().get_repo("octo/other")
    with pytest.raises(UnknownObjectException):
        github.repo.get_contents("a", ref="-x")

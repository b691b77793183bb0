"""A pull request, read once; and what GitHub left out of it, completed or named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.pull_request import Comment, Conversation, Known, PullRequest, Thread
from hunkwise.errors import GitHubError, GitHubErrorKind, RepositoryError, SettingsError
from hunkwise.flows.base_config import NEAR_PATHS, BaseConfig
from hunkwise.flows.fetch import FetchedPullRequest, MissingPatches, PullRequestFetch
from hunkwise.repository.git import Git
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.state import SUMMARY_MARKER, encode
from tests.fakes.changes import BASE, HEAD, FakeCommit, FakeForge, added, pull_request
from tests.fakes.git_repository import GitRepository

CONFIG = ".github/hunkwise.yml"
AWAY = GitHubError(GitHubErrorKind.UNAVAILABLE, "GitHub is away.")
THREAD = Thread("a.py", 1, Side.RIGHT, "bob", "Look.", trusted=True)


def withheld(path: str, status: FileStatus = FileStatus.MODIFIED, **given: Any) -> FileDiff:
    return FileDiff(path, status, additions=2, deletions=1, patch_missing=True, **given)


def fetched(
    forge: FakeForge,
    git: Git | None = None,
    config: bytes | None = None,
    *,
    near: FakeCommit | None = None,
    far: FakeCommit | None = None,
) -> FetchedPullRequest:
    """What is fetched with a base that is near, if one is given, else far: with the configuration, if any."""
    distant = far or FakeCommit({} if config is None else {CONFIG: config})
    completing = MissingPatches(forge, git, Git.diff_blobs)
    fetch = PullRequestFetch(forge, completing, lambda _sha: near, lambda _sha: distant)
    return fetch.run(7, CONFIG, lambda found: found)


def forge(*files: FileDiff, changed_files: int | None = None, **given: Any) -> FakeForge:
    asked = pull_request(changed_files=len(files) if changed_files is None else changed_files)
    return FakeForge(asked, files, **given)


def test_a_pull_request_is_read_whole() -> None:
    said = Conversation(threads=(THREAD,))
    found = fetched(
        forge(added("a.py", "x"), changed_files=5, said=said), config=b"version: 1\nmax-comments: 4\n"
    )
    assert found.snapshot.pull_request.number == 7
    assert [file.path for file in found.snapshot.files] == ["a.py"]
    assert found.snapshot.threads == (THREAD,)
    assert found.snapshot.conversation == said
    assert found.state is None
    assert (found.snapshot.unlisted_files, found.snapshot.notes) == (4, ())
    assert found.texts.config.max_comments == 4


OWN = b"version: 1\nprompts: [{name: mine, template: mine.j2}]\n"


@pytest.mark.parametrize(
    ("config", "files", "note"),
    [
        (OWN, ["a.py"], ()),
        (
            OWN,
            ["a.py", CONFIG],
            f"This pull request changes {CONFIG}; the version at the base (2222222) was used.",
        ),
        (
            OWN,
            [CONFIG, "mine.j2"],
            f"This pull request changes {CONFIG}, mine.j2; the versions at the base (2222222) were used.",
        ),
        (None, [CONFIG], f"This pull request adds {CONFIG}: the defaults apply until it is merged."),
    ],
)
def test_change_of_the_settings_themselves_is_a_note(
    config: bytes | None, files: list[str], note: str
) -> None:
    base = FakeCommit({CONFIG: config, "mine.j2": b"{{ chunk.diff }}"} if config else {})
    found = fetched(forge(*(added(path, "x") for path in files)), far=base)
    assert found.snapshot.notes == ((note,) if note else ())


def test_named_configuration_that_the_change_adds_is_a_warning_and_any_other_an_error() -> None:
    def run(path: str) -> FetchedPullRequest:
        asked = forge(added("new.yml", "version: 1"))
        completing = MissingPatches(asked, None, Git.diff_blobs)
        base = FakeCommit()
        return PullRequestFetch(asked, completing, lambda _sha: base, lambda _sha: base).run(
            7, path, lambda config: config
        )

    where = "the base of the change (2222222)"
    warning = f"new.yml is not in {where} yet: the defaults apply until it is merged."
    found = run("new.yml")
    assert (found.texts.warnings, found.snapshot.notes) == ((warning,), (warning,))
    with pytest.raises(SettingsError, match=re.escape(f"There is no old.yml in {where}: correct")):
        run("old.yml")


def test_a_conversation_that_cannot_be_read_costs_a_note() -> None:
    asked = forge(added("a.py", "x"), failing={"conversation": AWAY})
    found = fetched(asked, config=b"version: 1\nmax-comments: 4\n")
    assert (found.snapshot.conversation, found.snapshot.threads, found.state) == (None, (), None)
    assert found.snapshot.notes == ("The conversation could not be read: GitHub is away.",)
    assert found.texts.config.max_comments == 4


def test_what_an_earlier_run_remembers_is_read_from_its_summary() -> None:
    remembered = HiddenState("octo/repo", 7, HEAD, (HEAD,), "main", 0, "0123456789abcdef")
    comment = Comment(1, f"{SUMMARY_MARKER}\n{encode(remembered, 5_000)}")
    found = fetched(forge(added("a.py", "x"), said=Conversation(comments=(comment,))))
    assert found.state == remembered


CERTAIN = [CONFIG, "AGENTS.md", ".github/copilot-instructions.md", ".github/instructions", ".gitattributes"]


def test_what_a_bulk_read_of_the_base_tells_is_not_asked_for_again() -> None:
    text = b"---\napplyTo: '*'\n---\nBe brief."
    config = b"version: 1\nmax-comments: 4\n"
    known = {CONFIG: config, CERTAIN[2]: b"Be exact.\n", CERTAIN[4]: b"*.sql linguist-generated\n"}
    told = FakeCommit({**known, f"{CERTAIN[3]}/py.instructions.md": text})
    found = fetched(forge(added("a.py", "x")), far=told)
    assert told.asked == [*CERTAIN[:3], CERTAIN[4], *NEAR_PATHS, f"{CERTAIN[3]}/py.instructions.md"]
    assert found.texts.config.max_comments == 4
    assert [one.text for one in found.texts.instructions] == ["Be exact.", "Be brief."]
    assert found.snapshot.attributes == {"": "*.sql linguist-generated\n"}


def test_of_large_attributes_the_first_lines_count() -> None:
    attributes = b"*.sql linguist-generated\n" + b"#\n" * 60_000
    found = fetched(forge(added("a.py", "x")), far=FakeCommit({".gitattributes": attributes}))
    assert found.snapshot.attributes[""].encode() == attributes[:100_000]


@pytest.mark.parametrize(
    ("attributes", "completed"),
    [
        ({"": b"*.py linguist-generated\n"}, False),
        ({"src": b"*.py linguist-generated\n"}, False),
        ({"": b"*.py linguist-generated\n", "src": b"*.py -linguist-generated\n"}, True),
    ],
)
def test_attributes_of_folders_decide_which_patches_are_completed(
    attributes: dict[str, bytes], completed: bool
) -> None:
    base = FakeCommit({f"{folder}/.gitattributes".lstrip("/"): text for folder, text in attributes.items()})
    asked = forge(withheld("src/a.py", FileStatus.ADDED), versions={("src/a.py", HEAD): b"x\n"})
    found = fetched(asked, far=base)
    assert found.snapshot.attributes == {
        "": "",
        "src": "",
        **{folder: text.decode() for folder, text in attributes.items()},
    }
    assert found.snapshot.files[0].patch_missing is not completed


def test_what_a_bulk_read_does_not_tell_is_asked_for() -> None:
    class Silent(FakeCommit):
        def read_many(self, paths: Sequence[str]) -> Known:
            raise AWAY

    told = Silent({"AGENTS.md": b"Be exact."})
    found = fetched(forge(added("a.py", "x")), far=told)
    assert sorted(told.asked) == sorted(CERTAIN)
    assert [one.text for one in found.texts.instructions] == ["Be exact."]


def test_a_base_that_is_checked_out_is_not_looked_at_elsewhere() -> None:
    here, there = FakeCommit({CONFIG: b"version: 1\nmax-comments: 4\n"}), FakeCommit()
    found = fetched(forge(added("a.py", "x")), near=here, far=there)
    assert found.texts.config.max_comments == 4
    assert there.asked == []


def test_a_withheld_patch_is_made_of_both_versions() -> None:
    versions = {("old.py", BASE): b"one\ntwo\n", ("a.py", HEAD): b"one\n2\n3\n", ("b.py", HEAD): b"new\n"}
    files = (
        withheld("a.py", FileStatus.RENAMED, old_path="old.py"),
        withheld("b.py", FileStatus.ADDED),
        added("c.py", "x"),
    )
    one, two, three = fetched(forge(*files, versions=versions)).snapshot.files
    assert (one.additions, one.deletions, one.patch_missing) == (2, 1, False)
    assert [line.text for line in two.hunks[0].lines] == ["new"]
    assert three is files[2]


def test_a_removed_file_needs_its_old_version_alone() -> None:
    asked = forge(withheld("a.py", FileStatus.REMOVED), versions={("a.py", BASE): b"one\n"})
    (file,) = fetched(asked).snapshot.files
    assert [line.kind for line in file.hunks[0].lines] == ["-"]
    assert asked.reads == [("a.py", BASE)]


@pytest.mark.parametrize(
    "versions",
    [{("a.bin", HEAD): b"\0"}, {("a.bin", HEAD): b"x", ("a.bin", BASE): b"\0"}],
)
def test_a_withheld_binary_is_told_by_its_content(versions: dict[tuple[str, str], bytes]) -> None:
    (file,) = fetched(forge(withheld("a.bin"), versions=versions)).snapshot.files
    assert file.binary
    assert not file.patch_missing


@pytest.mark.parametrize("path", ["logo.png", "bad.o", "x.class", "font.woff", "a.jar", "run", "deploy.sh"])
@pytest.mark.parametrize(
    ("head", "binary", "script"),
    [(b"\0", True, False), (b"#!/bin/sh\n# \0\n", True, True), (b"text\n", False, False)],
)
def test_what_github_gives_no_lines_of_is_told_by_its_content(
    path: str, head: bytes, binary: bool, script: bool
) -> None:
    asked = forge(
        FileDiff(path, FileStatus.MODIFIED, patch_missing=True),
        versions={(path, HEAD): head, (path, BASE): b"1\n"},
    )
    (file,) = fetched(asked).snapshot.files
    assert (file.binary, file.script, file.patch_missing, bool(file.hunks)) == (
        binary,
        script,
        False,
        not binary,
    )


def test_what_is_ignored_costs_no_request() -> None:
    asked = forge(FileDiff("a.py", FileStatus.MODIFIED, patch_missing=True))
    assert fetched(asked, config=b"version: 1\nignore: ['a.py']\n").snapshot.files[0].patch_missing
    assert asked.reads == []


def test_pictures_that_cannot_be_looked_at_are_named_binary_and_come_last() -> None:
    pictures = [FileDiff(f"{number:02}.png", FileStatus.ADDED, patch_missing=True) for number in range(60)]
    asked = forge(*pictures, withheld("z.py", FileStatus.ADDED), versions={("z.py", HEAD): b"x\n"})
    *left, last = fetched(asked).snapshot.files
    assert all(file.binary and not file.patch_missing for file in left)
    assert (last.patch_missing, asked.reads[0], len(asked.reads)) == (False, ("z.py", HEAD), 50)


@pytest.mark.parametrize("failing", [{"a.py": AWAY}, {"merge_base": AWAY}, {}])
def test_what_cannot_be_completed_stays_named_as_withheld(failing: dict[str, GitHubError]) -> None:
    found = fetched(forge(withheld("a.py"), versions={("a.py", HEAD): b"x"}, failing=failing))
    assert found.snapshot.files[0].patch_missing
    assert len(found.snapshot.notes) == ("merge_base" in failing)


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[Git, PullRequest]:
    """A checkout with a pull request of four files."""
    repository = GitRepository.create(tmp_path / "work")
    base = repository.commit({"a.py": "one\ntwo\n", "b.py": "1\n"}, "Base")
    head = repository.commit({"a.py": "one\n2\n", "b.py": "2\n", "c.py": "new\n", "d.py": "new\n"}, "Head")
    return Git(repository.path), replace(pull_request(changed_files=4), base_sha=base, head_sha=head)


def test_the_checkout_completes_patches_and_the_list(checkout: tuple[Git, PullRequest]) -> None:
    git, asked = checkout
    listed = (withheld("a.py"), added("c.py", "as listed"))
    found = fetched(FakeForge(asked, listed, failing={"merge_base": AWAY}), git)
    by_path = {file.path: file for file in found.snapshot.files}
    assert sorted(by_path) == ["a.py", "b.py", "c.py", "d.py"]
    assert [line.text for line in by_path["a.py"].hunks[0].lines] == ["one", "two", "2"]
    assert by_path["c.py"] is listed[1]
    assert (found.snapshot.unlisted_files, found.snapshot.notes) == (0, ())


@pytest.mark.parametrize("kind", list(GitHubErrorKind))
def test_the_checkout_replaces_a_list_that_github_cannot_make(
    checkout: tuple[Git, PullRequest], kind: GitHubErrorKind
) -> None:
    git, asked = checkout
    error = GitHubError(kind, "There was a problem generating this diff.", "Try again.")
    source = FakeForge(asked, (), failing={"files": error})
    if kind in (GitHubErrorKind.INVALID, GitHubErrorKind.UNAVAILABLE):
        found = fetched(source, git).snapshot
        assert sorted(file.path for file in found.files) == ["a.py", "b.py", "c.py", "d.py"]
        assert found.unlisted_files == 0
        assert found.notes == (f"The changed files were read from the checkout: {error.message}",)
        with pytest.raises(GitHubError, match=r"problem generating .* `fetch-depth: 0` first: .* Try again"):
            fetched(source)
    else:
        with pytest.raises(GitHubError) as raised:
            fetched(source, git)
        assert raised.value is error


def test_the_checkout_tells_scripts_among_binary_files(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({"gone": b"#!/bin/sh\n\0"}, "Base")
    base = repository.git("rev-parse", "HEAD")
    scripts = {"run": b"#!/bin/sh\n# \0\n", "x.png": b"#!/bin/sh\0"}
    others = {"picture.png": b"\0", "data": b"\0#!", "bad.o": b"text\n", "large.png": b"\0" * 5_000_001}
    head = repository.commit({"gone": None, **scripts, **others, "large": b"\0" * 5_000_001}, "Head")
    asked = replace(pull_request(changed_files=8), base_sha=base, head_sha=head)
    found = fetched(FakeForge(asked, ()), Git(repository.path)).snapshot.files
    assert {file.path for file in found if file.script} == {*scripts, "large"}
    assert {file.path for file in found if not file.binary} == {"bad.o"}


def test_a_checkout_without_the_commits_is_passed_over(checkout: tuple[Git, PullRequest]) -> None:
    git, _asked = checkout
    found = fetched(forge(withheld("a.py"), versions={("a.py", BASE): b"1\n", ("a.py", HEAD): b"2\n"}), git)
    assert not found.snapshot.files[0].patch_missing


def test_a_checkout_of_unrelated_histories_is_passed_over(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "work")
    base = repository.commit({"a.py": "1\n"})
    repository.git("checkout", "-q", "--orphan", "other")
    head = repository.commit({"a.py": "2\n"}, "Other")
    asked = replace(pull_request(), base_sha=base, head_sha=head)
    found = fetched(FakeForge(asked, (withheld("a.py"),)), Git(repository.path))
    assert found.snapshot.files[0].patch_missing


def test_a_checkout_that_cannot_be_read_costs_a_note(tmp_path: Path) -> None:
    found = fetched(forge(withheld("a.py")), Git(tmp_path))
    assert found.snapshot.files[0].patch_missing
    assert found.snapshot.notes[0].startswith("The checkout could not be read: ")


def test_a_comparison_that_git_refuses_leaves_the_file_withheld() -> None:
    def refuse(old: bytes, new: bytes) -> Any:
        raise RepositoryError("Git is away.")

    asked = forge(withheld("a.py"), versions={("a.py", BASE): b"1\n", ("a.py", HEAD): b"2\n"})
    (file,) = MissingPatches(asked, None, refuse).completed(
        asked.asked, asked.listed, BaseConfig(Config(), {}, ())
    )
    assert file.patch_missing


def test_no_more_than_fifty_withheld_patches_are_made_of_blobs() -> None:
    files = [withheld(f"{number:03}.py", FileStatus.ADDED) for number in range(60)]
    asked = forge(*files, versions={(file.path, HEAD): b"x\n" for file in files})
    found = fetched(asked)
    assert [file.patch_missing for file in found.snapshot.files] == [False] * 50 + [True] * 10

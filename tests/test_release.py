"""A release is made with real Git: refused where it should not be, and otherwise one commit and two tags."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("action.yml", "package.json", "requirements/runtime.txt", "src/hunkwise/__init__.py")
IMAGE = f"ghcr.io/octo-org/hunkwise@sha256:{'0a' * 32}"
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2030-01-02

### Added

- A thing.

## [1.2.2]

- Older.
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A clone of a repository that has one commit on main, and releases from a folder on this machine."""

    folder: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")
        self.git("add", path)
        self.git("commit", "--quiet", "--message", f"Change {path}")

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "scripts/release.py", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def tags(self) -> dict[str, str]:
        rows = (row.split("\trefs/tags/") for row in self.git("ls-remote", "--tags", "origin").splitlines())
        return {name: commit for commit, name in rows}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "clone")
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", tmp_path / "origin"], check=True
    )
    subprocess.run(
        ["git", "clone", "--quiet", tmp_path / "origin", made.folder], check=True, capture_output=True
    )
    for key, value in {
        "user.name": "Mona",
        "user.email": "mona@example.com",
        "commit.gpgsign": "false",
    }.items():
        made.git("config", key, value)
    for name in FILES:
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.folder / name)
    shutil.copytree(ROOT / "scripts", made.folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (made.folder / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    (made.folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (made.folder / "src" / "hunkwise" / "__init__.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "What is released")
    made.git("push", "--quiet", "origin", "HEAD:main")
    return made


def test_a_commit_of_main_may_be_released_under_its_own_version(checkout: Checkout) -> None:
    done = checkout.release("check", "source/v1.2.3")
    assert done.stderr == ""
    told = dict(line.split("=") for line in done.stdout.splitlines())
    assert told["version"] == "1.2.3"
    assert told.keys() == {"version", "cli", "sdk"}


@pytest.mark.parametrize(
    "tag", ["v1.2.3", "source/1.2.3", "source/v1.2", "source/v1.2.3-rc1", "source/v1.2.3\n"]
)
def test_a_tag_that_names_no_version_releases_nothing(checkout: Checkout, tag: str) -> None:
    assert "asks for no release" in refused(checkout.release("check", tag))


def test_the_version_of_the_code_is_the_one_that_is_released(checkout: Checkout) -> None:
    said = refused(checkout.release("check", "source/v1.2.2"))
    assert "src/hunkwise/__init__.py has 1.2.3: tag the commit that has 1.2.2" in said


@pytest.mark.parametrize(
    "changelog", ["# Changelog\n\n## [1.2.2]\n\n- Older.\n", "## [1.2.3]\n\n## [1.2.2]\n\n- Older.\n"]
)
def test_a_version_that_the_changelog_does_not_tell_of_is_not_released(
    checkout: Checkout, changelog: str
) -> None:
    checkout.commit("CHANGELOG.md", changelog)
    checkout.git("push", "--quiet", "origin", "HEAD:main")
    assert "no section [1.2.3]" in refused(checkout.release("check", "source/v1.2.3"))


def test_a_commit_beside_main_is_not_released(checkout: Checkout) -> None:
    checkout.commit("other.py", "print()\n")
    assert "not on main" in refused(checkout.release("check", "source/v1.2.3"))


def test_what_was_on_main_before_may_be_released(checkout: Checkout) -> None:
    checkout.commit("other.py", "print()\n")
    checkout.git("push", "--quiet", "origin", "HEAD:main")
    checkout.git("checkout", "--quiet", "HEAD~1")
    assert checkout.release("check", "source/v1.2.3").returncode == 0


def test_the_notes_are_the_section_of_the_version(checkout: Checkout) -> None:
    assert checkout.release("notes", "1.2.3").stdout == "### Added\n\n- A thing.\n"


def test_a_release_is_a_commit_of_its_own_that_names_the_image_and_changes_nothing_else(
    checkout: Checkout,
) -> None:
    source = checkout.git("rev-parse", "HEAD")
    done = checkout.release("publish", "1.2.3", IMAGE)
    assert done.stderr == ""
    commit = done.stdout.splitlines()[-1]
    assert checkout.tags() == {"v1": commit, "v1.2.3": commit}
    assert checkout.git("rev-parse", f"{commit}^") == source
    assert checkout.git("ls-remote", "origin", "main").split()[0] == source
    changed = checkout.git("diff", "--unified=0", source, commit).splitlines()
    assert [line for line in changed if is_change(line)] == [
        "-  image: Dockerfile",
        f"+  image: docker://{IMAGE}",
    ]
    assert checkout.git("diff", "--name-only", source, commit) == "action.yml"


def test_the_major_tag_moves_and_the_version_stays(checkout: Checkout) -> None:
    first = checkout.release("publish", "1.2.3", IMAGE).stdout.splitlines()[-1]
    checkout.git("checkout", "--quiet", "HEAD~1")
    second = checkout.release("publish", "1.3.0", IMAGE.replace("0a", "0b")).stdout.splitlines()[-1]
    assert checkout.tags() == {"v1": second, "v1.2.3": first, "v1.3.0": second}


@pytest.mark.parametrize("step", [["check", "source/v1.2.3"], ["publish", "1.2.3", IMAGE]])
def test_a_released_version_is_not_released_again(checkout: Checkout, step: list[str]) -> None:
    assert checkout.release("publish", "1.2.3", IMAGE).returncode == 0
    before = checkout.tags()
    checkout.git("checkout", "--quiet", "HEAD~1")
    assert "v1.2.3 is released, and a released version never changes" in refused(checkout.release(*step))
    assert checkout.tags() == before


@pytest.mark.parametrize(
    "image", ["ghcr.io/octo-org/hunkwise:1.2.3", IMAGE.upper(), IMAGE[:-1], f"{IMAGE}\n", "Dockerfile"]
)
def test_an_image_that_is_not_named_by_digest_is_not_released(checkout: Checkout, image: str) -> None:
    assert "is no image by digest" in refused(checkout.release("publish", "1.2.3", image))
    assert checkout.tags() == {}


def test_a_checkout_with_changes_is_not_released(checkout: Checkout) -> None:
    (checkout.folder / "action.yml").write_text("name: other\n", encoding="utf-8")
    assert "has changes of its own" in refused(checkout.release("publish", "1.2.3", IMAGE))
    assert checkout.tags() == {}


def test_no_tag_is_pushed_where_one_of_them_is_refused(checkout: Checkout) -> None:
    hook = Path(checkout.git("remote", "get-url", "origin")) / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/tags/v1\n', encoding="utf-8")
    hook.chmod(0o755)
    assert "git push failed" in refused(checkout.release("publish", "1.2.3", IMAGE))
    assert checkout.tags() == {}


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What the runner is told, in one line."""
    assert done.returncode == 1
    assert done.stderr.startswith("::error::")
    return done.stderr


def is_change(line: str) -> bool:
    return line[:1] in {"-", "+"} and not line.startswith(("---", "+++"))

"""Tests releases with real Git: refused, or one commit and two tags; the files of a release, and its rehearsal."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from scripts import rehearsal, release

ROOT = Path(__file__).parents[1]
FILES = ("action.yml", "src/hunkwise/__init__.py")
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
    """A clone of a repository with one commit on main, which releases from a local folder."""

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
        return self.run([sys.executable, "scripts/release.py", *arguments])

    def run(
        self, command: list[str], environ: Mapping[str, str] = os.environ
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=dict(environ), capture_output=True, text=True, check=False
        )

    def tags(self) -> dict[str, str]:
        rows = (row.split("\trefs/tags/") for row in self.git("ls-remote", "--tags", "origin").splitlines())
        return {name: commit for commit, name in rows}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    clone = Checkout(tmp_path / "clone")
    origin = tmp_path / "origin"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", origin], check=True)
    subprocess.run(["git", "clone", "--quiet", origin, clone.folder], check=True, capture_output=True)
    settings = {"user.name": "Mona", "user.email": "mona@example.com", "commit.gpgsign": "false"}
    for key, value in settings.items():
        clone.git("config", key, value)
    for name in FILES:
        (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone.folder / name)
    shutil.copytree(ROOT / "scripts", clone.folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (clone.folder / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    (clone.folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (clone.folder / "src/hunkwise/__init__.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "Release")
    clone.git("push", "--quiet", "origin", "HEAD:main")
    return clone


def test_checks_commit_of_main_and_prints_notes(checkout: Checkout) -> None:
    done = checkout.release("check", "source/v1.2.3")
    assert done.stderr == ""
    assert done.stdout == "1.2.3\n"
    assert checkout.release("notes", "1.2.3").stdout == "### Added\n\n- A thing.\n"
    checkout.commit("other.py", "print()\n")
    checkout.git("push", "--quiet", "origin", "HEAD:main")
    checkout.git("checkout", "--quiet", "HEAD~1")
    assert checkout.release("check", "source/v1.2.3").returncode == 0


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("v1.2.3", "asks for no release"),
        ("source/1.2.3", "asks for no release"),
        ("source/v1.2", "asks for no release"),
        ("source/v1.2.3-rc1", "asks for no release"),
        ("source/v1.2.3\n", "asks for no release"),
        ("source/v1.2.2", "src/hunkwise/__init__.py has 1.2.3: tag the commit that has 1.2.2"),
    ],
)
def test_refuses_wrong_tag(checkout: Checkout, tag: str, words: str) -> None:
    assert words in error_of(checkout.release("check", tag))


@pytest.mark.parametrize(
    "changelog", ["# Changelog\n\n## [1.2.2]\n\n- Older.\n", "## [1.2.3]\n\n## [1.2.2]\n\n- Older.\n"]
)
def test_refuses_version_missing_in_changelog(checkout: Checkout, changelog: str) -> None:
    checkout.commit("CHANGELOG.md", changelog)
    checkout.git("push", "--quiet", "origin", "HEAD:main")
    assert "no section [1.2.3]" in error_of(checkout.release("check", "source/v1.2.3"))


def test_refuses_commit_outside_of_main(checkout: Checkout) -> None:
    checkout.commit("other.py", "print()\n")
    assert "not on main" in error_of(checkout.release("check", "source/v1.2.3"))


def test_release_commit_changes_the_image_only(checkout: Checkout) -> None:
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


def test_moves_major_tag(checkout: Checkout) -> None:
    first = checkout.release("publish", "1.2.3", IMAGE).stdout.splitlines()[-1]
    checkout.git("checkout", "--quiet", "HEAD~1")
    second = checkout.release("publish", "1.3.0", IMAGE.replace("0a", "0b")).stdout.splitlines()[-1]
    assert checkout.tags() == {"v1": second, "v1.2.3": first, "v1.3.0": second}


@pytest.mark.parametrize("step", [["check", "source/v1.2.3"], ["publish", "1.2.3", IMAGE]])
def test_refuses_released_version(checkout: Checkout, step: list[str]) -> None:
    assert checkout.release("publish", "1.2.3", IMAGE).returncode == 0
    before = checkout.tags()
    checkout.git("checkout", "--quiet", "HEAD~1")
    assert "v1.2.3 is released, and a released version never changes" in error_of(checkout.release(*step))
    assert checkout.tags() == before


@pytest.mark.parametrize(
    "image", ["ghcr.io/octo-org/hunkwise:1.2.3", IMAGE.upper(), IMAGE[:-1], f"{IMAGE}\n", "Dockerfile"]
)
def test_refuses_image_without_digest(checkout: Checkout, image: str) -> None:
    assert "is no image by digest" in error_of(checkout.release("publish", "1.2.3", image))
    assert checkout.tags() == {}


def test_refuses_checkout_with_changes(checkout: Checkout) -> None:
    (checkout.folder / "action.yml").write_text("name: other\n", encoding="utf-8")
    assert "has changes of its own" in error_of(checkout.release("publish", "1.2.3", IMAGE))
    assert checkout.tags() == {}


def test_pushes_no_tag_when_one_is_refused(checkout: Checkout) -> None:
    hook = Path(checkout.git("remote", "get-url", "origin")) / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/tags/v1\n', encoding="utf-8")
    hook.chmod(0o755)
    assert "git push failed" in error_of(checkout.release("publish", "1.2.3", IMAGE))
    assert checkout.tags() == {}


# The files of a release


def put_files(checkout: Checkout, *names: str) -> Path:
    """Returns dist/ with files of these names."""
    folder = checkout.folder / "dist"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"content of {name}\n", encoding="utf-8")
    return folder


def test_completes_files_with_pinned_action_and_checksums(checkout: Checkout) -> None:
    archive = release.archive_name("1.2.3")
    built = [*release.file_names("1.2.3"), archive]
    folder = put_files(checkout, *reversed(built))
    names = sorted(["SHA256SUMS", "action.yml", *built])
    image = f"localhost/hunkwise@sha256:{'0a' * 32}"
    for _ in range(2):  # a step of the workflow can be run again
        done = checkout.release("complete", image)
        assert (done.stderr, done.stdout.splitlines()) == ("", names)
    assert sorted(path.name for path in folder.iterdir()) == names
    assert yaml.safe_load((folder / "action.yml").read_text())["runs"]["image"] == f"docker://{image}"
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert [line.partition("  ")[2] for line in sums] == [name for name in names if name != "SHA256SUMS"]
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    (folder / archive).write_text("other")
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("names", "image", "words"),
    [
        (
            [],
            IMAGE,
            "dist/ has no hunkwise-1.2.3-py3-none-any.whl, hunkwise-1.2.3.tar.gz, sbom-npm.cdx.json, ",
        ),
        (release.file_names("1.2.3")[1:], IMAGE, "dist/ has no hunkwise-1.2.3-py3-none-any.whl:"),
        (
            [*release.file_names("1.2.3"), "hunkwise-1.2.2.tar.gz"],
            IMAGE,
            "dist/ has hunkwise-1.2.2.tar.gz of",
        ),
        (release.file_names("1.2.3"), "ghcr.io/octo-org/hunkwise:1.2.3", "by its digest"),
    ],
)
def test_refuses_incomplete_files(checkout: Checkout, names: list[str], image: str, words: str) -> None:
    folder = put_files(checkout, *names)
    assert words in error_of(checkout.release("complete", image))
    assert not (folder / "SHA256SUMS").exists()


# The rehearsal


def packed(path: Path, content: bytes) -> None:
    """Writes the content in an archive of the kind that the name says."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr("first.py", "print()")
            wheel.writestr("second.py", content)
    elif path.name.endswith(".oci.tar"):
        with tarfile.open(path, "w") as image:
            blob = gzip.compress(content)
            member = tarfile.TarInfo("blobs/sha256/0a")
            member.size = len(blob)
            image.addfile(member, io.BytesIO(blob))
    else:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["a.whl", "a.tar.gz", "a.oci.tar", "a.json"])
@pytest.mark.parametrize("place", [0, 5_000, (1 << 20) - 3])
def test_finds_path_of_the_machine_in_a_file(tmp_path: Path, name: str, place: int) -> None:
    packed(tmp_path / name, b"x" * place + b"/home/mona/hunkwise")
    texts = ["/home/mona", "/home/hubot"]
    assert rehearsal.named_in(tmp_path / name, texts) == ["/home/mona"]


def rehearse(checkout: Checkout, path: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, **environ}
    return checkout.run([sys.executable, "-m", "scripts.rehearsal", "--check"], environment)


def test_rehearsal_names_missing_programs_and_packages(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "missing")
    done = rehearse(checkout, str(tmp_path))
    words = "there is no podman, buildah, debootstrap, runc here: on Debian, apt-get install podman buildah"
    assert done.returncode == 1
    assert words in done.stderr
    assert "no podman, buildah, runc here" in rehearse(checkout, str(tmp_path), BASE_IMAGES="registry").stderr
    for name in rehearsal.DEBIAN_PACKAGES:
        (tmp_path / name).touch(0o755)
    assert rehearse(checkout, str(tmp_path)).stderr == ""


def test_rehearsal_refuses_uncommitted_changes_unless_allowed(checkout: Checkout, tmp_path: Path) -> None:
    for name in ("git", *rehearsal.DEBIAN_PACKAGES):
        (tmp_path / name).symlink_to(shutil.which("git") or "missing")
    (checkout.folder / "new.py").touch()
    refused = rehearse(checkout, str(tmp_path))
    assert refused.returncode == 1
    assert "?? new.py\nCommit them, or set ALLOW_DIRTY=1" in refused.stderr
    assert rehearse(checkout, str(tmp_path), ALLOW_DIRTY="1").returncode == 0


@pytest.mark.parametrize("has_notes", [True, False])
def test_rehearsal_names_remaining_steps(has_notes: bool) -> None:
    *notes, tag, approve = rehearsal.remaining_steps("1.2.3", has_notes)
    assert ["[1.2.3]" in note for note in notes] == ([] if has_notes else [True])
    assert "git tag --sign source/v1.2.3 && git push origin source/v1.2.3" in tag
    assert release.SOURCE_TAG.fullmatch("source/v1.2.3")
    assert "approve" in approve


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """Returns the error message after checking that the command failed."""
    assert done.returncode == 1
    assert done.stderr.startswith("::error::")
    return done.stderr


def is_change(line: str) -> bool:
    return line[:1] in {"-", "+"} and not line.startswith(("---", "+++"))

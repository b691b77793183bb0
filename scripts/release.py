"""The steps of a release that are more than a line: what may be released, its notes, and its commit and tags.

A release is asked for by the tag source/v1.2.3. The tag v1.2.3 that users name is made at the end, on a commit of its
own whose action.yml names the image by digest: it is born right and never moves. Only v1 moves from release to release.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "dist"
PIN = Path("scripts/image/pin_action.py")
SUMS = "SHA256SUMS"
SOURCE_TAG = re.compile(r"source/v(\d+\.\d+\.\d+)")
IMAGE = re.compile(r"ghcr\.io/[a-z0-9-]+/[a-z0-9._-]+@sha256:[0-9a-f]{64}")
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")
VERSION_FILE = Path("src/hunkwise/__init__.py")


class ReleaseError(Exception):
    """What keeps a release from being made, and what to do about it."""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def changes() -> str:
    """What `git status` lists: empty where the checkout is its commit."""
    return _git("status", "--porcelain")


def _is_new(version: str, remote: str) -> None:
    if _git("ls-remote", remote, f"refs/tags/v{version}"):
        raise ReleaseError(f"v{version} is released, and a released version never changes: take the next one")


def read_version() -> str:
    """The version in src/hunkwise/__init__.py, without importing it."""
    text = (ROOT / VERSION_FILE).read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def notes(version: str) -> str:
    """What CHANGELOG.md says of a version; raises ReleaseError where it says nothing."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## \[(.+?)\].*\n", changelog, flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True)).get(version, "").strip()
    if not told:
        raise ReleaseError(
            f"CHANGELOG.md has no section [{version}]: write one, and tag the commit that has it"
        )
    return told + "\n"


def check(tag: str, remote: str) -> str:
    """The version that a source tag asks for; raises ReleaseError where it may not be released."""
    named = SOURCE_TAG.fullmatch(tag)
    if named is None:
        raise ReleaseError(f"{tag!r} asks for no release: tag the commit as source/v1.2.3")
    version, found = named[1], read_version()
    if found != version:
        raise ReleaseError(f"{VERSION_FILE} has {found}: tag the commit that has {version}")
    notes(version)
    _is_new(version, remote)
    main = _git("ls-remote", remote, "refs/heads/main").partition("\t")[0]
    if not main or _git("merge-base", "HEAD", main) != _git("rev-parse", "HEAD"):
        raise ReleaseError("the commit is not on main: merge it first, so that it was reviewed and tested")
    return version


def file_names(version: str) -> list[str]:
    """The files that are built for a release, besides action.yml and the checksums."""
    return [
        f"hunkwise-{version}-py3-none-any.whl",
        f"hunkwise-{version}.tar.gz",
        "sbom-npm.cdx.json",
        "sbom-python.cdx.json",
    ]


def archive_name(version: str) -> str:
    """The image as a file, which is in dist/ after a rehearsal only: a release has it in a registry."""
    return f"hunkwise-{version}.oci.tar"


def checksums(paths: Iterable[Path]) -> str:
    """The lines of `sha256sum` for the files, by their names, in the order of these."""
    lines = []
    for path in sorted(paths, key=lambda one: one.name):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)


def complete(image: str, folder: Path = OUT) -> list[str]:
    """Adds action.yml with that image and the checksums of all files to dist/; returns the names of all files.

    Raises ReleaseError where a file that was to be built is missing, or another one is there.
    """
    version = read_version()
    wanted, made_here = set(file_names(version)), {archive_name(version), "action.yml", SUMS}
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if missing := sorted(wanted - present):
        raise ReleaseError(
            f"{folder.name}/ has no {', '.join(missing)}: build the packages and the SBOMs first"
        )
    if unexpected := sorted(present - wanted - made_here):
        raise ReleaseError(
            f"{folder.name}/ has {', '.join(unexpected)} of another build: remove the folder first"
        )
    shutil.copyfile(ROOT / "action.yml", folder / "action.yml")
    _pin(image, folder / "action.yml")
    paths = [path for path in folder.iterdir() if path.name != SUMS]
    (folder / SUMS).write_text(checksums(paths), encoding="utf-8")
    return sorted([SUMS, *(path.name for path in paths)])


def _pin(image: str, action: Path) -> None:
    command = [sys.executable, str(ROOT / PIN), f"docker://{image}", str(action)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(done.stderr.strip())


def publish(version: str, image: str, remote: str) -> str:
    """Pushes the release's commit with its tag v1.2.3, and moves v1 there, all or nothing; returns the commit."""
    if IMAGE.fullmatch(image) is None:
        raise ReleaseError(f"{image!r} is no image by digest: name it as ghcr.io/OWNER/NAME@sha256:…")
    _is_new(version, remote)
    if changes():
        raise ReleaseError("the checkout has changes of its own: release from a clean one")
    _pin(image, ROOT / "action.yml")
    if _git("status", "--porcelain") != "M action.yml":
        raise ReleaseError(f"{PIN} was to change action.yml and nothing else: fix it, then tag again")
    name, address = BOT
    identity = ("-c", f"user.name={name}", "-c", f"user.email={address}")
    said = f"Release {version}\n\nThe action is the image {image}."
    _git(*identity, "commit", "--quiet", "--message", said, "--", "action.yml")
    commit, major = _git("rev-parse", "HEAD"), version.partition(".")[0]
    _git("push", "--atomic", remote, f"{commit}:refs/tags/v{version}", f"+{commit}:refs/tags/v{major}")
    return commit


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="release.py", description=__doc__)
    parser.add_argument("--remote", default="origin")
    steps = parser.add_subparsers(dest="step", required=True)
    checking = steps.add_parser("check", help="print the version that TAG asks for, if it may be released")
    checking.add_argument("tag")
    noting = steps.add_parser("notes", help="print what CHANGELOG.md says of VERSION")
    noting.add_argument("version")
    completing = steps.add_parser("complete", help="add action.yml with IMAGE, and checksums, to dist/")
    completing.add_argument("image")
    publishing = steps.add_parser("publish", help="push the commit and the tags of VERSION, which is IMAGE")
    publishing.add_argument("version")
    publishing.add_argument("image")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = _arguments(argv)
    try:
        match asked.step:
            case "check":
                print(check(asked.tag, asked.remote))
            case "notes":
                print(notes(asked.version), end="")
            case "complete":
                print("\n".join(complete(asked.image)))
            case _:
                print(publish(asked.version, asked.image, asked.remote))
    except ReleaseError as why:
        print(f"::error::{why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

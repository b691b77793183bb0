"""The steps of a release that are more than a line: what may be released, its notes, and its commit and tags.

A release is asked for by the tag source/v1.2.3. The tag v1.2.3 that users name is made at the end, on a commit of its
own whose action.yml names the image by digest: it is born right and never moves. Only v1 moves from release to release.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = Path("scripts/image/pin_action.py")
SOURCE_TAG = re.compile(r"source/v(\d+\.\d+\.\d+)")
IMAGE = re.compile(r"ghcr\.io/[a-z0-9-]+/[a-z0-9._-]+@sha256:[0-9a-f]{64}")
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")
PLACES = {
    "version": ("src/hunkwise/__init__.py", r'^__version__ = "(.+)"$'),
    "cli": ("package.json", r'^ *"@github/copilot": "(.+)",?$'),
    "sdk": ("requirements/runtime.txt", r"^github-copilot-sdk==(\S+)"),
}
"""Where each version that the image's labels say is pinned."""


class ReleaseError(Exception):
    """What keeps a release from being made, and what to do about it."""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _is_new(version: str, remote: str) -> None:
    if _git("ls-remote", remote, f"refs/tags/v{version}"):
        raise ReleaseError(f"v{version} is released, and a released version never changes: take the next one")


def versions() -> dict[str, str]:
    """The versions that the image's labels say: hunkwise's, the Copilot CLI's and the SDK's."""
    found = {}
    for name, (path, pattern) in PLACES.items():
        (found[name],) = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return found


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


def check(tag: str, remote: str) -> dict[str, str]:
    """The versions of what a source tag asks for; raises ReleaseError where it may not be released."""
    named = SOURCE_TAG.fullmatch(tag)
    if named is None:
        raise ReleaseError(f"{tag!r} asks for no release: tag the commit as source/v1.2.3")
    version, found = named[1], versions()
    if found["version"] != version:
        raise ReleaseError(
            f"{PLACES['version'][0]} has {found['version']}: tag the commit that has {version}"
        )
    notes(version)
    _is_new(version, remote)
    main = _git("ls-remote", remote, "refs/heads/main").partition("\t")[0]
    if not main or _git("merge-base", "HEAD", main) != _git("rev-parse", "HEAD"):
        raise ReleaseError("the commit is not on main: merge it first, so that it was reviewed and tested")
    return found


def publish(version: str, image: str, remote: str) -> str:
    """Pushes the release's commit with its tag v1.2.3, and moves v1 there, all or nothing; returns the commit."""
    if IMAGE.fullmatch(image) is None:
        raise ReleaseError(f"{image!r} is no image by digest: name it as ghcr.io/OWNER/NAME@sha256:…")
    _is_new(version, remote)
    if _git("status", "--porcelain"):
        raise ReleaseError("the checkout has changes of its own: release from a clean one")
    pinned = subprocess.run([sys.executable, str(PIN), f"docker://{image}"], cwd=ROOT, check=False)
    if pinned.returncode or _git("status", "--porcelain") != "M action.yml":
        raise ReleaseError(f"{PIN} was to change action.yml and nothing else: mend it, then tag anew")
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
    checking = steps.add_parser(
        "check", help="print the versions of what TAG asks for, if it may be released"
    )
    checking.add_argument("tag")
    noting = steps.add_parser("notes", help="print what CHANGELOG.md says of VERSION")
    noting.add_argument("version")
    publishing = steps.add_parser("publish", help="push the commit and the tags of VERSION, which is IMAGE")
    publishing.add_argument("version")
    publishing.add_argument("image")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = _arguments(argv)
    try:
        match asked.step:
            case "check":
                found = check(asked.tag, asked.remote)
                print("\n".join(f"{name}={value}" for name, value in found.items()))
            case "notes":
                print(notes(asked.version), end="")
            case _:
                print(publish(asked.version, asked.image, asked.remote))
    except ReleaseError as why:
        print(f"::error::{why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

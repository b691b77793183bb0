"""Rehearses a release: builds in dist/ what a release publishes, uses it as its users do, and pushes nothing.

`make release-rehearsal` runs it. The release's workflow builds by the same commands. What is different: the image is
for this machine's architecture only and goes into a file instead of a registry, and nothing is signed or attested.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scripts import packages, release

ROOT = release.ROOT
OUT = release.OUT
NAME = "localhost/hunkwise"
"""The image, where a release has ghcr.io/OWNER/hunkwise."""
BUILD_FILES = ([sys.executable, "scripts/packages.py"], [sys.executable, "scripts/sbom.py"])
BUILD_IMAGE = ["scripts/image/build.sh"]
COMPLETE = [sys.executable, "scripts/release.py", "complete"]
ACTION_TEST = "tests/image/test_review.py::test_posts_review_once_and_leaves_report_for_later_steps"
DEBIAN_PACKAGES = ("podman", "buildah", "debootstrap", "runc")
_CHUNK = 1 << 20


def missing_programs(registry: bool) -> list[str]:
    """Returns the programs that the image needs and this machine does not have."""
    return [
        name
        for name in DEBIAN_PACKAGES
        if not (name == "debootstrap" and registry) and shutil.which(name) is None
    ]


def remaining_steps(version: str, has_notes: bool) -> list[str]:
    """Returns what a maintainer has to do for the real release, in order."""
    notes = f"write the section [{version}] of CHANGELOG.md, and commit it to main"
    return [
        *([] if has_notes else [notes]),
        f"tag the commit of main, and push the tag: git tag --sign source/v{version} && "
        f"git push origin source/v{version}",
        "approve the run of the workflow Release, which pushes the image, signs it, and creates the tags",
    ]


def named_in(path: Path, texts: Iterable[str]) -> list[str]:
    """Returns those of the texts that a file has, in its members and unpacked layers too if it is an archive."""
    wanted = {text: text.encode() for text in texts}
    found: set[str] = set()
    for stream in _contents(path):
        overlap = max(map(len, wanted.values()), default=1) - 1
        tail = b""
        while chunk := stream.read(_CHUNK):
            window = tail + chunk
            found |= {text for text, content in wanted.items() if content in window}
            tail = window[-overlap:] if overlap else b""
    return sorted(found)


def _contents(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Yields the readable content of a file: that of each member of a wheel or image, unpacked."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                with wheel.open(name) as member:
                    yield member
    elif path.name.endswith(".oci.tar"):
        with tarfile.open(path) as image:
            for entry in image:
                if (blob := image.extractfile(entry)) is not None:
                    yield _unpacked(blob)
    else:
        with path.open("rb") as file:
            yield _unpacked(file)


def _unpacked(file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file


@contextmanager
def _step(title: str) -> Iterator[None]:
    """Prints the step, and its time when it is done."""
    print(f"{title} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"  {time.monotonic() - began:.0f} s", flush=True)


def _run(command: list[str], environment: Mapping[str, str] = os.environ, folder: Path = ROOT) -> str:
    """Returns the standard output. Raises ReleaseError with all output where the command fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = f"{done.stdout}{done.stderr}".strip()
        raise release.ReleaseError(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
    return done.stdout


def build(version: str) -> str:
    """Builds all files of the release in an empty dist/, and returns the image by its digest."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    epoch = _run(["git", "log", "-1", "--format=%ct"]).strip()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    with _step("Build the wheel, the source distribution and the SBOMs"):
        for command in BUILD_FILES:
            _run(command, environment)
    with _step("Build the image"):
        archive = ["--archive", str(OUT / release.archive_name(version))]
        digest = _run(
            [*BUILD_IMAGE, f"{NAME}:{version}", *archive], {**os.environ, "ENGINE": "podman"}
        ).strip()
    image = f"{NAME}@{digest}"
    with _step("Write action.yml and the checksums"):
        _run([*COMPLETE, image])
    return image


def machine_paths(home: str) -> list[str]:
    """Returns what no file of a release may name: the checkout, the folder of the build, and a user's home folder."""
    return [str(ROOT), packages.SCRATCH, *([home] if home.startswith(("/home/", "/Users/")) else [])]


def check_paths() -> None:
    """Raises ReleaseError where a file of dist/ names a folder of this machine."""
    texts = machine_paths(str(Path.home()))
    found = {path.name: named_in(path, texts) for path in sorted(OUT.iterdir())}
    if faults := [f"{name} names {', '.join(paths)}" for name, paths in found.items() if paths]:
        raise release.ReleaseError("a release must not depend on the machine: " + "; ".join(faults))


def install_commands(python: Path, wheel: Path) -> list[list[str]]:
    """Returns the commands that install the locked packages and the wheel for an empty environment's Python."""
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    return [
        [*pip, *"install --quiet --no-deps --require-hashes -r requirements/runtime.txt".split()],
        [*pip, *"install --quiet --no-deps --no-index".split(), str(wheel)],
        [*pip, "check"],
    ]


def review_with_wheel(version: str, folder: Path) -> None:
    """Installs the wheel and the locked packages into an empty environment, and reviews the example with it."""
    wheel, home, python = (
        OUT / release.file_names(version)[0],
        folder / "home",
        folder / "venv" / "bin" / "python",
    )
    (home / ".cache").mkdir(parents=True)
    # Without it the CLI unpacks itself in its first 2 s, which a busy machine cannot do before hunkwise gives up.
    (home / ".cache" / "copilot").symlink_to(ROOT / "node_modules" / ".cache" / "copilot")
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")])
    for command in install_commands(python, wheel):
        _run(command)
    programs = os.pathsep.join((str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
    environment = {"PATH": programs, "HOME": str(home), "TMPDIR": str(folder), "PYTHONNOUSERSITE": "1"}
    printed = _run([str(folder / "venv" / "bin" / "hunkwise"), "--version"], environment, folder)
    reviewed = _run([str(python), str(ROOT / "examples" / "show.py")], environment, folder)
    if (
        printed.strip() != f"hunkwise {version}"
        or re.search(r"^\d+ findings: ", reviewed, re.MULTILINE) is None
    ):
        raise release.ReleaseError(f"{wheel.name} did not review the example:\n{printed}{reviewed}")


@contextmanager
def empty_image_store(folder: Path) -> Iterator[dict[str, str]]:
    """Yields the environment in which podman has no image, as a machine that has never run hunkwise."""
    driver = _run(["podman", "info", "--format", "{{.Store.GraphDriverName}}"]).strip()
    settings = folder / "storage.conf"
    folder.mkdir()
    settings.write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
    )
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}
    try:
        yield environment
    finally:
        remove = ["podman", "rmi", "--all", "--force"]
        subprocess.run(remove, env=environment, capture_output=True, check=False)


def run_action(version: str, image: str, folder: Path) -> None:
    """Runs dist/action.yml as GitHub's runner does, by the digest, on what is in the archive alone."""
    with empty_image_store(folder / "store") as store:
        _run(["podman", "pull", "--quiet", f"oci-archive:{OUT / release.archive_name(version)}"], store)
        form = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
        revision = _run(["podman", "image", "inspect", "--format", form, image], store).strip()
        if revision != _run(["git", "rev-parse", "HEAD"]).strip():
            raise release.ReleaseError(
                f"the label of {image} names the commit {revision} instead of this one"
            )
        environment = {**store, "ENGINE": "podman", "HUNKWISE_ACTION": str(OUT / "action.yml")}
        _run([sys.executable, "-m", "pytest", "-q", "-n", "0", ACTION_TEST], environment)


def check_machine() -> str:
    """Returns the changes that are in no commit, if they are allowed.

    Raises ReleaseError if they are not, or if a program is missing.
    """
    changed = release.changes()
    if changed and os.environ.get("ALLOW_DIRTY") != "1":
        raise release.ReleaseError(
            f"the checkout has changes that are in no commit:\n{changed}\n"
            "Commit them, or set ALLOW_DIRTY=1 to rehearse with them."
        )
    if missing := missing_programs(os.environ.get("BASE_IMAGES") == "registry"):
        raise release.ReleaseError(
            f"there is no {', '.join(missing)} here: on Debian, apt-get install {' '.join(DEBIAN_PACKAGES)}"
        )
    return changed


def rehearse(changed: str) -> None:
    """Raises ReleaseError with the first thing that would keep a release from being made or used.

    `changed` lists the changes that are in no commit.
    """
    began = time.monotonic()
    version = release.read_version()
    image = build(version)
    with tempfile.TemporaryDirectory(prefix="hunkwise-rehearsal-") as scratch:
        with _step("Look for paths of this machine in the files"):
            check_paths()
        with _step("Review the example with the wheel, in an empty environment"):
            review_with_wheel(version, Path(scratch))
        with _step(f"Run the action by its digest: {image}"):
            run_action(version, image, Path(scratch))
    _print_result(version, changed, time.monotonic() - began)


def _print_result(version: str, changed: str, seconds: float) -> None:
    print(f"\nhunkwise {version} is in dist/, and was used from there; {seconds:.0f} s:\n")
    for path in sorted(OUT.iterdir()):
        print(f"  {path.stat().st_size / 1e6:7.2f} MB  {path.name}")
    if changed:
        print("\nIt has changes that are in no commit (ALLOW_DIRTY=1).")
    print("\nNothing was pushed. What remains for the release:")
    try:
        has_notes = bool(release.notes(version))
    except release.ReleaseError:
        has_notes = False
    for number, step in enumerate(remaining_steps(version, has_notes), 1):
        print(f"  {number}. {step}")


def main(arguments: list[str]) -> int:
    """0, or 1 with the reason on standard error. With `--check` it only checks whether it can run here."""
    try:
        changed = check_machine()
        if arguments != ["--check"]:
            rehearse(changed)
    except release.ReleaseError as why:
        print(f"release-rehearsal: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

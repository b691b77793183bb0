"""Installs locks with old and new versions of pip: newer releases of packages must change nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts import rehearsal

ROOT = Path(__file__).resolve().parents[1]
RELEASE = ".github/workflows/release.yml"
REHEARSAL = "scripts/rehearsal.py"
DOCKERFILES = ("Dockerfile", "examples/server/service.Dockerfile")
# The versions of Debian 12 and of Python 3.11.7, each for the Pythons that it was released for: the first needs
# pkgutil.ImpImporter, which Python 3.12 removed.
OLD_PIPS = {"23.0.1": (3, 11), "23.2.1": (3, 12)}
_FITTING = [version for version, newest in OLD_PIPS.items() if sys.version_info[:2] <= newest]
PIPS = [
    *(
        pytest.param(f"pip=={version}", marks=pytest.mark.nightly if number else ())
        for number, version in enumerate(_FITTING)
    ),
    pytest.param("pip", marks=pytest.mark.nightly),
]
"""One old version is enough for each change: the newest one is that of the checkout, or near to it."""
# Options without influence on the installed versions.
IRRELEVANT = {"--quiet", "--no-cache-dir", "--no-compile", "--disable-pip-version-check"}
CHECK = re.compile(r"\bpip( --python \S+)? check\b")
CHECKED = {"dev", "fuzz", "release", "runtime", "service"}
"""The locks whose packages depend on each other, or on those of another lock."""

Words = tuple[str, ...]


def commands(name: str) -> list[str]:
    """Returns the commands of a file in their order, as a shell receives them."""
    if name == "Makefile":
        targets = [f".venv/.{part}" for part in ("runtime", "dev", "fuzz", "lock")]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        printed = subprocess.run(
            ["make", "--dry-run", "--always-make", *targets],
            cwd=ROOT, env=environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return printed.stdout.splitlines()
    if name == REHEARSAL:
        return [
            shlex.join(command)
            for command in rehearsal.install_commands(Path("bin/python"), Path("hunkwise.whl"))
        ]
    text = (ROOT / name).read_text(encoding="utf-8")
    if name in DOCKERFILES:
        return [part for line in joined(text) for part in line.split("&&")]
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(text)["jobs"]
    steps = [step for job in jobs.values() for step in job.get("steps", [])]
    return [line for step in steps for line in joined(step.get("run", ""))]


def joined(text: str) -> list[str]:
    """Returns the lines of a text after joining lines that end with a backslash."""
    return re.sub(r"\\\n\s*", "", text).splitlines()


def locks(command: str) -> set[str]:
    return set(re.findall(r"-r requirements/(\w+)\.txt", command))


def installs(name: str) -> list[str]:
    return [command for command in commands(name) if "--require-hashes" in command]


def words_of(command: str) -> Words:
    """Returns the arguments for pip without the name of the lock, which the test replaces."""
    words = shlex.split(command.partition(" install ")[2])
    return "install", *(word for word in words if word != "-r" and not word.startswith("requirements/"))


INSTALLS = {name: installs(name) for name in ("Makefile", *DOCKERFILES, RELEASE, REHEARSAL)}
DISTINCT = {
    tuple(word for word in words if word not in IRRELEVANT): words
    for found in INSTALLS.values()
    for words in map(words_of, found)
}


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a version of pip and an index of two packages."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    @classmethod
    def create(cls, folder: Path, pip: str) -> Environment:
        venv.create(folder, symlinks=True)
        made = cls(folder)
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        where = ["--only-binary", ":all:", "--no-compile", "--target", str(made.packages)]
        done = subprocess.run([*command, *where, pip], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(
                f"{pip} could not be installed, which this test needs to try it: check the index that pip is "
                f"configured for (pip config list) and the network. {done.stderr[-500:]}"
            )
        return made

    def run(self, words: Words, index: Path, lock: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command of the product with the test's lock and index."""
        file = index / "lock.txt"
        file.write_text("\n".join(lock), encoding="utf-8")
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
        last = ["-r", str(file)] if lock else []
        return subprocess.run(
            [self.python, "-m", "pip", *words, *last],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def taken(self) -> set[str]:
        """What was installed beside pip, which is removed: the packages are empty."""
        found = [path for path in self.packages.glob("*.dist-info") if not path.name.startswith("pip-")]
        for path in found:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        return {path.name.removesuffix(".dist-info") for path in found}


def wheel(folder: Path, name: str, version: str, *metadata: str) -> str:
    """Makes a package without code, and returns the line that locks it."""
    info = f"{name}-{version}.dist-info"
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    files = {
        f"{info}/METADATA": "\n".join([*head, *metadata, ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    archive = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        for path, text in files.items():
            opened.writestr(path, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("pip", PIPS)
def test_every_install_takes_the_lock_and_not_a_newer_release(pip: str, tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    base = wheel(index, "base", "1.0", "Provides-Extra: toml")
    user = wheel(index, "user", "1.0", "Requires-Dist: base[toml]>=1")
    wheel(index, "base", "1.1", "Provides-Extra: toml")
    environment = Environment.create(tmp_path / "python", pip)
    for words in DISTINCT.values():
        done = environment.run(words, index, [base, user])
        assert done.returncode == 0, (words, done.stderr)
        assert environment.taken() == {"base-1.0", "user-1.0"}

    # Without the option an old pip fails, as pypa/pip#9644 says: this is what the test is about.
    if pip != "pip":
        without = tuple(word for word in words if word != "--no-deps")
        done = environment.run(without, index, [base, user])
        assert done.returncode != 0
        assert "base[toml]>=1 from" in done.stderr

    # What the option leaves out is found by the check that follows.
    with zipfile.ZipFile(index / "user-1.0-py3-none-any.whl") as opened:
        opened.extractall(environment.packages)
    done = environment.run(("check",), index, [])
    assert (done.returncode, done.stdout.strip()) == (1, "user 1.0 requires base, which is not installed.")


@pytest.mark.parametrize("name", INSTALLS)
def test_check_follows_each_install(name: str) -> None:
    steps = [command for command in commands(name) if locks(command) or CHECK.search(command)]
    pairs = [(step, after) for step, after in pairwise([*steps, ""]) if locks(step) & CHECKED]
    assert pairs
    assert [step for step, after in pairs if not CHECK.search(after)] == []


def test_all_installs_of_locks_have_no_deps() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]
    found = {
        path: lines
        for path in files
        if path != "tests/test_locks.py" and not path.endswith(".md")
        if (lines := [line for line in joined(text_of(path)) if "--require-hashes" in line])
    }
    assert found.keys() == INSTALLS.keys()
    assert [line for lines in found.values() for line in lines if "--no-deps" not in line] == []


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")

"""hunkwise as an installed package: built from the sources, installed without a checkout, run in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest
from scripts import packages, rehearsal

from hunkwise.copilot.find_cli import CHECKOUT, find_cli
from tests.fakes.cli_release import real_archive, release
from tests.fakes.git_repository import GitRepository
from tests.fakes.http_server import serve

EPOCH = 1_700_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the wheel of a release, which is built from the source distribution."""
    built, _sdist = packages.build(tmp_path_factory.mktemp("dist"), EPOCH)
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the command of the wheel in an environment of its own."""
    folder = tmp_path_factory.mktemp("installed")
    home = folder / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, capture_output=True, check=True)
    # The dependencies are those of this environment. Its own hunkwise is named in a file that only it reads.
    (packages,) = home.glob("lib/*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return home / "bin" / "hunkwise"


class InstalledCommand:
    """The installed command in an empty folder, with a home of its own."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.repository = GitRepository.create(folder / "repository")
        self.repository.commit({"a.py": "def f(x):\n    return x\n"})
        self.repository.git("checkout", "-q", "-b", "topic")
        self.repository.commit({"a.py": "def f(x):\n    return eval(x)\n"})
        for name in ("empty", "home", "cache", "bin", "tmp"):
            (folder / name).mkdir()
        for name in ("git", "node"):  # and no `copilot`, which a machine may have in the same folder
            (folder / "bin" / name).symlink_to(shutil.which(name) or "missing")

    def run(self, *arguments: str, code: int, **environ: str) -> str:
        """Returns what the command printed, to both streams. Asserts its exit code."""
        done = subprocess.run(
            [self._program, *arguments],
            cwd=self._folder / "empty",
            env={
                "PATH": str(self._folder / "bin"),
                "HOME": str(self._folder / "home"),
                "XDG_CACHE_HOME": str(self._folder / "cache"),
                "TMPDIR": str(self._folder / "tmp"),
                **environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def review(self, code: int = 0, **environ: str) -> str:
        """Does the same with a review of the repository by the demo."""
        arguments = ("review", "--model", "demo", "--repository", str(self.repository.path))
        return self.run(*arguments, code=code, **environ)


@pytest.fixture
def installed(program: Path, tmp_path: Path) -> InstalledCommand:
    return InstalledCommand(program, tmp_path)


def test_same_commit_gives_the_same_packages(wheel: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = packages.build(tmp_path, EPOCH)
    finally:
        os.umask(before)
    for path in again:
        assert path.read_bytes() == (wheel.parent / path.name).read_bytes()
        assert rehearsal.named_in(path, [*rehearsal.machine_paths(str(Path.home())), str(tmp_path)]) == []
    with tarfile.open(again[1]) as sdist:
        members = sdist.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.uname, member.uid, member.mtime) for member in members} == {("", 0, EPOCH)}


def test_installed_package_names_the_ways_to_a_cli_and_reviews_with_one_on_path(
    installed: InstalledCommand, tmp_path: Path
) -> None:
    served = release(b"")
    with serve(served) as url:
        missing = installed.review(code=3, COPILOT_CLI_DOWNLOAD_BASE_URL=url)
    for way in ("`hunkwise setup`", "`npm install -g @github/copilot", "COPILOT_CLI_PATH"):
        assert way in missing
    assert (served.requests, "make setup" in missing) == ([], False)

    (tmp_path / "bin" / "copilot").symlink_to(CHECKOUT / "node_modules" / ".bin" / "copilot")
    (tmp_path / "cache" / "copilot").symlink_to(CHECKOUT / "node_modules" / ".cache" / "copilot")
    assert "eval" in installed.review()


def test_installed_package_downloads_the_cli_and_reviews_with_it(installed: InstalledCommand) -> None:
    archive = real_archive(find_cli({"PATH": ""}).program)
    with serve(release(archive)) as url:
        printed = installed.run("setup", "--yes", code=0, COPILOT_CLI_DOWNLOAD_BASE_URL=url)
    assert "Downloaded and verified" in printed
    assert "eval" in installed.review()

"""The git process: untrusted repository configuration has no effect, kinds of repositories, and failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git
from hunkwise.repository.git_process import call
from hunkwise.repository.history import read_subject
from tests.repository.repositories import Trees, git

HOSTILE = """
[core]
    fsmonitor = {run}
    hooksPath = {hooks}
    pager = {run}
    sshCommand = {run}
    attributesFile = {attributes}
    alternateRefsCommand = {run}
    bigFileThreshold = 1
[diff]
    external = {run}
    noprefix = true
[diff "evil"]
    command = {run}
    textconv = {run}
[filter "evil"]
    smudge = {run}
    clean = {run}
[alias]
    diff-tree = !{run}
    ls-tree = !{run}
    grep = !{run}
[pager]
    diff-tree = {run}
    log = {run}
    grep = {run}
[log]
    showSignature = true
[gpg]
    program = {run}
[remote "origin"]
    url = ext::{run}
    promisor = true
    partialCloneFilter = blob:none
    uploadpack = {run}
[protocol]
    allow = always
[extensions]
    partialClone = origin
"""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Returns the path of a file that the hostile program creates when it runs."""
    return tmp_path / "canary"


@pytest.fixture
def hostile(tmp_path: Path, canary: Path) -> tuple[Trees, str, str]:
    """Returns a checkout in which every setting that can name a program names the hostile one."""
    run = tmp_path / "run"
    run.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    run.chmod(0o755)
    trees = Trees.make(tmp_path / "checkout")
    attributes = b"* -diff diff=evil filter=evil binary\n"
    base = trees.commit({b".gitattributes": attributes, b"f.py": b"one\ntwo\n"})
    head = trees.commit({b".gitattributes": attributes, b"f.py": b"one\nthree\n"}, [base])
    git(trees.folder, "reset", "--hard", "--quiet")
    (trees.folder / ".git/info").mkdir(exist_ok=True)
    (trees.folder / ".git/info/attributes").write_bytes(attributes)
    (tmp_path / "attributes").write_bytes(attributes)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("fsmonitor-watchman", "post-index-change", "reference-transaction", "pre-auto-gc"):
        (hooks / name).symlink_to(run)
    with (trees.folder / ".git/config").open("a") as config:
        config.write(HOSTILE.format(run=run, hooks=hooks, attributes=tmp_path / "attributes"))
    return trees, base, head


def test_programs_of_repository_configuration_are_not_run(
    hostile: tuple[Trees, str, str], canary: Path
) -> None:
    trees, base, head = hostile
    repository = Git(trees.folder)
    assert repository.resolve("HEAD") == head
    assert repository.default_branch() == "main"
    assert repository.has(head)
    assert repository.merge_base(base, head) == base
    assert read_subject(repository, head) == "A change"
    assert repository.tree(head) == (".gitattributes", "f.py")
    assert repository.blob(head, "f.py", 99) == b"one\nthree\n"
    assert repository.grep(head, "th", [], 9) == [("f.py", 2, "three")]
    (file,) = repository.diff(base, head)
    assert (file.path, file.additions, file.deletions, file.binary) == ("f.py", 1, 1, False)
    assert not canary.exists()


def test_plain_git_runs_the_hostile_program(hostile: tuple[Trees, str, str], canary: Path) -> None:
    trees, base, head = hostile
    git(trees.folder, "diff", base, head)
    assert canary.exists()


def test_missing_objects_are_an_error_and_not_fetched(hostile: tuple[Trees, str, str], canary: Path) -> None:
    trees, base, head = hostile
    oid = subprocess.check_output(["git", "hash-object", "--stdin"], input=b"one\nthree\n").decode().strip()
    loose = trees.folder / ".git/objects" / oid[:2] / oid[2:]
    loose.unlink()
    with pytest.raises(RepositoryError, match="without a filter"):
        Git(trees.folder).diff(base, head)
    assert Git(trees.folder).grep(head, "one", [], 9) == []
    assert not canary.exists()


def test_git_variables_of_environment_have_no_effect(
    hostile: tuple[Trees, str, str], canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees, base, head = hostile
    run = str(canary.parent / "run")
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_TRACE"):
        monkeypatch.setenv(name, run)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_DIFF_OPTS", "-u0")
    (file,) = Git(trees.folder).diff(base, head)
    assert [line.kind for line in file.hunks[0].lines] == [" ", "-", "+"]
    assert len(Git.diff_blobs(b"a\nb\n", b"a\nc\n")[0].lines) == 3
    assert not canary.exists()


def test_work_tree_bare_subfolder_and_shallow_clone_are_read_alike(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path / "origin")
    base = trees.commit({b"d/f": b"1\n"})
    head = trees.commit({b"d/f": b"2\n"}, [base])
    git(trees.folder, "reset", "--hard", "--quiet")
    git(trees.folder, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), base)
    git(trees.folder, "gc", "--quiet")
    source = f"file://{trees.folder}"
    for options in (["--bare"], ["--depth=1"]):
        place = str(tmp_path / options[0].strip("-="))
        git(trees.folder, "clone", "--quiet", *options, source, place)
    assert Git(tmp_path / "tree").resolve("HEAD") == base
    for place in ("origin", "origin/d", "tree", "bare"):
        repository = Git(tmp_path / place, bare=place == "bare")
        assert repository.resolve("main") == head
        assert [file.path for file in repository.diff(base, head)] == ["d/f"]
    shallow = Git(tmp_path / "depth=1")
    assert not shallow.has(base)
    assert shallow.merge_base(head, head) == head
    with pytest.raises(RepositoryError, match="fetch-depth: 0"):
        shallow.resolve("HEAD~1")


def test_bare_repository_among_other_files_is_read_only_if_given(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path / "origin")
    sha = trees.commit({b"f": b"1\n"})
    git(trees.folder, "clone", "--quiet", "--bare", f"file://{trees.folder}", str(tmp_path / "bare"))
    with pytest.raises(RepositoryError, match="There is no git repository"):
        Git(tmp_path / "bare").has(sha)
    with pytest.raises(RepositoryError, match="There is no git repository"):
        Git(tmp_path / "bare" / "refs").has(sha)
    assert Git(tmp_path / "bare", bare=True).has(sha)


def test_repositories_with_sha256_are_read(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path, "--object-format=sha256")
    base = trees.commit({b"f": b"1\n"})
    head = trees.commit({b"f": b"2\n"}, [base])
    assert len(head) == 64
    (file,) = Git(tmp_path).diff(base, head)
    assert (file.additions, file.deletions) == (1, 1)


def test_missing_repository_is_an_error_with_hint(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="Run actions/checkout first") as raised:
        Git(Path("/proc")).resolve("HEAD")
    assert raised.value.shell_faults[0].endswith(
        "Change to a folder of a clone, or name one by --repository."
    )
    Trees.make(tmp_path / "new")
    with pytest.raises(RepositoryError, match=r"^This repository has no commits yet\.$"):
        Git(tmp_path / "new").resolve("HEAD")
    (tmp_path / ".git").write_bytes(b"gitdir: \xff\n")
    with pytest.raises(RepositoryError, match="could not be read"):
        Git(tmp_path).resolve("HEAD")


def test_repository_without_configuration_is_read(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    sha = trees.commit({b"f": b"1\n"})
    (tmp_path / ".git/config").unlink()
    assert Git(tmp_path).resolve("main") == sha


def test_private_folder_is_deleted_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees.make(tmp_path / "checkout")
    sha = trees.commit({b"f": b"1\n"})
    repository = Git(trees.folder)
    assert repository.has(sha)
    mirror = repository._mirror
    assert mirror is not None
    folder = mirror.folder
    assert folder.is_dir()
    del repository, mirror
    assert not folder.exists()
    assert (trees.folder / ".git/refs/heads/main").exists()


def program(folder: Path, script: str) -> dict[str, str]:
    """Returns an environment in which `git` is the script."""
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def test_hanging_git_is_ended_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"`git log` was not done within 0\.2 s"):
        call(["--bare", "log"], program(tmp_path, "exec sleep 60"), timeout=0.2)


def test_endless_output_is_read_to_the_limit(tmp_path: Path) -> None:
    answer = call(["log"], program(tmp_path, "exec yes"), limit=5)
    assert answer.output == b"y\ny\ny"
    assert answer.cut


def test_missing_git_is_an_error_with_hint(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="Install git"):
        call(["log"], {"PATH": str(tmp_path), "HOME": str(tmp_path)})


def test_long_error_output_is_shortened_to_its_first_line(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 9000 ]; do echo fatal: no more >&2; i=$((i+1)); done; exit 128"
    answer = call(["log"], program(tmp_path, script))
    assert (answer.code, answer.complaint) == (128, "fatal: no more")


def test_root_reads_a_checkout_as_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, git runs as the current user."""
    owner = 4321 if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # other users cannot read pytest's folders
        folder = Path(name)
        folder.chmod(0o755)
        seen = folder / "seen"
        seen.touch()
        seen.chmod(0o666)
        program = folder / "git"
        program.write_text(f'#!/bin/sh\nid -u >> "{seen}"\nexec {shutil.which("git")} "$@"\n')
        program.chmod(0o755)
        checkout = folder / "checkout"
        git(folder, "init", "-q", "checkout")
        (checkout / "file").write_text("text")
        git(checkout, "add", ".")
        git(checkout, "commit", "-qm", "one")
        for path in (checkout, *checkout.rglob("*")):
            if owner != os.geteuid():
                os.chown(path, owner, owner, follow_symlinks=False)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        repository = Git(checkout)
        assert repository.blob(repository.resolve("HEAD"), "file", 100) == b"text"
        assert set(seen.read_text().split()) == {str(owner)}


def has_ended(pid: str) -> bool:
    """Returns whether the process has ended or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_child_processes_of_git_are_ended_with_it(tmp_path: Path) -> None:
    env = program(tmp_path, "echo $$ > pid; sleep 60 & echo $! >> pid; wait")
    with pytest.raises(RepositoryError, match="was not done"):
        call(["log"], env, timeout=0.5)
    for pid in (tmp_path / "pid").read_text().split():
        ends = time.monotonic() + 10  # the process ends some time after the signal
        while not has_ended(pid) and time.monotonic() < ends:
            time.sleep(0.01)
        assert has_ended(pid)


def test_running_call_is_ended_when_the_repository_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = Trees.make(tmp_path / "checkout")
    sha = trees.commit({b"f": b"1\n"})
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", program(programs, f"touch {programs}/begun; sleep 60")["PATH"])
    repository = Git(trees.folder)
    failed: list[RepositoryError] = []

    def call() -> None:
        try:
            repository.has(sha)
        except RepositoryError as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not (programs / "begun").exists():
        thread.join(0.01)
    repository.close()
    thread.join()
    with pytest.raises(RepositoryError, match="the run is over"):
        repository.has(sha)


def test_call_of_git_ends_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees.make(tmp_path / "checkout")
    sha = trees.commit({b"f": b"1\n"})
    monkeypatch.setenv("PATH", program(tmp_path, "sleep 60")["PATH"])
    with pytest.raises(RepositoryError, match=r"was not done within 0\.3 s"):
        Git(trees.folder, seconds_left=lambda: 0.3).has(sha)


def test_missing_temporary_folder_is_an_error_with_hint(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path / "checkout")
    sha = trees.commit({b"f": b"1\n"})
    script = f"""
import tempfile
from pathlib import Path
from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git
tempfile.tempdir = "/dev/null/gone"
for call in (lambda: Git(Path({str(trees.folder)!r})).has({sha!r}), lambda: Git.diff_blobs(b"1", b"2")):
    try:
        call()
    except RepositoryError as error:
        print(error)
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    message = "Git could not be given a temporary file: Not a directory."
    assert [line.startswith(message) and "TMPDIR" in line for line in output.splitlines()] == [True, True]

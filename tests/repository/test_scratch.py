"""Scratch repositories: commits of trees with any names, reproducible SHAs, and applied diffs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hunkwise.domain.diff import FileStatus
from hunkwise.errors import RepositoryError
from hunkwise.evaluation.dataset import UNSHOWN, files_of_diff
from hunkwise.repository.trees import ScratchRepository

DIFF = b"""\
diff --git a/run.sh b/run.sh
old mode 100755
new mode 100755
--- a/run.sh
+++ b/run.sh
@@ -3,2 +3,3 @@
 three
+new
 four
\\ No newline at end of file
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1,1 +0,0 @@
-gone
diff --git a/new.py b/new.py
new file mode 120000
--- /dev/null
+++ b/new.py
@@ -0,0 +1,1 @@
+/etc/passwd
\\ No newline at end of file
diff --git a/old.txt b/moved.txt
similarity index 100%
rename from old.txt
rename to moved.txt
"""


@pytest.fixture
def store() -> Iterator[ScratchRepository]:
    with closing(ScratchRepository()) as repository:
        yield repository


@pytest.mark.parametrize(
    "name", ["a.py", 'q"uote', "back\\slash", "line\nfeed", "d/ü", "tab\t", "\udcff", " ", "a b/c"]
)
def test_any_name_and_content_is_stored(store: ScratchRepository, name: str) -> None:
    base = store.commit({})
    head = store.commit({name: (b"\xff\n\ndata 3\n", True)}, base)
    (file,) = store.diff(base, head)
    assert (file.path, file.status) == (name, FileStatus.ADDED)
    assert store.at(head).read(name) == b"\xff\n\ndata 3\n"


def test_equal_trees_have_equal_commits(store: ScratchRepository) -> None:
    def commits(one: ScratchRepository) -> tuple[str, str]:
        base = one.commit({"b": (b"1", False), "a": (b"2", False)})
        return base, one.commit({"a": (b"3", False)}, base)

    with closing(ScratchRepository()) as other:
        assert commits(store) == commits(other) == commits(store)


def test_diff_is_applied_to_the_base_lines_that_it_shows(store: ScratchRepository) -> None:
    shown = files_of_diff(DIFF)
    assert shown is not None
    assert {path: (content.raw.decode(), content.executable) for path, content in shown.items()} == {
        "run.sh": (f"{UNSHOWN}\n{UNSHOWN}\nthree\nfour", True),
        "gone.py": ("gone\n", False),
        "old.txt": (f"{UNSHOWN}\n", False),
    }
    base = store.commit(shown)
    head = store.apply(base, DIFF)
    assert {(file.path, file.status) for file in store.diff(base, head)} == {
        ("run.sh", FileStatus.MODIFIED),
        ("gone.py", FileStatus.REMOVED),
        ("new.py", FileStatus.ADDED),
        ("moved.txt", FileStatus.RENAMED),
    }
    assert store.at(head).read("new.py") is None  # a symbolic link is not followed


def test_folder_is_deleted_on_close(tmp_path: Path) -> None:
    repository = ScratchRepository()
    folder = repository._home
    repository.commit({"a": (b"", False)})
    repository.close()
    assert not folder.exists()


def test_error_of_git_has_no_local_path(store: ScratchRepository) -> None:
    base = store.commit({"a": (b"1\n", False)})
    for diff in (b"nonsense", DIFF):
        with pytest.raises(RepositoryError) as raised:
            store.apply(base, diff)
        assert str(store._home) not in str(raised.value)
    with pytest.raises(RepositoryError, match="The files cannot be kept"):
        store.commit({"../a": (b"", False)})


def test_deleted_folder_is_an_error() -> None:
    repository = ScratchRepository()
    base = repository.commit({"a": (b"1\n", False)})
    repository.close()
    with pytest.raises(RepositoryError, match="could not be given a temporary file"):
        repository.apply(base, DIFF)

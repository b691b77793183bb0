"""Repositories that are made of trees: the same trees make the same commits, whatever their names."""

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
    with closing(ScratchRepository()) as made:
        yield made


@pytest.mark.parametrize(
    "name", ["a.py", 'q"uote', "back\\slash", "line\nfeed", "d/ü", "tab\t", "\udcff", " ", "a b/c"]
)
def test_any_name_and_content_is_kept(store: ScratchRepository, name: str) -> None:
    base = store.commit({})
    head = store.commit({name: (b"\xff\n\ndata 3\n", True)}, base)
    (file,) = store.diff(base, head)
    assert (file.path, file.status) == (name, FileStatus.ADDED)
    assert store.at(head).read(name) == b"\xff\n\ndata 3\n"


def test_the_same_trees_make_the_same_commits(store: ScratchRepository) -> None:
    def made(one: ScratchRepository) -> tuple[str, str]:
        base = one.commit({"b": (b"1", False), "a": (b"2", False)})
        return base, one.commit({"a": (b"3", False)}, base)

    with closing(ScratchRepository()) as other:
        assert made(store) == made(other) == made(store)


def test_a_diff_is_applied_to_what_it_shows_of_its_base(store: ScratchRepository) -> None:
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
    assert store.at(head).read("new.py") is None  # a link stays a word of git's


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    made = ScratchRepository()
    folder = made._home
    made.commit({"a": (b"", False)})
    made.close()
    assert not folder.exists()


def test_what_git_refuses_is_told_without_a_path_of_this_machine(store: ScratchRepository) -> None:
    base = store.commit({"a": (b"1\n", False)})
    for diff in (b"nonsense", DIFF):
        with pytest.raises(RepositoryError) as raised:
            store.apply(base, diff)
        assert str(store._home) not in str(raised.value)
    with pytest.raises(RepositoryError, match="The files cannot be kept"):
        store.commit({"../a": (b"", False)})


def test_a_folder_that_somebody_took_away_is_told() -> None:
    made = ScratchRepository()
    base = made.commit({"a": (b"1\n", False)})
    made.close()
    with pytest.raises(RepositoryError, match="could not be given a temporary file"):
        made.apply(base, DIFF)

"""Folders of cases: reading, and rejection of invalid or unsafe ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hunkwise.errors import SettingsError
from hunkwise.evaluation import dataset
from hunkwise.evaluation.dataset import MAX_CASES, MAX_DIFF, MAX_LINES, CaseFile, read_cases
from hunkwise.evaluation.preparation import EvalSettings, make_ready
from hunkwise.repository.trees import ScratchRepository
from tests.evaluation.samples import DIFF, QUIET, golden, write, write_case

CLEAN = {"version": 1, "findings": []}
TREES: dict[str, object] = {"golden.json": CLEAN, "base/a.py": "1\n", "head/a.py": "2\n"}


def faults(folder: Path) -> list[str]:
    """Returns the faults of the cases, without the folder's path."""
    with pytest.raises(SettingsError) as raised, closing(ScratchRepository()) as store:
        make_ready(read_cases(folder), EvalSettings(QUIET), store)
    return [fault.replace(f"{folder}/", "").replace(str(folder), "CASES") for fault in raised.value.faults]


def test_cases_are_read_by_name_and_other_entries_ignored(tmp_path: Path) -> None:
    write_case(tmp_path, "b", golden(2))
    write(tmp_path / "a", {**TREES, "head/run.sh": b"\xff", "notes.md": "", ".hidden": ""})
    (tmp_path / "a/head/run.sh").chmod(0o755)
    write(
        tmp_path,
        {"README.md": "", ".cache/x": "", "recorded/recording.json": "{}", "runs/one/recording.json": "{}"},
    )
    one, other = read_cases(tmp_path)
    assert (one.name, one.base, one.head) == (
        "a",
        {"a.py": CaseFile(b"1\n")},
        {"a.py": CaseFile(b"2\n"), "run.sh": CaseFile(b"\xff", True)},
    )
    assert (other.name, other.diff, other.head) == ("b", DIFF.encode(), None)
    assert other.base == {"a.py": CaseFile(b"one\ntwo\nfive\n")}


def test_folder_of_a_single_case_is_read(tmp_path: Path) -> None:
    (case,) = read_cases(write_case(tmp_path, "alone"))
    assert case.name == "alone"


def test_change_of_only_new_files_needs_no_base(tmp_path: Path) -> None:
    (case,) = read_cases(write(tmp_path / "new", {"golden.json": CLEAN, "head/a.py": "1\n"}))
    assert (case.base, case.head) == ({}, {"a.py": CaseFile(b"1\n")})


def test_digest_depends_on_every_part_of_a_case(tmp_path: Path) -> None:
    def digest() -> str:
        return read_cases(folder)[0].digest

    folder = write(tmp_path / "one", TREES)
    seen = [digest()]
    accept = [golden(1).model_dump(exclude={"severity"}, exclude_none=True)]
    for change in (
        {"head/a.py": "3\n"},
        {"base/b.py": ""},
        {"golden.json": {**CLEAN, "window": 1}},
        {"golden.json": {**CLEAN, "accept": accept}},
    ):
        write(folder, change)
        seen.append(digest())
    (folder / "base/b.py").chmod(0o755)
    seen.append(digest())
    assert len(set(seen)) == 6
    assert digest() == seen[-1]


def test_digest_of_a_case_without_accepted_findings_is_that_of_earlier_versions(tmp_path: Path) -> None:
    (case,) = read_cases(write(tmp_path / "one", TREES))
    assert case.digest == "b301ca352cad9e2d"


def test_case_with_a_file_of_the_name_of_a_recording_is_read(tmp_path: Path) -> None:
    write(tmp_path / "one", {**TREES, "head/recording.json": "{}"})
    assert [case.name for case in read_cases(tmp_path)] == ["one"]


def linked_tree(folder: Path) -> None:
    (folder / "one/base/a.py").unlink()
    (folder / "one/base").rmdir()
    (folder / "one/base").symlink_to("/etc")


def linked_golden(folder: Path) -> None:
    (folder / "one/golden.json").unlink()
    (folder / "one/golden.json").symlink_to("/dev/zero")


def no_golden(folder: Path) -> None:
    (folder / "one/golden.json").unlink()


def no_change(folder: Path) -> None:
    for path in ("head/a.py", "base/a.py"):
        (folder / "one" / path).unlink()
    for path in ("head", "base"):
        (folder / "one" / path).rmdir()


def file_for_tree(folder: Path) -> None:
    linked_tree(folder)
    (folder / "one/base").unlink()
    write(folder / "one", {"base": ""})


def folder_for_golden(folder: Path) -> None:
    no_golden(folder)
    (folder / "one/golden.json").mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "one/head/link").symlink_to("/etc/passwd"),
            "one/head/link: it is a symbolic link, and a tree is made of plain files; put a file in its place",
        ),
        (
            lambda folder: (folder / "one/head/link").symlink_to("/etc"),
            "one/head/link: it is a symbolic link, and a tree is made of plain files",
        ),
        (linked_tree, "one/base: it must be a folder, and no link to one"),
        (file_for_tree, "one/base: it must be a folder, and no link to one"),
        (
            lambda folder: (folder / "two").symlink_to("/etc"),
            "two: it is a symbolic link; put the case's own folder there",
        ),
        (linked_golden, "one/golden.json: it is a symbolic link; put the file itself there"),
        (
            lambda folder: os.mkfifo(folder / "one/head/pipe"),
            "one/head/pipe: it is no regular file, and a tree is made of plain files",
        ),
        (
            lambda folder: write(folder / "one/head", {"/".join(["d"] * 40) + "/a": ""}),
            "more than 30 folders are in each other; flatten the tree",
        ),
        (
            lambda folder: write(folder / "one/head", {"large": b"0" * (dataset.MAX_FILE + 1)}),
            "one/head/large: it has 2,000,001 bytes; keep files within 2,000,000",
        ),
        (
            lambda folder: write(
                folder / "one/head", {str(number): "" for number in range(dataset.MAX_FILES + 1)}
            ),
            "one/head: it has more than 2,000 files; keep those that the change needs",
        ),
        (
            lambda folder: write(
                folder / "one/head", {str(number): b"0" * dataset.MAX_FILE for number in range(11)}
            ),
            "one/head: its files have more than 20,000,000 bytes; keep those that the change needs",
        ),
        (
            lambda folder: write(folder / "one/head", {".GIT/config": "[core]\n"}),
            "one/head/.GIT: a tree has no .git; remove it",
        ),
        (
            lambda folder: (folder / "one").rename(folder / "on\x1be"),
            "one: a case is called by up to 100 letters, digits, dots, - and _; rename the folder",
        ),
        (
            no_golden,
            "one: there is neither golden.json nor question.json; add one, or move the folder elsewhere",
        ),
        (folder_for_golden, "one/golden.json: it cannot be read (Is a directory)"),
        (
            lambda folder: write(folder / "one", {"question.json": {}}),
            "one: it has both golden.json and question.json; make two cases",
        ),
        (no_change, "one: it has no change; add head/ beside base/, or change.diff"),
        (
            lambda folder: write(folder / "one", {"change.diff": DIFF}),
            "one: it has both head/ and change.diff; keep one of them",
        ),
        (
            lambda folder: (folder / "one/base").rename(folder / "one/baes"),
            'one/baes: it is no part of a case; did you mean "base"?',
        ),
        (
            lambda folder: write(folder / "one", {"head/a.py": "1\n"}),
            "one/golden.json: the case changes nothing: base and head are the same",
        ),
    ],
)
def test_invalid_case_is_rejected_with_hint(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "one", TREES)
    spoil(tmp_path)
    assert any(message in fault for fault in faults(tmp_path)), faults(tmp_path)


@pytest.mark.parametrize(
    ("diff", "base", "message"),
    [
        (
            DIFF.replace(" one", " eins"),
            "one\ntwo\nfive\n",
            "It does not apply: patch failed: a.py:1. Make it again",
        ),
        (DIFF.replace("a.py", "../a.py"), "one\n", "It does not apply: "),
        (DIFF.replace("a.py", "../a.py"), None, "It does not apply: "),
        (DIFF.replace("a.py", ".git/config"), None, "It does not apply: "),
        ("nonsense\n", None, "It does not apply: No valid patches in input"),
        (" \n", None, "it is empty; write there what `git diff` prints"),
        ("-" * (MAX_DIFF + 1), None, f"it has more than {MAX_DIFF:,} bytes; shorten it"),
        (
            DIFF.replace("-1,3", f"-{MAX_LINES},3"),
            None,
            f"its files have more than {MAX_LINES:,} lines; add base/",
        ),
    ],
)
def test_diff_that_does_not_apply_is_rejected(
    tmp_path: Path, diff: str, base: str | None, message: str
) -> None:
    case = write(tmp_path / "one", {"golden.json": CLEAN, "change.diff": diff})
    if base is not None:
        write(case, {"base/a.py": base})
    (fault,) = faults(tmp_path)
    assert fault.startswith("one/change.diff: ")
    assert message in fault
    assert not (tmp_path / "a.py").exists()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            golden(99),
            "one/golden.json: findings[0]: line 99 of a.py is not in the diff; changed lines near it: 2–4",
        ),
        (
            golden(2, path="b/a.py"),
            "one/golden.json: findings[0]: b/a.py is not among the changed files; did you",
        ),
        (golden(9, side="LEFT"), "line 9 of a.py is not in the diff on side LEFT; changed lines near it: 2"),
    ],
)
def test_golden_outside_of_the_diff_is_rejected(tmp_path: Path, wanted: object, message: str) -> None:
    write_case(tmp_path, "one", wanted)  # type: ignore[arg-type]  # a golden
    (fault,) = faults(tmp_path)
    assert message in fault


def test_accepted_finding_outside_of_the_diff_is_rejected(tmp_path: Path) -> None:
    write_case(tmp_path, "one", golden(2), accept=[{"path": "a.py", "line": 99, "text": "True."}])
    (fault,) = faults(tmp_path)
    assert "one/golden.json: accept[0]: line 99 of a.py is not in the diff" in fault


def test_golden_with_old_name_has_an_error_with_the_new_name(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(20))
    listed = {"version": 1, "findings": [golden(3, path="old.py").model_dump(exclude_none=True)]}
    write(
        tmp_path / "one",
        {"golden.json": listed, "base/old.py": text, "head/new.py": text.replace("line 2\n", "2\n")},
    )
    (fault,) = faults(tmp_path)
    assert "old.py is the name before the change; write the one at the head, new.py" in fault


def test_faults_of_all_cases_are_reported_together(tmp_path: Path) -> None:
    write(tmp_path, {"one/golden.json": "{", "two/golden.json": CLEAN, "three/change.diff": DIFF})
    assert [fault.partition(":")[0].partition("/")[0] for fault in faults(tmp_path)] == [
        "one",
        "one",
        "three",
        "two",
    ]


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_missing_folder_is_an_error(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"file": ""})
    assert faults(tmp_path / name) == ["CASES: there is no such folder; name a folder of cases, or one case"]


def test_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    assert faults(tmp_path) == [
        "CASES: it holds no case; a case is a folder with a golden.json or a question.json"
    ]


def test_too_many_cases_are_rejected(tmp_path: Path) -> None:
    for number in range(MAX_CASES + 1):
        (tmp_path / f"c{number}").mkdir()
    assert faults(tmp_path) == [f"CASES: it holds more than {MAX_CASES} cases; split it"]


def test_list_of_faults_is_limited(tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path / f"c{number}", {"golden.json": "{"})
    found = faults(tmp_path)
    assert (len(found), found[-1]) == (51, "and 70 more faults")


def test_list_of_symbolic_links_is_limited(tmp_path: Path) -> None:
    write(tmp_path / "one", TREES)
    for number in range(20):
        (tmp_path / f"one/head/link{number}").symlink_to("/etc/passwd")
    assert len(faults(tmp_path)) == 10


def test_tree_removed_during_reading_is_an_error(tmp_path: Path) -> None:
    reader = dataset.TreeReader(tmp_path / "gone", "one/head")
    assert reader.read() == {}
    assert reader.faults == ["one/head: it cannot be read (No such file or directory)"]

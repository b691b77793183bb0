"""Tests instruction files: which are found, their text, and the files that they apply to."""

from __future__ import annotations

import pytest

from hunkwise.domain.pull_request import Instructions
from hunkwise.flows.instructions import MAX_GLOBS, folders_of, read_instructions
from hunkwise.plan.globs import matches

RULES = ".github/instructions/py.instructions.md"


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("AGENTS.md", b" Be exact.\n", Instructions("AGENTS.md", "Be exact.")),
        ("AGENTS.md", b"\xef\xbb\xbfBe exact.", Instructions("AGENTS.md", "Be exact.")),
        ("AGENTS.md", b"---\nname: x\n---\nBe exact.", Instructions("AGENTS.md", "Be exact.")),
        ("AGENTS.md", b"caf\xe9", Instructions("AGENTS.md", "caf\ufffd")),
        ("AGENTS.md", b" \n", None),
        ("AGENTS.md", b"---\nname: x\n---\n", None),
        (RULES, b"---\napplyTo: '**/*.py, a/**'\n---\nNo.", Instructions(RULES, "No.", ("**/*.py", "a/**"))),
        (RULES, b'---\r\napplyTo: "*.py"\r\n---\r\nNo.', Instructions(RULES, "No.", ("*.py",))),
        (RULES, b"---\ndescription: x\n---\nNo.", None),
        (RULES, b"---\napplyTo: **/*.py\n---\nNo.", Instructions(RULES, "No.", ("**/*.py",))),
        (RULES, b"---\napplyTo: [a/**, 'b,c']\n---\nNo.", Instructions(RULES, "No.", ("a/**", "b", "c"))),
        (RULES, b"---\napplyTo:\n  - a/**\n  - b\n---\nNo.", Instructions(RULES, "No.", ("a/**", "b"))),
        (RULES, b"---\napplyTo:\n- **/a\n- *.b\nx: y\n---\nNo.", Instructions(RULES, "No.", ("**/a", "*.b"))),
        (
            RULES,
            b"---\napplyTo: '*.{ts,tsx}, a'\n---\nNo.",
            Instructions(RULES, "No.", ("*.ts", "*.tsx", "a")),
        ),
        (RULES, b"---\napplyTo: '{a,{b,c}}/d'\n---\nNo.", Instructions(RULES, "No.", ("a/d", "b/d", "c/d"))),
        (RULES, b"---\napplyTo: ''\n---\nNo.", None),
        (RULES, b"---\napplyTo: 7\n---\nNo.", Instructions(RULES, "No.", ("7",))),
        (RULES, b"---\napplyTo:\n---\nNo.", None),
        (RULES, b"---\napplyTo: '*'\nexcludeAgent: \"code-review\"\n---\nNo.", None),
        (RULES, b"---\napplyTo: '*'\nexcludeAgent: other\n---\nNo.", Instructions(RULES, "No.", ("*",))),
        ("src/AGENTS.md", b"Be exact.", Instructions("src/AGENTS.md", "Be exact.", ("src/**",))),
        (RULES, b"No.", None),
        (RULES, b"---\nnever closed\napplyTo: '*'\nNo.", None),
    ],
)
def test_file_is_parsed_as_by_github(path: str, content: bytes, found: Instructions | None) -> None:
    assert read_instructions(path, content) == found


def test_long_file_is_cut() -> None:
    found = read_instructions("AGENTS.md", b"x" * 200_000)
    assert found is not None
    assert len(found.text) == 100_000


@pytest.mark.parametrize("folder", ["src", "a/b", "!x", "*", "[a]", "{a,b}", "a\\b", "**", "with blank"])
def test_nested_instructions_apply_only_below_their_folder(folder: str) -> None:
    found = read_instructions(f"{folder}/AGENTS.md", b"Be exact.")
    assert found is not None
    assert matches(found.apply_to, f"{folder}/c.py")
    assert matches(found.apply_to, f"{folder}/d/c.py")
    for other in ("c.py", "other/c.py", f"other/{folder}/c.py", "a/c.py"):
        assert matches(found.apply_to, other) is other.startswith(f"{folder}/"), other


@pytest.mark.parametrize("braces", ["{a,b}" * 40, "{" * 500 + "a,b" + "}" * 500, "}a,b{", "{a,b"])
def test_number_of_expanded_braces_is_limited(braces: str) -> None:
    found = read_instructions(RULES, f"---\napplyTo: 'x{braces}'\n---\nNo.".encode())
    assert found is not None
    assert len(found.apply_to) <= MAX_GLOBS


def test_folders_of_changed_files_contain_them() -> None:
    assert folders_of(["a/b/c.py", "a/d.py", "e.py", "f/g.py"]) == ("a", "f", "a/b")

"""Files of instructions: which there are, what they say, and of which files they speak."""

from __future__ import annotations

import pytest

from hunkwise.domain.pull_request import Instructions
from hunkwise.settings.instructions import read_instructions

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
        (RULES, b"No.", None),
        (RULES, b"---\nnever closed\napplyTo: '*'\nNo.", None),
    ],
)
def test_a_file_is_read_as_github_reads_it(path: str, content: bytes, found: Instructions | None) -> None:
    assert read_instructions(path, content) == found


def test_a_long_file_is_cut() -> None:
    found = read_instructions("AGENTS.md", b"x" * 200_000)
    assert found is not None
    assert len(found.text) == 100_000

"""A check names every fault where it stands, and says what was read where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.errors import RepositoryError, SettingsError
from tests.preview.preview_command import CONFIG, FILES, SEVERITY, TEMPLATE, ask, write

HOME = ".github/hunkwise.yml"
MINE = ".github/mine.md.j2"


def test_what_is_right_is_said_to_be_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(write(tmp_path, FILES), "config", "check") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok",
        f"  {HOME}",
        "  prompts: review, mine; verify: on; summary: short",
        f"  mine: {MINE}",
        "  partials/severity: .github/severity.md.j2",
    ]


def test_without_a_configuration_the_defaults_are_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(write(tmp_path, {}), "config", "check") == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["ok", f"  there is no {HOME}: the defaults hold"]
    with pytest.raises(SettingsError, match=r"There is no other\.yml in the working tree: correct --config"):
        ask(tmp_path, "config", "check", "--config", "other.yml")


def test_a_note_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "version: 1\nmin-severity: critical\nprompts: [tests]\n"
    assert ask(write(tmp_path, {HOME: config}), "config", "check") == 0
    assert '  note: The prompt "tests" can find nothing' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        (
            {HOME: "version: 1\nfail-on: hihg\nmax-comments: -1\n"},
            [f'{HOME}:2: "fail-on" must be', f'{HOME}:3: "max-comments" must be'],
        ),
        ({HOME: b"\xff\xfe"}, [f"{HOME}:1: the file is not UTF-8"]),
        (
            {HOME: CONFIG},
            [f'The prompt "mine" names the template {MINE}, which is not in', 'The partial "severity" names'],
        ),
        (
            {**FILES, MINE: "---\npathes: []\ntools: [shell]\n---\n", ".github/severity.md.j2": b"caf\xe9"},
            [
                f'{MINE}:2: unknown key "pathes"; did you mean "paths"?',
                f'{MINE}:3: "tools" must be',
                ".github/severity.md.j2 is not UTF-8 at byte 3",
            ],
        ),
        ({**FILES, MINE: TEMPLATE + "\n{% endfor %}\n"}, [f"{MINE}:13: "]),
        ({**FILES, MINE: "{% include 'nowhere' %}"}, [f'{MINE}:1: there is no template "nowhere"']),
        (
            {**FILES, ".github/severity.md.j2": SEVERITY + "{{ 1 +"},
            [".github/severity.md.j2:2: "],
        ),
        (
            {
                HOME: "version: 1\nprompts:\n  - {name: a, template: a.j2}\n  - {name: b, template: b.j2}\n",
                "a.j2": "{% if %}",
                "b.j2": "\n{{ x",
            },
            ["a.j2:1: ", "b.j2:2: "],
        ),
        (
            {HOME: "version: 1\nprompts: [{name: tests, min-severity: critical}]\n"},
            ['The prompt "tests" has'],
        ),
    ],
)
def test_every_fault_is_named_with_its_place(
    tmp_path: Path, files: dict[str, str | bytes], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        ask(write(tmp_path, files), "config", "check")
    found = refused.value.faults
    assert len(found) == len(faults)
    for said, fault in zip(found, faults, strict=True):
        assert said.startswith(fault)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="is no folder"):
        ask(tmp_path / "nothing", "config", "check")

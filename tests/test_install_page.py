"""Compares docs/install.md and the hooks for pre-commit with the code."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from hunkwise.arguments import build_parser
from hunkwise.copilot.cli_download import ARCHIVE_BYTES, FOLDER_BYTES
from hunkwise.copilot.find_cli import CLI_VERSION
from hunkwise.doctor.machine import OLDEST_GIT
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH
from tests.pages import ROOT, code_blocks, code_spans, page, table

PAGE = page("docs/install.md")
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


def test_versions_and_sizes_are_those_of_the_code() -> None:
    assert f"git {'.'.join(map(str, OLDEST_GIT))} or newer" in PAGE
    assert set(re.findall(r"CLI (\d+\.\d+\.\d+)|@(\d+\.\d+\.\d+)`", PAGE)) == {
        (CLI_VERSION, ""),
        ("", CLI_VERSION),
    }
    text = " ".join(PAGE.split())
    assert (
        f"About {ARCHIVE_BYTES / 1e6:.0f} MB are downloaded, and {FOLDER_BYTES / 1e6:.0f} MB are on" in text
    )


@pytest.mark.parametrize("line", code_blocks(PAGE, "sh")[0].splitlines())
def test_every_command_of_the_page_is_one(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    assert program == "hunkwise"
    build_parser().parse_args(arguments)


def test_hooks_of_the_page_are_those_that_pre_commit_finds() -> None:
    (example,) = yaml.safe_load(code_blocks(PAGE, "yaml")[0])["repos"]
    rows = [code_spans(row[0])[0] for row in table(PAGE, "Hook")]
    assert [hook["id"] for hook in HOOKS] == rows == [hook["id"] for hook in example["hooks"]]
    for hook in HOOKS:
        assert f"`{hook['entry']}`" in PAGE
        assert (hook["language"], hook["pass_filenames"]) == ("python", False)
    assert [hook.get("stages") for hook in HOOKS] == [None, ["manual"]]


def test_hooks_check_the_configuration_and_review_what_is_staged() -> None:
    (program, *check), (other, *review) = (shlex.split(hook["entry"]) for hook in HOOKS)
    parsed = build_parser().parse_args(check)
    assert (program, parsed.command, parsed.part) == ("hunkwise", "config", "check")
    parsed = build_parser().parse_args(review)
    assert (other, parsed.command, parsed.staged) == ("hunkwise", "review", True)


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        (DEFAULT_CONFIG_PATH, True),
        (".github/hunkwise/review.md.j2", True),
        (".github/hunkwise/partials/severity.md.j2", True),
        (".github/workflows/hunkwise.yml", False),
        (".github/hunkwise.yml.orig", False),
        ("docs/.github/hunkwise.yml", False),
        ("src/hunkwise/cli.py", False),
    ],
)
def test_hook_runs_on_changes_of_configuration_and_templates(path: str, checked: bool) -> None:
    assert bool(re.search(HOOKS[0]["files"], path)) == checked

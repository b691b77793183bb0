"""`prompts list` with all settings, and `prompts show` with the templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.model import PARTIALS
from hunkwise.errors import SettingsError
from hunkwise.prompts.renderer import BASE, BUILT_IN, built_in_text
from tests.fakes.git_repository import GitRepository
from tests.preview.preview_command import FILES, SEVERITY, TEMPLATE, run_preview, write

HOME = ".github/hunkwise.yml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "work", FILES)


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert run_preview(folder, "prompts", "list", "--format", "json") == 0
    return {prompt["name"]: prompt for prompt in json.loads(capsys.readouterr().out)["prompts"]}


def test_configured_prompts_are_listed_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = listed(folder, capsys)
    assert list(prompts) == ["review", "mine", *(name for name in BUILT_IN if name != "review")]
    assert [name for name, prompt in prompts.items() if prompt["runs"]] == [
        "review",
        "mine",
        "verify",
        "summary",
    ]
    assert prompts["mine"] == {
        "name": "mine",
        "description": "Tables that grow",
        "runs": True,
        "stage": False,
        "built-in": False,
        "template": ".github/mine.md.j2",
        "paths": ["db/**"],
        "min-severity": "low",
        "max-severity": "critical",
        "categories": [],
        "budget": {"max-model-calls": None, "max-tokens": 5000, "max-credits": None},
        "chunk-budget": {"max-model-calls": None, "max-tokens": None, "max-credits": 2.5},
        "tools": [],
    }
    assert (prompts["tests"]["template"], prompts["tests"]["max-severity"]) == ("hunkwise/tests", "medium")


def test_disabled_stages_are_listed_as_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "version: 1\nverify: off\nsummary: off\nmin-severity: high\nprompts: [verify]\n"
    prompts = listed(write(tmp_path, {HOME: config}), capsys)
    assert [name for name, prompt in prompts.items() if prompt["runs"]] == ["review"]
    assert prompts["review"]["min-severity"] == "high"


def test_list_is_readable_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_preview(folder, "prompts", "list") == 0
    out = capsys.readouterr().out
    assert (
        "mine  (runs; .github/mine.md.j2)\n"
        "  Tables that grow\n"
        '  files: ["db/**"]; severities: low to critical\n'
        "  budget: 5,000 tokens; a chunk: 2.5 credits\n"
        "  tools: none\n"
    ) in out
    assert "security  (does not run; built in)\n" in out
    assert "  files: all; severities: low to medium\n" in out
    assert "summary  (runs; built in)\n  The summary: " in out


def test_prompt_without_description_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {HOME: "version: 1\nprompts: [{name: bare, template: a.j2}]\n", "a.j2": "{{ chunk.diff }}"}
    assert run_preview(write(tmp_path, files), "prompts", "list") == 0
    assert capsys.readouterr().out.startswith(
        "bare  (runs; a.j2)\n  files: all; severities: low to critical\n"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine", TEMPLATE),
        ("partials/severity", SEVERITY),
        ("hunkwise/partials/severity", built_in_text("partials/severity")),
        ("review", built_in_text("review")),
        *((f"hunkwise/{name}", built_in_text(name)) for name in (BASE, *BUILT_IN)),
        *((f"hunkwise/partials/{name}", built_in_text(f"partials/{name}")) for name in PARTIALS),
    ],
)
def test_template_is_shown_unchanged(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    assert run_preview(folder, "prompts", "show", name) == 0
    assert capsys.readouterr().out == text


def test_extended_and_included_templates_follow_in_order(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_preview(folder, "prompts", "show", "mine", "--extended") == 0
    out = capsys.readouterr().out
    heads = [line.removeprefix("=== ") for line in out.splitlines() if line.startswith("=== ")]
    assert heads[:3] == [
        "mine (.github/mine.md.j2)",
        "hunkwise/review (built in)",
        "hunkwise/base (built in)",
    ]
    assert "partials/severity (.github/severity.md.j2)" in heads
    assert len(heads) == len(set(heads)) == 3 + len(PARTIALS)
    assert SEVERITY in out


def test_template_with_recursive_or_unknown_include_is_shown_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = "{% include 'own' %}{% include 'nowhere' %}{% include ['partials/part', pull_request.title] %}"
    files = {HOME: "version: 1\nprompts: [{name: own, template: o.j2}]\n", "o.j2": own}
    assert run_preview(write(tmp_path, files), "prompts", "show", "own", "--extended") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"=== own (o.j2)\n{own}\n=== partials/part (built in)\n")
    assert out.count("=== ") == 2


def test_block_without_effect_is_a_note_of_the_list_and_of_a_rendering(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = GitRepository.create(tmp_path / "work")
    template = '{% extends "hunkwise/answer" %}{% block styl %}x{% endblock %}'
    repository.commit({HOME: "version: 1\nprompts: [{name: answer, template: a.j2}]\n", "a.j2": template})
    repository.branch("other")
    repository.commit({"b.py": "1\n"})
    note = 'a.j2:1: the block "styl" is not used'
    for arguments in (("list",), ("render", "answer")):
        assert run_preview(repository.path, "prompts", *arguments) == 0
        assert "".join(capsys.readouterr()).count(note) == 1


def test_template_that_does_not_compile_is_shown_with_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {HOME: "version: 1\nprompts: [{name: own, template: o.j2}]\n", "o.j2": "{% if %}"}
    assert run_preview(write(tmp_path, files), "prompts", "show", "own", "--extended") == 0
    out, errors = capsys.readouterr()
    assert out == "=== own (o.j2)\n{% if %}\n"
    assert errors.startswith("hunkwise: o.j2 does not compile: ")
    assert "`hunkwise config check` says more" in errors


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secrity", 'There is no prompt or template "secrity"; did you mean "security"?'),
        ("partials/severty", 'did you mean "partials/severity"?'),
        ("hunkwise/mine", "There is no prompt or template"),
        ("x\x1b[2J", 'There is no prompt or template "x\\x1b[2J"; there is review, mine, security'),
        ("../../etc/passwd", "There is no prompt or template"),
    ],
)
def test_unknown_name_is_an_error_with_suggestion(folder: Path, name: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        run_preview(folder, "prompts", "show", name)
    assert message in str(refused.value)


@pytest.mark.parametrize("arguments", [("list",), ("show", "mine")])
def test_missing_template_is_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = write(tmp_path, {HOME: FILES[HOME]})
    with pytest.raises(SettingsError, match=r"\.github/mine\.md\.j2, which is not in the working tree"):
        run_preview(folder, "prompts", *arguments)

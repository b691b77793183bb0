"""A check names every fault where it stands, and says what was read where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.settings.config import Config
from hunkwise.settings.inputs import KNOWN_INPUTS
from hunkwise.settings.prompt_settings import PromptSettings
from tests.fakes.git_repository import GitRepository
from tests.preview.preview_command import CONFIG, FILES, NOTHING, SEVERITY, TEMPLATE, ask, write

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
    assert capsys.readouterr().out.splitlines()[:2] == ["ok", f"  there is no {HOME}: the defaults apply"]
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
            {HOME: "version: 1\naudit: {prompts: [{name: a, template: a.j2}]}\n"},
            ['The prompt "a" names the template a.j2, which is not in'],
        ),
        (
            {HOME: "version: 1\naudit: {prompts: [{name: a, template: a.j2}]}\n", "a.j2": "{% if %}"},
            ["a.j2:1: "],
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


def shown(
    capsys: pytest.CaptureFixture[str], folder: Path, *words: str, environ: Mapping[str, str] = NOTHING
) -> dict[str, Any]:
    assert ask(folder, "config", "show", "--format", "json", *words, environ=environ) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "work", FILES)


def said(value: object, source: str, **more: object) -> dict[str, object]:
    return {"value": value, "source": source, **more}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("version", said(1, "file", path=HOME, line=1)),
        ("fail-on", said("high", "file", path=HOME, line=2)),
        ("request-changes-on", said("none", "default")),
        ("model", said(None, "default")),
        ("deadline", said(15, "default")),
        ("ignore", said(["docs/**"], "file", path=HOME, line=3)),
        ("context.linked-issues", said(False, "file", path=HOME, line=5)),
        ("context.size", said(24_000, "default")),
        ("verify-budget.max-tokens", said("none", "default")),
        ("prompts", said(["review", "mine"], "file", path=HOME, line=6)),
        ("prompts[0].name", said("review", "file", path=HOME, line=7)),
        ("prompts[0].template", said(None, "default")),
        ("prompts[1].name", said("mine", "file", path=HOME, line=8)),
        ("prompts[1].min-severity", said("low", "file", path=HOME, line=10)),
        ("prompts[1].budget.max-tokens", said(5000, "file", path=HOME, line=12)),
        ("prompts[1].budget.max-model-calls", said(None, "default")),
        (
            "prompts[1].description",
            said("Tables that grow", "front matter", path=".github/mine.md.j2", line=2),
        ),
        ("prompts[1].paths", said(["db/**"], "front matter", path=".github/mine.md.j2", line=3)),
        (
            "prompts[1].chunk-budget.max-credits",
            said(2.5, "front matter", path=".github/mine.md.j2", line=7),
        ),
        ("prompts[1].tools", said([], "front matter", path=".github/mine.md.j2", line=8)),
        ("partials.severity", said(".github/severity.md.j2", "file", path=HOME, line=14)),
    ],
)
def test_a_value_is_told_with_its_source(
    folder: Path, capsys: pytest.CaptureFixture[str], key: str, told: dict[str, object]
) -> None:
    assert shown(capsys, folder)["values"][key] == told


def test_every_key_of_the_configuration_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, folder)
    told = {key.partition(".")[0].partition("[")[0] for key in found["values"]}
    assert told == {name.replace("_", "-") for name in Config.model_fields}
    inner = {key.split(".")[1] for key in found["values"] if key.startswith("prompts[0].")}
    assert inner == {name.replace("_", "-") for name in PromptSettings.model_fields}
    assert found["configuration"] == {
        "path": HOME,
        "found": True,
        "read-from": "the working tree",
        "commit": None,
    }
    assert (found["version"], found["inputs"]) == (1, {})


def test_without_a_file_the_defaults_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, write(tmp_path / "work", {}))
    assert found["configuration"]["found"] is False
    sources = {key: told["source"] for key, told in found["values"].items()}
    assert {key for key, source in sources.items() if source != "default"} <= {
        key for key in sources if key.startswith("prompts[0].")
    }
    assert found["values"]["prompts[0].description"]["path"] == "hunkwise/review"
    assert ask(tmp_path / "work", "config", "show") == 0
    assert f"There is no {HOME} of the working tree: the defaults apply." in capsys.readouterr().out


def test_inputs_win_over_the_file_and_options_over_inputs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "INPUT_FAIL-ON": "none",
        "INPUT_MAX_TOKENS": "1000",
        "INPUT_MODEL": "one",
        "INPUT_PROMPTS": "mine\nsecurity",
        "INPUT_GITHUB-TOKEN": "ghs_secret",
        "INPUT_PROVIDER-API-KEY": "key-secret",
        "INPUT_PROVIDER-BASE-URL": "https://models.example",
        "INPUT_UNHEARD": "x",
        "COPILOT_MODEL": "not read in a job",
    }
    found = shown(capsys, folder, "--model", "two", environ=environ)
    values = found["values"]
    assert values["fail-on"] == said("none", "input", name="fail-on")
    assert values["max-tokens"] == said(1000, "input", name="max-tokens")
    assert values["model"] == said("two", "option", name="--model")
    assert values["prompts"] == said(["mine", "security"], "input", name="prompts")
    assert values["prompts[0].name"] == said("mine", "input", name="prompts")
    assert values["prompts[0].template"] == said(".github/mine.md.j2", "file", path=HOME, line=9)
    assert values["prompts[1].template"] == said(None, "default")
    assert found["inputs"].keys() == set(KNOWN_INPUTS) - {key for key in values if "." not in key}
    assert found["inputs"]["github-token"] == {"set": True, "value": "set"}
    assert found["inputs"]["provider-base-url"] == {"set": True, "value": "https://models.example"}
    assert found["inputs"]["copilot-token"] == {"set": False}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_token_is_shown_wherever_it_was_put(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    environ = {
        "INPUT_GITHUB-TOKEN": "secret-1",
        "INPUT_COPILOT-TOKEN": "secret-2",
        "INPUT_PROVIDER-API-KEY": "secret-3",
        "INPUT_PROVIDER-BASE-URL": "https://models.example/secret-2",
        "INPUT_MODEL": "ghp_secret4",
        "GITHUB_TOKEN": "secret-5",
        "INPUT_STRANGE": "secret-6",
    }
    assert ask(folder, "config", "show", "--format", kind, environ=environ) == 0
    printed = "".join(capsys.readouterr())
    assert "secret" not in printed.replace("strange", "")
    assert "looks like a token (not shown)" in printed
    assert 'Input "strange" is unknown' in printed


@pytest.mark.parametrize(
    ("environ", "words", "faults"),
    [
        ({"INPUT_FAIL-ON": "hihg"}, [], ['Input "fail-on" must be none, low']),
        ({"INPUT_PROMPTS": "mien"}, [], ["there is no such prompt; there is", 'did you mean "mine"?']),
        ({"COPILOT_MODEL": "a b"}, [], ["COPILOT_MODEL must be a model id without spaces"]),
        ({}, ["--model", "a b"], ["--model must be a model id without spaces"]),
        ({}, ["--config", "../x.yml"], ["--config must be the path of a file in the repository"]),
        ({}, ["--config", "/x.yml"], ["--config must be the path of a file in the repository"]),
        ({}, ["--pr", "octo/repo#1", "--base", "main"], ["--pr and --base both name a base"]),
        ({}, ["--pr", "octo/repo#1"], ["set GITHUB_TOKEN"]),
        ({"GITHUB_TOKEN": "x"}, ["--pr", "octo"], ["--pr is 'octo'; it must read OWNER/REPO#N"]),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, environ: dict[str, str], words: list[str], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        ask(folder, "config", "show", *words, environ=environ)
    for fault in faults:
        assert fault in str(refused.value)


def test_a_model_by_the_environment_of_a_shell_takes_the_place_of_the_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, {"own.yml": "version: 1\nmodels: [a, b]\n"})
    of_file = shown(capsys, folder, "--config", "./own.yml")["values"]
    assert of_file["models"] == said(["a", "b"], "file", path="own.yml", line=2)
    values = shown(capsys, folder, "--config", "own.yml", environ={"COPILOT_MODEL": "c"})["values"]
    assert values["model"] == said("c", "variable", name="COPILOT_MODEL")
    assert values["models"] == said([], "variable", name="COPILOT_MODEL")


def test_an_input_names_the_configuration_and_the_option_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, {"a.yml": "version: 1\n", "b.yml": "version: 1\n"})
    environ = {"INPUT_CONFIG": "a.yml"}
    assert shown(capsys, folder, environ=environ)["configuration"]["path"] == "a.yml"
    named = shown(capsys, folder, "--config", "b.yml", environ=environ)
    assert named["configuration"]["path"] == "b.yml"


def test_people_get_a_table_that_nothing_foreign_can_leave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = 'version: 1\nignore: ["a\u202eb\\tc"]\nmax-credits: 2.5\n'
    folder = write(tmp_path, {HOME: config})
    assert ask(folder, "config", "show", environ={"INPUT_FAIL-ON": "low"}) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert rows["ignore"].endswith(f"{HOME}:2")
    assert r"a\u202eb\tc" in rows["ignore"]
    assert rows["model"].split(None, 1)[1].split("  ")[0] == "(Copilot's choice)"
    assert rows["max-credits"].split() == ["max-credits", "2.5", f"{HOME}:3"]
    assert rows["fail-on"].split() == ["fail-on", "low", "input", "fail-on"]
    assert rows["prompts[0].description"].endswith("front matter hunkwise/review:2")
    assert "  github-token" in "\n".join(lines)
    places = {line.index("default") for line in lines if line.endswith(" default")}
    assert len(places) == 1


def test_the_configuration_of_a_commit_is_that_of_the_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = GitRepository.create(tmp_path / "work")
    sha = made.commit({HOME: "version: 1\nfail-on: low\n"})
    made.commit({HOME: "version: 1\nfail-on: high\n"})
    (made.path / HOME).write_text("version: 1\nfail-on: critical\n")
    levels = {
        words: shown(capsys, made.path, *words)["values"]["fail-on"]["value"]
        for words in ((), ("--base", "HEAD"), ("--base", "HEAD~1"))
    }
    assert list(levels.values()) == ["critical", "high", "low"]
    found = shown(capsys, made.path, "--base", "HEAD~1")["configuration"]
    assert (found["commit"], found["read-from"]) == (sha, f"HEAD~1 ({sha[:12]})")
    with pytest.raises(RepositoryError, match="nowhere"):
        ask(made.path, "config", "show", "--base", "nowhere")


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        ({HOME: "version: 1\nfail-onn: high\n"}, [f'{HOME}:2: unknown key "fail-onn"']),
        ({HOME: CONFIG}, [".github/mine.md.j2, which is not in the working tree: correct the path"]),
        (
            {**FILES, ".github/mine.md.j2": "---\npathes: []\n---\n"},
            ['.github/mine.md.j2:2: unknown key "pathes"'],
        ),
        ({**FILES, ".github/mine.md.j2": b"caf\xe9"}, ["mine.md.j2 is not UTF-8 at byte 3"]),
        ({**FILES, ".github/mine.md.j2": TEMPLATE + "x" * 70_000}, ["larger than 65,536 bytes"]),
        ({**FILES, ".github/mine.md.j2": b"x" * 2_000_001}, ["more than 2,000,000 bytes", "Shorten"]),
        ({HOME: b"#" * 2_000_001}, ["more than 2,000,000 bytes", "Shorten"]),
    ],
)
def test_a_configuration_that_is_wrong_is_not_shown(
    tmp_path: Path, files: dict[str, str | bytes], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        ask(write(tmp_path, files), "config", "show")
    for fault in faults:
        assert fault in str(refused.value)

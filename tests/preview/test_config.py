"""`config check` reports every fault with its location; `config show` lists values with their sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hunkwise.errors import SettingsError
from hunkwise.settings.config import Config
from hunkwise.settings.inputs import KNOWN_INPUTS
from hunkwise.settings.prompt_settings import PromptSettings
from tests.fakes.git_repository import GitRepository
from tests.preview.preview_command import CONFIG, FILES, NOTHING, SEVERITY, TEMPLATE, run_preview, write

HOME = ".github/hunkwise.yml"
MINE = ".github/mine.md.j2"


def test_valid_configuration_is_reported_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_preview(write(tmp_path, FILES), "config", "check") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok",
        f"  {HOME}",
        "  prompts: review, mine; verify: on; summary: short",
        f"  mine: {MINE}",
        "  partials/severity: .github/severity.md.j2",
    ]


def test_missing_configuration_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_preview(write(tmp_path, {}), "config", "check") == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["ok", f"  there is no {HOME}: the defaults apply"]
    with pytest.raises(SettingsError) as missing:
        run_preview(tmp_path, "config", "check", "--config", "other.yml")
    assert missing.value.shell_faults == ("There is no other.yml in the working tree: correct --config.",)


def test_file_that_is_probably_meant_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {".hunkwise.yaml": "version: 1\n"})
    text = f"Found .hunkwise.yaml, which is not read: rename it to {HOME}.\n"
    for arguments, before in (
        (("config", "check"), "  warning: "),
        (("config", "show"), "hunkwise: "),
        (("prompts", "list"), "hunkwise: "),
    ):
        assert run_preview(folder, *arguments) == 0
        assert before + text in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments", [("config", "show"), ("prompts", "list"), ("prompts", "show", "review")]
)
def test_named_configuration_must_be_there(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = write(tmp_path, {HOME: "version: 1\n"})
    with pytest.raises(SettingsError, match=rf'There is no hunkwise\.yml in .*did you mean "{HOME}"'):
        run_preview(folder, *arguments, "--config", "hunkwise.yml")


def test_note_is_not_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "version: 1\nmin-severity: critical\nprompts: [tests]\n"
    assert run_preview(write(tmp_path, {HOME: config}), "config", "check") == 0
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
        (
            {
                **FILES,
                MINE: TEMPLATE + "{% block lookfor %}{% endblock %}",
                ".github/severity.md.j2": "{{ promt }}",
            },
            [
                ".github/severity.md.j2:1: 'promt' is undefined; did you mean \"prompt\"?",
                f'{MINE}:12: the block "lookfor" is not used, because "hunkwise/review" has no such block; did you',
            ],
        ),
        (
            {HOME: "version: 1\naudit: {prompts: [{name: a, template: a.j2}]}\n", "a.j2": "{{ files[0] }}"},
            ['a.j2:1: list object has no element 0 (in the prompt "a")'],
        ),
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
def test_every_fault_has_its_location(
    tmp_path: Path, files: dict[str, str | bytes], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        run_preview(write(tmp_path, files), "config", "check")
    found = refused.value.faults
    assert len(found) == len(faults)
    for text, fault in zip(found, faults, strict=True):
        assert text.startswith(fault)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no folder"):
        run_preview(tmp_path / "nothing", "config", "check")


def show_config(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str, environ: Mapping[str, str] = NOTHING
) -> dict[str, Any]:
    assert run_preview(folder, "config", "show", "--format", "json", *arguments, environ=environ) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "work", FILES)


def value_of(value: object, source: str, **more: object) -> dict[str, object]:
    return {"value": value, "source": source, **more}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("version", value_of(1, "file", path=HOME, line=1)),
        ("fail-on", value_of("high", "file", path=HOME, line=2)),
        ("request-changes-on", value_of("none", "default")),
        ("model", value_of(None, "default")),
        ("deadline", value_of(15, "default")),
        ("ignore", value_of(["docs/**"], "file", path=HOME, line=3)),
        ("context.linked-issues", value_of(False, "file", path=HOME, line=5)),
        ("context.size", value_of(24_000, "default")),
        ("verify-budget.max-tokens", value_of("none", "default")),
        ("prompts", value_of(["review", "mine"], "file", path=HOME, line=6)),
        ("prompts[0].name", value_of("review", "file", path=HOME, line=7)),
        ("prompts[0].template", value_of(None, "default")),
        ("prompts[1].name", value_of("mine", "file", path=HOME, line=8)),
        ("prompts[1].min-severity", value_of("low", "file", path=HOME, line=10)),
        ("prompts[1].budget.max-tokens", value_of(5000, "file", path=HOME, line=12)),
        ("prompts[1].budget.max-model-calls", value_of(None, "default")),
        (
            "prompts[1].description",
            value_of("Tables that grow", "front matter", path=".github/mine.md.j2", line=2),
        ),
        ("prompts[1].paths", value_of(["db/**"], "front matter", path=".github/mine.md.j2", line=3)),
        (
            "prompts[1].chunk-budget.max-credits",
            value_of(2.5, "front matter", path=".github/mine.md.j2", line=7),
        ),
        ("prompts[1].tools", value_of([], "front matter", path=".github/mine.md.j2", line=8)),
        ("partials.severity", value_of(".github/severity.md.j2", "file", path=HOME, line=14)),
    ],
)
def test_value_has_its_source(
    folder: Path, capsys: pytest.CaptureFixture[str], key: str, expected: dict[str, object]
) -> None:
    assert show_config(capsys, folder)["values"][key] == expected


def test_every_key_of_the_configuration_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = show_config(capsys, folder)
    keys = {key.partition(".")[0].partition("[")[0] for key in found["values"]}
    assert keys == {name.replace("_", "-") for name in Config.model_fields}
    inner = {key.split(".")[1] for key in found["values"] if key.startswith("prompts[0].")}
    assert inner == {name.replace("_", "-") for name in PromptSettings.model_fields}
    assert found["configuration"] == {
        "path": HOME,
        "found": True,
        "read-from": "the working tree",
        "commit": None,
    }
    assert (found["version"], found["inputs"]) == (1, {})


def test_defaults_are_listed_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = show_config(capsys, write(tmp_path / "work", {}))
    assert found["configuration"]["found"] is False
    sources = {key: value["source"] for key, value in found["values"].items()}
    assert {key for key, source in sources.items() if source != "default"} <= {
        key for key in sources if key.startswith("prompts[0].")
    }
    assert found["values"]["prompts[0].description"]["path"] == "hunkwise/review"
    assert run_preview(tmp_path / "work", "config", "show") == 0
    assert f"There is no {HOME} of the working tree: the defaults apply." in capsys.readouterr().out


def test_inputs_override_the_file_and_options_override_inputs(
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
    found = show_config(capsys, folder, "--model", "two", environ=environ)
    values = found["values"]
    assert values["fail-on"] == value_of("none", "input", name="fail-on")
    assert values["max-tokens"] == value_of(1000, "input", name="max-tokens")
    assert values["model"] == value_of("two", "option", name="--model")
    assert values["prompts"] == value_of(["mine", "security"], "input", name="prompts")
    assert values["prompts[0].name"] == value_of("mine", "input", name="prompts")
    assert values["prompts[0].template"] == value_of(".github/mine.md.j2", "file", path=HOME, line=9)
    assert values["prompts[1].template"] == value_of(None, "default")
    assert found["inputs"].keys() == set(KNOWN_INPUTS) - {key for key in values if "." not in key}
    assert found["inputs"]["github-token"] == {"set": True, "value": "set"}
    assert found["inputs"]["provider-base-url"] == {"set": True, "value": "https://models.example"}
    assert found["inputs"]["copilot-token"] == {"set": False}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_misplaced_token_is_not_shown(folder: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    environ = {
        "INPUT_GITHUB-TOKEN": "secret-1",
        "INPUT_COPILOT-TOKEN": "secret-2",
        "INPUT_PROVIDER-API-KEY": "secret-3",
        "INPUT_PROVIDER-BASE-URL": "https://models.example/secret-2",
        "INPUT_MODEL": "ghp_secret4",
        "GITHUB_TOKEN": "secret-5",
        "INPUT_STRANGE": "secret-6",
    }
    assert run_preview(folder, "config", "show", "--format", kind, environ=environ) == 0
    printed = "".join(capsys.readouterr())
    assert "secret" not in printed.replace("strange", "")
    assert "looks like a token (not shown)" in printed
    assert 'Input "strange" is unknown' in printed


@pytest.mark.parametrize(
    ("environ", "arguments", "faults"),
    [
        ({"INPUT_FAIL-ON": "hihg"}, [], ['Input "fail-on" must be none, low']),
        ({"INPUT_PROMPTS": "mien"}, [], ["there is no such prompt; there is", 'did you mean "mine"?']),
        ({"COPILOT_MODEL": "a b"}, [], ["COPILOT_MODEL must be a model id without spaces"]),
        ({}, ["--model", "a b"], ["--model must be a model id without spaces"]),
        ({}, ["--config", "../x.yml"], ["--config must be the path of a file in the repository"]),
        ({}, ["--config", "/x.yml"], ["--config must be the path of a file in the repository"]),
        ({}, ["--pr", "octo/repo#1", "--base", "main"], ["--pr and --base both name a base"]),
        ({}, ["--pr", "octo/repo#1"], ["set GITHUB_TOKEN"]),
        ({"GITHUB_TOKEN": "x"}, ["--pr", "octo"], ["--pr is 'octo'; it must be a pull request's URL"]),
    ],
)
def test_invalid_values_are_reported(
    folder: Path, environ: dict[str, str], arguments: list[str], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        run_preview(folder, "config", "show", *arguments, environ=environ)
    for fault in faults:
        assert fault in str(refused.value)


def test_copilot_model_variable_replaces_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {"own.yml": "version: 1\nmodels: [a, b]\n"})
    of_file = show_config(capsys, folder, "--config", "./own.yml")["values"]
    assert of_file["models"] == value_of(["a", "b"], "file", path="own.yml", line=2)
    values = show_config(capsys, folder, "--config", "own.yml", environ={"COPILOT_MODEL": "c"})["values"]
    assert values["model"] == value_of("c", "variable", name="COPILOT_MODEL")
    assert values["models"] == value_of([], "variable", name="COPILOT_MODEL")


def test_config_option_overrides_config_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {"a.yml": "version: 1\n", "b.yml": "version: 1\n"})
    environ = {"INPUT_CONFIG": "a.yml"}
    assert show_config(capsys, folder, environ=environ)["configuration"]["path"] == "a.yml"
    selected = show_config(capsys, folder, "--config", "b.yml", environ=environ)
    assert selected["configuration"]["path"] == "b.yml"


def test_table_escapes_untrusted_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = 'version: 1\nignore: ["a\u202eb\\tc"]\nmax-credits: 2.5\n'
    folder = write(tmp_path, {HOME: config})
    assert run_preview(folder, "config", "show", environ={"INPUT_FAIL-ON": "low"}) == 0
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


def test_base_option_reads_the_configuration_of_the_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = GitRepository.create(tmp_path / "work")
    sha = repository.commit({HOME: "version: 1\nfail-on: low\n"})
    repository.commit({HOME: "version: 1\nfail-on: high\n"})
    (repository.path / HOME).write_text("version: 1\nfail-on: critical\n")
    levels = {
        arguments: show_config(capsys, repository.path, *arguments)["values"]["fail-on"]["value"]
        for arguments in ((), ("--base", "HEAD"), ("--base", "HEAD~1"))
    }
    assert list(levels.values()) == ["critical", "high", "low"]
    found = show_config(capsys, repository.path, "--base", "HEAD~1")["configuration"]
    assert (found["commit"], found["read-from"]) == (sha, f"HEAD~1 ({sha[:12]})")
    with pytest.raises(SettingsError, match="nowhere"):
        run_preview(repository.path, "config", "show", "--base", "nowhere")


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
def test_invalid_configuration_is_not_shown(
    tmp_path: Path, files: dict[str, str | bytes], faults: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        run_preview(write(tmp_path, files), "config", "show")
    for fault in faults:
        assert fault in str(refused.value)

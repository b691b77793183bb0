"""Selection of the CLI: the given path, the installed package, or PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from copilot._cli_download import get_cache_dir
from copilot._cli_version import CLI_VERSION as SDK_CLI_VERSION

from hunkwise.copilot.find_cli import (
    CHECKOUT,
    CLI_VERSION,
    CliCommand,
    cache_folder,
    download_folder,
    downloaded_cli,
    find_cli,
    platform_name,
)
from hunkwise.copilot.isolation import Credential, refuse_unsafe, sidecar_environment
from hunkwise.errors import ModelError, ModelKind, SettingsError
from tests.copilot.programs import script
from tests.copilot.sessions import environ


def test_installed_runtime_is_first_with_cli_as_fallback() -> None:
    command = find_cli(environ())
    assert command.program.name == "copilot-runtime"
    assert CLI_VERSION in command.program.parts
    assert command.instead is not None
    assert (command.instead.program.name, command.instead.instead) == ("copilot", None)
    assert command.program.is_relative_to(CHECKOUT)
    assert command.arguments[1:] == ("--headless", "--port", "0", "--log-level", "none")


def test_given_path_is_first_and_has_no_fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = script(tmp_path, "exit 1", "mine")
    monkeypatch.chdir(tmp_path)
    assert find_cli(environ(COPILOT_CLI_PATH="mine")) == CliCommand(program)
    with_cache = find_cli(environ(COPILOT_CLI_PATH=str(program), COPILOT_PKG_CACHE_HOME="cache"))
    assert with_cache == CliCommand(program, tmp_path / "cache")


@pytest.mark.parametrize("name", ["missing", "."])
def test_given_path_that_is_not_a_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="which is not a file") as raised:
        find_cli(environ(COPILOT_CLI_PATH=str(tmp_path / name)))
    assert raised.value.kind is ModelKind.SIDECAR
    assert raised.value.hint


def test_cli_is_started_without_unpacked_package(tmp_path: Path) -> None:
    command = find_cli(environ(COPILOT_PKG_CACHE_HOME=str(tmp_path / "missing")))
    assert (command.program.name, command.package_cache) == ("copilot", None)


def test_runtime_without_its_library_is_not_used(tmp_path: Path) -> None:
    name = platform_name()
    folder = tmp_path / "pkg" / name / CLI_VERSION / "prebuilds" / name
    folder.mkdir(parents=True)
    script(folder, "exit 1", "copilot-runtime")
    assert find_cli(environ(COPILOT_PKG_CACHE_HOME=str(tmp_path))).program.name == "copilot"
    (folder / "runtime.node").write_bytes(b"x")
    assert find_cli(environ(COPILOT_PKG_CACHE_HOME=str(tmp_path))).program == folder / "copilot-runtime"


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, str]:
    """Returns an environment whose user's cache is empty; PATH has only an empty folder."""
    (tmp_path / "bin").mkdir()
    names = {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache", "PATH": tmp_path / "bin"}
    return {name: str(path) for name, path in names.items()}


def add_download(environ: dict[str, str], platform: str) -> Path:
    folder = download_folder(environ) / "prebuilds" / platform
    folder.mkdir(parents=True)
    for name in ("copilot-runtime", "runtime.node", ".hostless-runtime-assets-v2"):
        (folder / name).write_text("x")
    return folder / "copilot-runtime"


def test_path_is_searched_before_the_download(tmp_path: Path, cache: dict[str, str]) -> None:
    no_cli = tmp_path / "checkout"
    downloaded = CliCommand(add_download(cache, platform_name()))
    assert find_cli(cache, no_cli) == downloaded
    on_path = script(tmp_path / "bin", "exit 1")
    own_cache = cache_folder(cache, "copilot", sys.platform)
    assert find_cli(cache, no_cli) == CliCommand(on_path, own_cache, downloaded)
    unwritable = cache | {"COPILOT_PKG_CACHE_HOME": str(on_path / "cache")}  # below a file
    assert find_cli(unwritable, no_cli).package_cache is None


def test_download_for_musl_is_found(cache: dict[str, str], tmp_path: Path) -> None:
    program = add_download(cache, platform_name().replace("linux-", "linuxmusl-"))
    assert find_cli(cache, tmp_path / "checkout") == CliCommand(program)


@pytest.mark.parametrize("missing", ["copilot-runtime", "runtime.node", ".hostless-runtime-assets-v2"])
def test_incomplete_download_is_not_found(cache: dict[str, str], missing: str) -> None:
    add_download(cache, platform_name()).with_name(missing).unlink()
    assert downloaded_cli(cache) is None


@pytest.mark.parametrize(
    ("file", "ways"),
    [
        ("package-lock.json", ["`make setup`", "COPILOT_CLI_PATH"]),
        ("other", ["`hunkwise setup`", "`npm install -g @github/copilot", "COPILOT_CLI_PATH"]),
    ],
)
def test_missing_cli_names_the_ways_of_the_place(
    tmp_path: Path, cache: dict[str, str], file: str, ways: list[str]
) -> None:
    (tmp_path / file).touch()
    with pytest.raises(ModelError, match=r"There is no Copilot CLI\.") as raised:
        find_cli(cache, tmp_path)
    assert [way for way in ways if way not in raised.value.shell_hint] == []
    assert ("make setup" in raised.value.shell_hint) == (file == "package-lock.json")


@pytest.mark.parametrize(
    "variables", [{}, {"XDG_CACHE_HOME": "/x"}, {"COPILOT_CLI_EXTRACT_DIR": "/y"}], ids=str
)
def test_download_folder_is_that_of_the_sdk(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "COPILOT_CLI_EXTRACT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert download_folder(os.environ) == get_cache_dir(SDK_CLI_VERSION)


def test_download_folder_on_macos() -> None:
    folder = download_folder({"HOME": "/Users/ann", "XDG_CACHE_HOME": "/x"}, "darwin")
    assert folder == Path("/Users/ann/Library/Caches/github-copilot-sdk/cli") / CLI_VERSION


def test_credential_repr_has_no_token() -> None:
    assert "ghs_secret" not in repr(Credential(copilot_token="ghs_secret"))


@pytest.mark.parametrize("value", ["1", "true", "false"])
def test_environment_that_approves_all_tools_is_rejected(value: str) -> None:
    with pytest.raises(SettingsError, match="COPILOT_ALLOW_ALL is set"):
        refuse_unsafe({"COPILOT_ALLOW_ALL": value})
    refuse_unsafe({"COPILOT_ALLOW_ALL": ""})


CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("value", "refused"),
    [("true", True), ("SPAN_ONLY", True), ("1", True), ("false", False), ("False ", False), ("0", False)],
)
def test_environment_that_sends_prompts_to_a_collector_is_rejected(
    tmp_path: Path, value: str, refused: bool
) -> None:
    environ = {CONTENT: value, "OTEL_SERVICE_NAME": "reviews"}
    if refused:
        with pytest.raises(SettingsError, match=f"{CONTENT} is set: prompts, and with them code, would go"):
            refuse_unsafe(environ)
    else:
        refuse_unsafe(environ)
    passed_on = sidecar_environment(
        environ, home=tmp_path, connection_token="t", credential=Credential("ghs_x"), package_cache=None
    )
    assert [name for name in passed_on if name.startswith("OTEL_")] == ["OTEL_SERVICE_NAME"]


def test_provider_makes_cli_offline_and_copilot_does_not(tmp_path: Path) -> None:
    def variables_for(credential: Credential) -> dict[str, str]:
        return sidecar_environment(
            {}, home=tmp_path, connection_token="t", credential=credential, package_cache=None
        )

    own = variables_for(Credential(provider_base_url="http://h/v1"))
    assert (own["COPILOT_OFFLINE"], own["COPILOT_PROVIDER_BASE_URL"]) == ("true", "http://h/v1")
    copilot = variables_for(Credential(copilot_token="ghs_x"))
    assert "COPILOT_OFFLINE" not in copilot
    assert copilot["COPILOT_GITHUB_TOKEN"] == "ghs_x"
    assert copilot["PATH"]


@pytest.mark.parametrize(
    ("inherited", "host"),
    [
        ({}, None),
        ({"GITHUB_SERVER_URL": "https://github.com"}, None),
        ({"GITHUB_SERVER_URL": "https://octo.ghe.com"}, "octo.ghe.com"),
        ({"GITHUB_SERVER_URL": "https://octo.ghe.com", "GH_HOST": "other.ghe.com"}, "other.ghe.com"),
        ({"GITHUB_SERVER_URL": "https://ghes.corp.example"}, None),
        ({"GITHUB_SERVER_URL": "https://ghes.corp.example", "GH_HOST": "ghes.corp.example"}, None),
        ({"GH_HOST": "Octo.GHE.com"}, "Octo.GHE.com"),
        ({"GH_HOST": "ghe.com.attacker.example"}, None),
    ],
)
def test_cli_environment_has_host_of_ghe_com_server(
    tmp_path: Path, inherited: dict[str, str], host: str | None
) -> None:
    credential = Credential(copilot_token="ghs_x")
    variables = sidecar_environment(
        inherited, home=tmp_path, connection_token="t", credential=credential, package_cache=None
    )
    assert variables.get("GH_HOST") == host

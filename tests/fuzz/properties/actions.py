"""Properties of the output to the runner: it has our commands and no others."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path

from hunkwise.actions import Runner, harmless, truncate_markdown
from hunkwise.domain.limits import JOB_SUMMARY_BYTES
from hunkwise.settings.github_context import RunnerEnvironment
from tests.fakes.actions_runner import Command, read_file_commands, read_log

ENVIRONMENT = RunnerEnvironment("pull_request", Path("event.json"), "octo/repo", actions=True)


def check_log(text: str) -> None:
    """Checks that a log line is no command, and complete except for inserted spaces."""
    runner, stream = _runner()
    runner.log(text)
    written = stream.getvalue()
    assert read_log(written).commands == ()
    assert written.replace(" ", "") == f"{harmless(text)}\n".replace(" ", "")


def check_annotation(message: str, title: str, file: str, line: int) -> None:
    """Checks that an annotation is one command with the given message and properties."""
    runner, stream = _runner()
    runner.warning(message, title=title, file=file, line=line)
    assert stream.getvalue().count("\n") == 1
    properties = {"title": harmless(title) or "hunkwise", "file": harmless(file), "line": str(line)}
    properties = {name: value for name, value in properties.items() if value}
    assert [command.name for command in read_log(stream.getvalue()).commands] == ["warning"]
    assert _decoded(stream.getvalue()) == Command("warning", harmless(message), properties)


def check_group(title: str, inside: str) -> None:
    """Checks that a group and a debug line start and end with our commands."""
    runner, stream = _runner()
    with runner.group(title):
        runner.log(inside)
        runner.debug(inside)
    commands = [command.name for command in read_log(stream.getvalue()).commands]
    assert commands == ["group", "debug", "endgroup"]
    first, *_, last_but_one, last = stream.getvalue().removesuffix("\n").split("\n")
    assert _decoded(first) == Command("group", harmless(title))
    assert _decoded(last_but_one) == Command("debug", harmless(inside))
    assert last == "::endgroup::"


def check_outputs(first: str, second: str) -> None:
    """Checks that exactly the two outputs are read back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        runner, stream = _runner(replace(ENVIRONMENT, output=path))
        runner.set_output("findings", first)
        runner.set_output("report", second)
        found = read_file_commands(path.read_bytes().decode())
    assert stream.getvalue() == ""
    assert found == {"findings": _stored(first), "report": _stored(second)}


def check_summary(markdown: str, before: int) -> None:
    """Checks that a summary is valid UTF-8, within GitHub's limit, and complete if possible."""
    text = truncate_markdown(markdown, before)
    encoded = text.encode("utf-8", "backslashreplace")
    assert len(encoded) <= max(before, 0)
    assert text == markdown or len(markdown.encode("utf-8", "backslashreplace")) > before
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "summary"
        runner, _ = _runner(replace(ENVIRONMENT, step_summary=path))
        runner.summary(markdown)
        runner.summary(markdown)
        assert path.stat().st_size <= JOB_SUMMARY_BYTES
        assert path.read_bytes().decode("utf-8").count(_stored(markdown)) >= 2 or not markdown


def _decoded(line: str) -> Command:
    """Decodes a command exactly like actions/runner; the emulated runner ignores invisible characters."""
    head, _, message = line.removesuffix("\n").removeprefix("::").partition("::")
    name, _, pairs_text = head.partition(" ")
    pairs = (pair.split("=", 1) for pair in pairs_text.split(",") if pair)
    return Command(name, _unescaped(message, ""), {key: _unescaped(value, ":,") for key, value in pairs})


def _unescaped(text: str, more: str) -> str:
    for character in f"\r\n{more}":
        text = text.replace(f"%{ord(character):02X}", character)
    return text.replace("%25", "%")


def _stored(text: str) -> str:
    """Returns the text after encoding as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _runner(environment: RunnerEnvironment = ENVIRONMENT) -> tuple[Runner, io.StringIO]:
    stream = io.StringIO(newline="")
    return Runner(environment, stream), stream

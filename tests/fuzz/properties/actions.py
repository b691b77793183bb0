"""What must hold of everything that is said to the runner: it hears our commands and nobody else's."""

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


def is_logged_as_text(text: str) -> None:
    """No runner finds a command in the log, and nothing is missing in it but where a blank was put between."""
    runner, stream = _runner()
    runner.log(text)
    written = stream.getvalue()
    assert read_log(written).commands == ()
    assert written.replace(" ", "") == f"{harmless(text)}\n".replace(" ", "")


def is_one_command(message: str, title: str, file: str, line: int) -> None:
    """Whatever an annotation says is one command, whose message and properties arrive as they were given."""
    runner, stream = _runner()
    runner.warning(message, title=title, file=file, line=line)
    assert stream.getvalue().count("\n") == 1
    said = {"title": harmless(title), "file": harmless(file), "line": str(line)}
    said = {name: value for name, value in said.items() if value}
    assert [command.name for command in read_log(stream.getvalue()).commands] == ["warning"]
    assert _decoded(stream.getvalue()) == Command("warning", harmless(message), said)


def is_grouped(title: str, inside: str) -> None:
    """A group and a line of debugging begin and end as ours, whatever stands in them."""
    runner, stream = _runner()
    with runner.group(title):
        runner.log(inside)
        runner.debug(inside)
    heard = [command.name for command in read_log(stream.getvalue()).commands]
    assert heard == ["group", "debug", "endgroup"]
    first, *_, last_but_one, last = stream.getvalue().removesuffix("\n").split("\n")
    assert _decoded(first) == Command("group", harmless(title))
    assert _decoded(last_but_one) == Command("debug", harmless(inside))
    assert last == "::endgroup::"


def is_set(first: str, second: str) -> None:
    """Two outputs are read back as they were set, and no third."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        runner, stream = _runner(replace(ENVIRONMENT, output=path))
        runner.set_output("findings", first)
        runner.set_output("report", second)
        found = read_file_commands(path.read_bytes().decode())
    assert stream.getvalue() == ""
    assert found == {"findings": _stored(first), "report": _stored(second)}


def is_summed_up(markdown: str, before: int) -> None:
    """A summary is valid UTF-8, within what GitHub takes, and whole where there is room."""
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
    """A command to the letter, as actions/runner decodes it; the emulated runner passes over what nobody sees."""
    head, _, message = line.removesuffix("\n").removeprefix("::").partition("::")
    name, _, given = head.partition(" ")
    pairs = (pair.split("=", 1) for pair in given.split(",") if pair)
    return Command(name, _unescaped(message, ""), {key: _unescaped(value, ":,") for key, value in pairs})


def _unescaped(text: str, more: str) -> str:
    for character in f"\r\n{more}":
        text = text.replace(f"%{ord(character):02X}", character)
    return text.replace("%25", "%")


def _stored(text: str) -> str:
    """As a file of UTF-8 holds it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _runner(environment: RunnerEnvironment = ENVIRONMENT) -> tuple[Runner, io.StringIO]:
    stream = io.StringIO(newline="")
    return Runner(environment, stream), stream

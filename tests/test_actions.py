"""Tests the commands and files that the runner reads, and that untrusted text cannot add commands."""

from __future__ import annotations

import io
import logging
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.actions import (
    LOG_BYTES,
    MESSAGE,
    OUTPUT_BYTES,
    Runner,
    append_whole,
    inert,
    read_outputs,
    takes,
    truncate_markdown,
)
from hunkwise.domain.limits import JOB_SUMMARY_BYTES
from hunkwise.settings.github_context import RunnerEnvironment
from tests.fakes.actions_runner import Command, read_file_commands, read_line, read_log

ENVIRONMENT = RunnerEnvironment("pull_request", Path("event.json"), "octo/repo", actions=True)
HOSTILE = [
    "::error::x",
    "  \t::set-output name=a::b",
    "\u3000::add-mask::x",
    "\ufeff::stop-commands::x",
    "\u200b:\u200b:error::x",
    "##[error]x",
    "see ##[add-path]/evil here",
    "#\u00ad#\u200d[warning]x",
    "a\r::error::x",
    "a\r\n::error::x",
    "a\x0b::error::x",
    "a\x85::error::x",
    "a\u2028::error::x",
    "a\u2029::error::x",
    "\n\n::endgroup::",
]
UNTRUSTED = st.lists(
    st.one_of(
        st.sampled_from(HOSTILE),
        st.sampled_from(
            ["::", "##[", "]", ":", "#", "\n", "\r", " ", "%0A", "%25", "\u2028", "\u200b", "error"]
        ),
        st.text(max_size=8),
        st.characters(codec=None),
    ),
    max_size=8,
).map("".join)


def spoken(environment: RunnerEnvironment = ENVIRONMENT) -> tuple[Runner, io.StringIO]:
    stream = io.StringIO()
    return Runner(environment, stream), stream


def test_commands_say_their_properties_and_text() -> None:
    runner, stream = spoken()
    runner.error("50% of\nit: a, b", title="Coverage: low, bad", file="src/a,b.py", line=3, end_line=5)
    runner.warning("w")
    runner.notice("n", title="", line=0)
    runner.debug("d")
    assert stream.getvalue() == (
        "::error title=Coverage%3A low%2C bad,file=src/a%2Cb.py,line=3,endLine=5::50%25 of%0Ait: a, b\n"
        "::warning title=hunkwise::w\n::notice title=hunkwise,line=0::n\n::debug::d\n"
    )


def test_a_group_ends_even_where_its_work_fails() -> None:
    runner, stream = spoken()
    with pytest.raises(KeyError), runner.group("Reading ::error::x"):
        raise KeyError("gone")
    assert read_log(stream.getvalue()).commands == (
        Command("group", "Reading ::error::x"),
        Command("endgroup", ""),
    )


@pytest.mark.parametrize(
    ("secret", "masked"),
    [("s3cret", ["s3cret"]), ("a%0Ab", ["a%0Ab"]), ("one\r\n\ntwo", ["one", "two"]), ("", [])],
)
def test_every_line_of_a_secret_is_masked(secret: str, masked: list[str]) -> None:
    runner, stream = spoken()
    runner.mask(secret)
    assert [command.message for command in read_log(stream.getvalue()).named("add-mask")] == masked


def test_a_secret_is_not_shown_where_no_runner_would_hide_it() -> None:
    runner, stream = spoken(replace(ENVIRONMENT, actions=False))
    runner.mask("s3cret")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_lines_are_logged_as_text(text: str) -> None:
    runner, stream = spoken()
    runner.log(text)
    assert read_log(stream.getvalue()).commands == ()
    assert stream.getvalue().isprintable() or "\n" in stream.getvalue()


@given(UNTRUSTED)
def test_no_text_in_the_log_is_a_command(text: str) -> None:
    runner, stream = spoken()
    runner.log(text)
    assert read_log(stream.getvalue()).commands == ()


@given(UNTRUSTED, UNTRUSTED)
def test_no_text_in_a_command_is_another_command(message: str, title: str) -> None:
    runner, stream = spoken()
    runner.warning(message, title=title, file=title, line=1)
    (command,) = read_log(stream.getvalue()).commands
    assert command.name == "warning"
    assert set(command.properties) <= {"title", "file", "line"}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), st.integers(1, 9))
def test_plain_text_arrives_as_it_was(message: str, line: int) -> None:
    runner, stream = spoken()
    runner.error(message, file="a.py", line=line)
    raw = stream.getvalue().removesuffix("\n")
    assert raw.startswith(f"::error title=hunkwise,file=a.py,line={line}::")
    assert raw.partition("::error ")[2].partition("::")[2].replace("%25", "%") == message


def test_ordinary_text_is_logged_unchanged() -> None:
    text = "a :: b\n  std::vector<int> x;\n#[derive] # # 👩\u200d💻\tend"
    assert inert(text) == text


def test_what_the_stream_cannot_encode_is_written_out() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Runner(ENVIRONMENT, stream).log("é \ud800")
    assert raw.getvalue() == b"\\xe9 \\ud800\n"


def test_outputs_are_read_as_they_were_set(tmp_path: Path) -> None:
    path = tmp_path / "output"
    runner, stream = spoken(replace(ENVIRONMENT, output=path))
    runner.set_output("findings", "3")
    runner.set_output("report", "a=b\nc<<d\n\n")
    assert read_file_commands(path.read_text()) == {"findings": "3", "report": "a=b\nc<<d\n\n"}
    assert stream.getvalue() == ""


@given(UNTRUSTED, UNTRUSTED)
def test_no_output_sets_another(tmp_path_factory: pytest.TempPathFactory, first: str, second: str) -> None:
    path = tmp_path_factory.mktemp("out") / "output"
    runner, _ = spoken(replace(ENVIRONMENT, output=path))
    runner.set_output("findings", first)
    runner.set_output("report", second)
    written = path.read_bytes().decode()
    assert list(read_file_commands(written)) == ["findings", "report"]
    assert read_outputs(written) == read_file_commands(written)


@pytest.mark.parametrize(
    ("content", "outputs"),
    [
        ("", {}),
        ("a=1\nb=\nc=x=y<<z\n", {"a": "1", "b": "", "c": "x=y<<z"}),
        ("a<<END\nEND\nb<<END\n1\n\nb=2\nEND2\nEND\nc=3", {"a": "", "b": "1\n\nb=2\nEND2", "c": "3"}),
        ("a=1\nb<<END\n2\nc=3\n", {"a": "1"}),  # not written to its end
    ],
)
def test_outputs_are_read_up_to_what_is_unfinished(content: str, outputs: dict[str, str]) -> None:
    assert read_outputs(content) == outputs


def test_missing_files_are_said_once_each() -> None:
    runner, stream = spoken()
    runner.set_output("findings", "3")
    runner.set_output("coverage", "99")
    runner.summary("# Review")
    assert [command.message for command in read_log(stream.getvalue()).named("warning")] == [
        "GITHUB_OUTPUT is not set: outputs are not passed on. Run as a GitHub action, or set it to the path of a file.",
        "GITHUB_STEP_SUMMARY is not set: there is no job summary."
        " Run as a GitHub action, or set it to the path of a file.",
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/full", "No space left on device"),
        ("/nowhere/else/output", "No such file or directory"),
        ("/", "Is a directory"),
    ],
)
def test_files_that_cannot_be_written_cost_a_warning_only(path: str, reason: str) -> None:
    runner, stream = spoken(replace(ENVIRONMENT, output=Path(path), step_summary=Path(path)))
    runner.set_output("findings", "3")
    runner.summary("# Review")
    assert [command.message for command in read_log(stream.getvalue()).named("warning")] == [
        f"GITHUB_OUTPUT names a file that cannot be written ({reason}): outputs are not passed on.",
        f"GITHUB_STEP_SUMMARY names a file that cannot be written ({reason}): there is no job summary.",
    ]


@pytest.fixture
def small_disk() -> Iterator[int]:
    """Limits the files of this process to 4,096 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, small_disk: int) -> None:
    path = tmp_path / "output"
    append_whole(path, b"a=1\n")
    with pytest.raises(OSError, match="File too large"):
        append_whole(path, b"x" * (small_disk + 1))
    assert path.read_bytes() == b"a=1\n"


def test_the_summary_is_added_with_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("# Before\n")
    runner, _ = spoken(replace(ENVIRONMENT, step_summary=path))
    runner.summary("# Review")
    runner.summary("more\n")
    assert path.read_text() == "# Before\n# Review\nmore\n"


def test_a_long_summary_is_cut_at_a_line_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("x" * 1000 + "\n")
    runner, _ = spoken(replace(ENVIRONMENT, step_summary=path))
    runner.summary("é" * 49 + "\n" + "line\n" * 300_000)
    written = path.read_text()
    assert JOB_SUMMARY_BYTES - 10 < path.stat().st_size <= JOB_SUMMARY_BYTES
    assert written.endswith(
        "line\n\n\n_The rest of this summary was cut: GitHub takes 1 MiB a step. The JSON report holds everything._\n"
    )


@pytest.mark.parametrize("room", [-5, 0, 50])
def test_a_summary_without_room_for_its_note_is_left_out(room: int) -> None:
    assert truncate_markdown("x" * 200, room) == ""


@given(st.text(), st.integers(0, 300))
def test_a_summary_is_never_longer_than_its_room(markdown: str, room: int) -> None:
    assert len(truncate_markdown(markdown * 20, room).encode("utf-8", "backslashreplace")) <= room


@pytest.fixture
def restored_logging() -> Iterator[None]:
    yield
    logger = logging.getLogger("hunkwise")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(
    ("debug", "lines"),
    [
        (False, "INFO hunkwise.plan: an\n: :error::x\nWARNING hunkwise.plan: w\n"),
        (
            True,
            "::debug::DEBUG hunkwise.plan: d\nINFO hunkwise.plan: an\n: :error::x\nWARNING hunkwise.plan: w\n",
        ),
    ],
)
def test_the_packages_loggers_speak_through_the_log(debug: bool, lines: str) -> None:
    runner, stream = spoken()
    runner.configure_logging(debug)
    runner.configure_logging(debug)
    logger = logging.getLogger("hunkwise.plan")
    logger.debug("d")
    logger.info("an\n::error::%s", "x")
    logger.warning("w")
    assert stream.getvalue() == lines


@pytest.mark.usefixtures("restored_logging")
def test_other_loggers_are_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    runner, stream = spoken()
    runner.configure_logging(True)
    logging.getLogger("github").info("not ours")
    assert logging.getLogger().handlers == before
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("::error file=a,line=1::m%0An", Command("error", "m\nn", {"file": "a", "line": "1"})),
        ("  ::warning::%25", Command("warning", "%")),
        ("x ##[error a=1;b=%5D]m", Command("error", "m", {"a": "1", "b": "]"})),
        ("::unknown::x", None),
        ("::error", None),
        ("##[error x", None),
    ],
)
def test_the_emulated_runner_reads_both_notations(line: str, command: Command | None) -> None:
    assert read_line(line) == command


def test_the_emulated_runner_stops_when_told() -> None:
    log = read_log("::stop-commands::t\n::error::a\n::t::\n::error::b")
    assert [command.message for command in log.commands] == ["t", "b"]
    assert log.lines == ("::error::a",)


@pytest.mark.parametrize("text", ["a<<X\nb", "nothing", "<<X\nX"])
def test_the_emulated_runner_fails_on_broken_files(text: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        read_file_commands(text)
    assert read_file_commands("a=b<<c\n") == {"a": "b<<c"}


def test_a_log_has_a_last_line_and_commands_go_on() -> None:
    runner, stream = spoken()
    for _ in range(LOG_BYTES // 10_000 + 5):
        runner.log("x" * 9_999)
    runner.debug("lost")
    runner.warning("heard")
    lines = stream.getvalue().splitlines()
    assert lines[-2:] == ["The log ends here: it has 8,388,608 bytes.", "::warning title=hunkwise::heard"]
    assert len(stream.getvalue()) < LOG_BYTES + 100
    assert stream.getvalue().count("ends here") == 1


def test_a_long_line_and_a_long_message_are_cut_and_say_by_how_much() -> None:
    runner, stream = spoken()
    runner.log(f"short\n{'x' * (MESSAGE + 5)}")
    runner.error("%" * (MESSAGE + 1))
    assert stream.getvalue() == (
        f"short\n{'x' * MESSAGE}… (5 more characters)\n::error title=hunkwise::{'%25' * MESSAGE}… (1 more characters)\n"
    )


def test_an_output_that_github_would_not_take_is_not_set(tmp_path: Path) -> None:
    path = tmp_path / "output"
    runner, stream = spoken(replace(ENVIRONMENT, output=path))
    runner.set_output("review-url", "x" * OUTPUT_BYTES)
    runner.set_output("findings", "3")
    assert dict(read_file_commands(path.read_text())) == {"findings": "3"}
    (warning,) = read_log(stream.getvalue()).named("warning")
    assert "review-url has 1,048,576 characters" in warning.message


class Gone(io.StringIO):
    """A pipe whose reader is closed: one of its methods fails."""

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__()
        self._method = method
        self._error = error
        self.calls = 0

    def _fail(self, method: str) -> None:
        if method == self._method:
            self.calls += 1
            raise self._error

    def write(self, text: str, /) -> int:
        self._fail("write")
        return super().write(text)

    def flush(self) -> None:
        self._fail("flush")


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space"), ValueError("closed file")])
@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_log_that_nobody_reads_any_more_is_left_alone(method: str, error: Exception) -> None:
    stream = Gone(method, error)
    runner = Runner(ENVIRONMENT, stream)
    for _ in range(3):
        runner.log("x")
        runner.error("y")
    assert stream.calls == 1


def test_what_was_masked_is_in_nothing_that_is_said(tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    runner, stream = spoken(replace(ENVIRONMENT, output=output, step_summary=summary))
    runner.mask("canary-secret")
    stream.truncate(0)
    stream.seek(0)
    runner.log("fine\ntold canary-secret\nfine")
    runner.error("logged canary-secret", title="canary-secret")
    runner.warning("logged terces-yranac")
    runner.set_output("url", "https://canary-secret@example.com")
    runner.summary("# Summary\n\ncanary-secret\n")
    said = stream.getvalue() + output.read_text() + summary.read_text()
    assert "canary-secret" not in said
    assert "terces-yranac" not in said
    assert "logged ***" in stream.getvalue()
    assert summary.read_text() == "# Summary\n\n***\n"


def test_a_summary_that_takes_the_text_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    assert takes(path, "# Review\ud800\n", 1_000)
    assert path.read_text() == "before\n"


def test_a_summary_that_is_not_there_yet_takes_it_too(tmp_path: Path) -> None:
    assert takes(tmp_path / "summary", "# Review\n", 0)


def test_what_swallows_refuses_or_has_no_room_takes_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    full = tmp_path / "full"
    full.write_bytes(b"x" * (JOB_SUMMARY_BYTES - 100))
    for path in (None, Path("/dev/full"), Path("/dev/null"), tmp_path / "pipe", tmp_path, full, full / "x"):
        assert not takes(path, "x" * 101, 0), path
    assert takes(full, "x" * 100, 0)
    assert not takes(full, "x" * 100, 1)


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_is_too_small_is_noticed_before(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    assert takes(path, "x" * 4_000, 0)
    assert not takes(path, "x" * 4_000, 200)
    assert path.read_text() == "before\n"

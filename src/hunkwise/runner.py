"""The Actions runner's side: workflow commands, masks, outputs and the job summary.

The one place that writes to stdout. Foreign text passes here and stays text: GitHub's runner looks for
`::name::` at the start of every line of a log, after white space, and for `##[name]` anywhere in it
(actions/runner, ActionCommand.cs).
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO, TypedDict, Unpack

from hunkwise.settings.environment import RunnerEnvironment

SUMMARY_BYTES: Final = 1024 * 1024 - 1
"""GitHub drops a step's summary of 1 MiB or more."""

_CUT_NOTE = (
    "\n\n_The rest of this summary was cut: GitHub takes 1 MiB a step. The JSON report holds everything._\n"
)
# Controls but tab and line feed, foreign line ends, lone surrogates, and marks that reorder a line.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# .NET compares by culture, which skips characters without width: they hide nothing from these patterns.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
_BLANK = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_COMMAND_START = re.compile(f"^([{_BLANK}{_UNSEEN}]*:)([{_UNSEEN}]*:)", re.MULTILINE)
_OLD_COMMAND = re.compile(f"(#[{_UNSEEN}]*#)([{_UNSEEN}]*\\[)")


def harmless(text: str) -> str:
    """The text with what could move the cursor, end a line or hide something written out, as `\\x1b`."""
    return _HARMFUL.sub(_written_out, text.replace("\r\n", "\n"))


def inert(text: str) -> str:
    """Text of any origin as lines of a log in which no runner finds a command."""
    return _OLD_COMMAND.sub(r"\1 \2", _COMMAND_START.sub(r"\1 \2", harmless(text)))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _command_text(text: str) -> str:
    """As the runner decodes it: `%` first, so that nothing is decoded twice."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property_text(text: str) -> str:
    return _command_text(text).replace(":", "%3A").replace(",", "%2C")


class Place(TypedDict, total=False):
    """What an annotation may say beside its message."""

    title: str | None
    file: str | None
    line: int | None
    end_line: int | None


class Runner:
    """Speaks to the runner through its log (`stream`) and the files that it names. Does no I/O at first."""

    def __init__(self, environment: RunnerEnvironment, stream: TextIO) -> None:
        self._environment = environment
        self._stream = stream
        self._warned: set[str] = set()

    def mask(self, secret: str) -> None:
        """Hides a value in all that the runner logs from here on. Elsewhere nobody would hide it: not said."""
        if self._environment.actions:
            for line in filter(str.strip, re.split("[\r\n]+", secret)):
                self._write(f"::add-mask::{_command_text(line)}")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """A part of the log that folds."""
        self._command("group", title)
        try:
            yield
        finally:
            self._command("endgroup", "")

    def debug(self, message: str) -> None:
        """A line that is shown where the run is debugged."""
        self._command("debug", message)

    def notice(self, message: str, **place: Unpack[Place]) -> None:
        """An annotation, on a line of a file where one is given."""
        self._annotate("notice", message, place)

    def warning(self, message: str, **place: Unpack[Place]) -> None:
        """An annotation of something that a reader should mend."""
        self._annotate("warning", message, place)

    def error(self, message: str, **place: Unpack[Place]) -> None:
        """An annotation of why the run failed."""
        self._annotate("error", message, place)

    def log(self, text: str) -> None:
        """Plain lines. Whatever the text holds, the runner finds no command in it."""
        self._write(inert(text))

    def set_output(self, name: str, value: str) -> None:
        """An output of the step; a warning where it cannot be written."""
        # Drawn after the value was made, so that no value can hold it.
        delimiter = f"hunkwise-{secrets.token_hex(16)}"
        content = f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
        self._append("GITHUB_OUTPUT", self._environment.output, content, "outputs are not passed on")

    def summary(self, markdown: str) -> None:
        """Adds to the job summary, cut to what GitHub takes; a warning where it cannot be written."""
        path = self._environment.step_summary
        content = fitted(
            markdown if markdown.endswith("\n") else markdown + "\n", SUMMARY_BYTES - _size(path)
        )
        self._append("GITHUB_STEP_SUMMARY", path, content, "there is no job summary")

    def configure_logging(self, debug: bool) -> None:
        """Lets the package's loggers, and no others, speak through this log: from INFO on, or from DEBUG."""
        logger = logging.getLogger("hunkwise")
        logger.handlers = [_LogLines(self)]
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False

    def _annotate(self, name: str, message: str, place: Place) -> None:
        self._command(
            name,
            message,
            title=place.get("title"),
            file=place.get("file"),
            line=place.get("line"),
            endLine=place.get("end_line"),
        )

    def _command(self, name: str, message: str, **properties: str | int | None) -> None:
        given = (
            f"{key}={_property_text(harmless(str(found)))}"
            for key, found in properties.items()
            if found is not None and found != ""
        )
        head = f"{name} {','.join(given)}".rstrip()
        self._write(f"::{head}::{_command_text(harmless(message))}")

    def _write(self, line: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        shown = line.encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(shown + "\n")
        self._stream.flush()

    def _append(self, variable: str, path: Path | None, content: str, loss: str) -> None:
        """Writes all or nothing; what is lost is said once a file."""
        if path is None:
            fault = f"{variable} is not set: {loss}. Run as a GitHub action, or set it to the path of a file."
        else:
            try:
                append_whole(path, content.encode("utf-8", "backslashreplace"))
                return
            except OSError as error:
                fault = f"{variable} names a file that cannot be written ({error.strerror}): {loss}."
        if variable not in self._warned:
            self._warned.add(variable)
            self.warning(fault)


def append_whole(path: Path, content: bytes) -> None:
    """Appends all of the content, or nothing of it. Raises OSError."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        written = 0
        try:
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            with suppress(OSError):  # the first error is the one to tell
                file.truncate(size)
            raise


def _size(path: Path | None) -> int:
    """Bytes that the file has already; 0 where nobody can say."""
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def fitted(markdown: str, room: int) -> str:
    """The text, or as many of its lines as fit with a note into `room` bytes of UTF-8; maybe none."""
    encoded = markdown.encode("utf-8", "backslashreplace")
    if len(encoded) <= room:
        return markdown
    kept = encoded[: max(0, room - len(_CUT_NOTE.encode()))]
    lines = kept[: kept.rfind(b"\n") + 1].decode("utf-8")
    return lines + _CUT_NOTE if len(_CUT_NOTE.encode()) <= room else ""


class _LogLines(logging.Handler):
    """Log records as plain lines, those of DEBUG as the runner's debug lines."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        say = self._runner.debug if record.levelno <= logging.DEBUG else self._runner.log
        say(self.format(record))

"""Workflow commands, masks, outputs and the job summary: what GitHub's runner reads.

The one place that writes to standard output in a workflow. Untrusted text stays text here: GitHub's runner looks for
`::name::` at the start of every line of a log, after white space, and for `##[name]` anywhere in it
(actions/runner, ActionCommand.cs).
"""

from __future__ import annotations

import logging
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO, TypedDict, Unpack

from hunkwise.redaction import SecretScan
from hunkwise.settings.github_context import RunnerEnvironment

SUMMARY_BYTES: Final = 1024 * 1024 - 1
"""GitHub drops a step's summary of 1 MiB or more."""
OUTPUT_BYTES: Final = 1024 * 1024
"""GitHub takes no larger outputs from a job."""
_CUT_NOTE = (
    "\n\n_The rest of this summary was cut: GitHub takes 1 MiB a step. The JSON report holds everything._\n"
)


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


def takes(path: Path | None, markdown: str, spare: int) -> bool:
    """Whether a job summary takes all of this text and some bytes more: they are written, and taken off again.

    Nothing else tells: a file on a full disk can be opened, and a device swallows what it is given.
    """
    content = markdown.encode("utf-8", "backslashreplace") + b" " * spare
    size = size_of(path)
    if path is None or size + len(content) > SUMMARY_BYTES:
        return False
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            return False
        append_whole(path, content)
        with path.open("r+b") as file:
            file.truncate(size)
    except OSError:
        return False
    return True


def size_of(path: Path | None) -> int:
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


LOG_BYTES: Final = 8 * 1024 * 1024
"""Bytes of plain lines in the log of a run; commands come on top."""
MESSAGE: Final = 16_000
"""Characters of one line, and of one command's message."""
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


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE else f"{text[:MESSAGE]}… ({len(text) - MESSAGE:,} more characters)"


class AnnotationPlace(TypedDict, total=False):
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
        self._room = LOG_BYTES
        self._deaf = False
        self._warned: set[str] = set()
        self._secrets: list[str] = []
        self._scan = SecretScan(self._secrets)

    def mask(self, secret: str) -> None:
        """Hides a value in all that the runner logs from here on. Elsewhere nobody would hide it: not said.

        It is left out here as well, in any notation: no runner hides anything in a summary or an output.
        """
        self._secrets.append(secret)
        self._scan = SecretScan(self._secrets)
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
        """A line that is shown where the run is debugged, as long as there is room for any."""
        self._room -= min(self._room, len(message))
        if self._room > 0:
            self._command("debug", message)

    def notice(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """An annotation, on a line of a file where one is given."""
        self._annotate("notice", message, place)

    def warning(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """An annotation of something that a reader should mend."""
        self._annotate("warning", message, place)

    def error(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """An annotation of why the run failed."""
        self._annotate("error", message, place)

    def log(self, text: str) -> None:
        """Plain lines. Whatever the text holds, the runner finds no command in it."""
        for line in inert(self._scan.redacted(text)).split("\n"):
            self._log_line(_cut(line))

    def set_output(self, name: str, value: str) -> None:
        """An output of the step; a warning where it cannot be written."""
        # Drawn after the value was made, so that no value can hold it.
        delimiter = f"hunkwise-{secrets.token_hex(16)}"
        content = f"{name}<<{delimiter}\n{self._scan.redacted(value)}\n{delimiter}\n"
        if len(content) > OUTPUT_BYTES:
            self.warning(f"The output {name} has {len(value):,} characters, more than GitHub takes: not set.")
            return
        self._append("GITHUB_OUTPUT", self._environment.output, content, "outputs are not passed on")

    def summary(self, markdown: str) -> None:
        """Adds to the job summary, cut to what GitHub takes; a warning where it cannot be written."""
        path = self._environment.step_summary
        whole = self._scan.redacted(markdown).removesuffix("\n") + "\n"
        content = fitted(whole, SUMMARY_BYTES - size_of(path))
        self._append("GITHUB_STEP_SUMMARY", path, content, "there is no job summary")

    def configure_logging(self, debug: bool) -> None:
        """Lets the package's loggers, and no others, speak through this log: from INFO on, or from DEBUG."""
        logger = logging.getLogger("hunkwise")
        logger.handlers = [_LogLines(self)]
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False

    def _annotate(self, name: str, message: str, place: AnnotationPlace) -> None:
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
            f"{key}={_property_text(harmless(self._scan.redacted(str(found))))}"
            for key, found in properties.items()
            if found is not None and found != ""
        )
        head = f"{name} {','.join(given)}".rstrip()
        self._write(f"::{head}::{_command_text(_cut(harmless(self._scan.redacted(message))))}")

    def _log_line(self, line: str) -> None:
        """The line, as long as there is room for any; then once that there is none."""
        if self._room <= 0:
            return
        self._room -= len(line.encode("utf-8", "backslashreplace")) + 1
        self._write(line if self._room > 0 else f"The log ends here: it has {LOG_BYTES:,} bytes.")

    def _write(self, line: str) -> None:
        """Says it, as long as somebody listens: a log that takes no more costs no review."""
        if self._deaf:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            shown = line.encode(encoding, "backslashreplace").decode(encoding)
            self._stream.write(shown + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the pipe is broken, the disk full, or the stream closed
            self._deaf = True

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


class _LogLines(logging.Handler):
    """Log records as plain lines, those of DEBUG as the runner's debug lines."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        say = self._runner.debug if record.levelno <= logging.DEBUG else self._runner.log
        say(self.format(record))

"""Writes workflow commands, masks, outputs and the job summary for GitHub's runner.

In a workflow, only this module writes to standard output. It keeps untrusted text from becoming a command: GitHub's
runner looks for `::name::` at the start of every line of a log, after white space, and for `##[name]` anywhere in it
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

from hunkwise.domain.limits import JOB_SUMMARY_BYTES
from hunkwise.domain.text import (
    BIDI,
    CONTROLS,
    JOINERS,
    MONGOLIAN_SELECTORS,
    SEPARATORS,
    SURROGATES,
    ZERO_WIDTH,
    escape_character,
)
from hunkwise.redaction import SecretScan
from hunkwise.settings.github_context import RunnerEnvironment

OUTPUT_BYTES: Final = 1024 * 1024
"""GitHub does not accept larger outputs from a job."""
_CUT_NOTE = (
    "\n\n_The rest of this summary was cut: GitHub takes 1 MiB a step. The JSON report holds everything._\n"
)


def append_whole(path: Path, content: bytes) -> None:
    """Appends all of the content or none of it. Raises OSError."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        written = 0
        try:
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            with suppress(OSError):  # the first error is the one to raise
                file.truncate(size)
            raise


def takes(path: Path | None, markdown: str, spare: int) -> bool:
    """Returns True if the text and `spare` more bytes fit into a job summary. Writes them, and removes them again.

    Only a write shows it: a file on a full disk can be opened, and a device discards what is written to it.
    """
    content = markdown.encode("utf-8", "backslashreplace") + b" " * spare
    size = size_of(path)
    if path is None or size + len(content) > JOB_SUMMARY_BYTES:
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
    """Returns the file's size in bytes; 0 if it is unknown."""
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def truncate_markdown(markdown: str, room: int) -> str:
    """Cuts a text to `room` bytes of UTF-8: as many whole lines as fit, and a note. May be empty."""
    encoded = markdown.encode("utf-8", "backslashreplace")
    if len(encoded) <= room:
        return markdown
    head = encoded[: max(0, room - len(_CUT_NOTE.encode()))]
    lines = head[: head.rfind(b"\n") + 1].decode("utf-8")
    return lines + _CUT_NOTE if len(_CUT_NOTE.encode()) <= room else ""


_OUTPUT: Final = re.compile(r"([^=<\n]+)(?:=(.*)|<<(.+)\n((?:.*\n)*?)\3)(?:\n|\Z)")


def read_outputs(content: str) -> dict[str, str]:
    """Returns the outputs in a file that `Runner.set_output` wrote: `name<<DELIMITER` blocks, or lines `name=value`.

    Reads up to the first text that is neither, such as a block that was not written to its end.
    """
    outputs: dict[str, str] = {}
    position = 0
    while match := _OUTPUT.match(content, position):
        name, value, _, block = match.groups()
        outputs[name] = value if block is None else block.removesuffix("\n")
        position = match.end()
    return outputs


LOG_BYTES: Final = 8 * 1024 * 1024
"""Bytes of plain lines in the log of a run; commands are not counted."""
MESSAGE: Final = 16_000
"""Characters of one line, and of one command's message."""
_HARMFUL = re.compile(f"[\r{CONTROLS}{SEPARATORS}{BIDI}{SURROGATES}]")
# The runner compares text by .NET's culture rules, which ignore zero-width characters: so the patterns allow them.
_UNSEEN = f"{ZERO_WIDTH}{JOINERS}{MONGOLIAN_SELECTORS}\ufe00-\ufe0f"
_SPACES = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_COMMAND_START = re.compile(f"^([{_SPACES}{_UNSEEN}]*:)([{_UNSEEN}]*:)", re.MULTILINE)
_OLD_COMMAND = re.compile(f"(#[{_UNSEEN}]*#)([{_UNSEEN}]*\\[)")


def harmless(text: str) -> str:
    """Escapes characters that move the cursor, end a line or hide text, for example as `\\x1b`."""
    return _HARMFUL.sub(lambda match: escape_character(match[0]), text.replace("\r\n", "\n"))


def inert(text: str) -> str:
    """Changes untrusted text so that the runner finds no command in its lines."""
    return _OLD_COMMAND.sub(r"\1 \2", _COMMAND_START.sub(r"\1 \2", harmless(text)))


def _encode_message(text: str) -> str:
    """Encodes a command's text as the runner decodes it: `%` first, so that nothing is encoded twice."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _encode_property(text: str) -> str:
    return _encode_message(text).replace(":", "%3A").replace(",", "%2C")


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE else f"{text[:MESSAGE]}… ({len(text) - MESSAGE:,} more characters)"


class AnnotationPlace(TypedDict, total=False):
    """The properties of an annotation: its title, file and lines."""

    title: str | None
    file: str | None
    line: int | None
    end_line: int | None


class Runner:
    """Writes to the runner's log (`stream`) and to the files that the environment names. `__init__` does no I/O."""

    def __init__(self, environment: RunnerEnvironment, stream: TextIO) -> None:
        self._environment = environment
        self._stream = stream
        self._room = LOG_BYTES
        self._closed = False
        self._warned: set[str] = set()
        self._secrets: list[str] = []
        self._scan = SecretScan(self._secrets)

    def mask(self, secret: str) -> None:
        """Masks a value in the runner's log from now on.

        Outside of GitHub Actions the command would only show the value, so it is not written. This class redacts the
        value too, in any encoding, because the runner masks nothing in a summary or an output.
        """
        self._secrets.append(secret)
        self._scan = SecretScan(self._secrets)
        if self._environment.actions:
            for line in filter(str.strip, re.split("[\r\n]+", secret)):
                self._write(f"::add-mask::{_encode_message(line)}")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Puts the lines that are logged in the `with` block into a collapsible group."""
        self._write_command("group", title)
        try:
            yield
        finally:
            self._write_command("endgroup", "")

    def debug(self, message: str) -> None:
        """Writes a debug line, which the runner shows if debug logging is on. Dropped once the log is full."""
        self._room -= min(self._room, len(message))
        if self._room > 0:
            self._write_command("debug", message)

    def notice(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """Writes a notice annotation, on a line of a file if one is given."""
        self._annotate("notice", message, place)

    def warning(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """Writes a warning annotation: something that the user should fix."""
        self._annotate("warning", message, place)

    def error(self, message: str, **place: Unpack[AnnotationPlace]) -> None:
        """Writes an error annotation: why the run failed."""
        self._annotate("error", message, place)

    def log(self, text: str) -> None:
        """Writes plain lines; the runner finds no command in them, whatever the text is."""
        for line in inert(self._scan.redacted(text)).split("\n"):
            self._write_plain(_cut(line))

    def set_output(self, name: str, value: str) -> None:
        """Sets an output of the step. Writes a warning if that fails."""
        # Random, and generated after the value exists, so that no value can contain it.
        delimiter = f"hunkwise-{secrets.token_hex(16)}"
        content = f"{name}<<{delimiter}\n{self._scan.redacted(value)}\n{delimiter}\n"
        if len(content) > OUTPUT_BYTES:
            self.warning(f"The output {name} has {len(value):,} characters, more than GitHub takes: not set.")
            return
        self._append("GITHUB_OUTPUT", self._environment.output, content, "outputs are not passed on")

    def summary(self, markdown: str) -> None:
        """Appends to the job summary, cut to GitHub's limit. Writes a warning if that fails."""
        path = self._environment.step_summary
        whole = self._scan.redacted(markdown).removesuffix("\n") + "\n"
        content = truncate_markdown(whole, JOB_SUMMARY_BYTES - size_of(path))
        self._append("GITHUB_STEP_SUMMARY", path, content, "there is no job summary")

    def configure_logging(self, debug: bool) -> None:
        """Sends records of the package's loggers, and no others, to this log: INFO and above, or DEBUG and above."""
        logger = logging.getLogger("hunkwise")
        logger.handlers = [_LogLines(self)]
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False

    def _annotate(self, name: str, message: str, place: AnnotationPlace) -> None:
        self._write_command(
            name,
            message,
            title=place.get("title") or "hunkwise",
            file=place.get("file"),
            line=place.get("line"),
            endLine=place.get("end_line"),
        )

    def _write_command(self, name: str, message: str, **properties: str | int | None) -> None:
        encoded = (
            f"{key}={_encode_property(harmless(self._scan.redacted(str(value))))}"
            for key, value in properties.items()
            if value is not None and value != ""
        )
        head = f"{name} {','.join(encoded)}".rstrip()
        self._write(f"::{head}::{_encode_message(_cut(harmless(self._scan.redacted(message))))}")

    def _write_plain(self, line: str) -> None:
        """Writes a line while the log has room; then once a line that the log ends here."""
        if self._room <= 0:
            return
        self._room -= len(line.encode("utf-8", "backslashreplace")) + 1
        self._write(line if self._room > 0 else f"The log ends here: it has {LOG_BYTES:,} bytes.")

    def _write(self, line: str) -> None:
        """Writes a line. After a failed write all later ones are skipped: a broken log must not stop the review."""
        if self._closed:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            printable = line.encode(encoding, "backslashreplace").decode(encoding)
            self._stream.write(printable + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the pipe is broken, the disk full, or the stream closed
            self._closed = True

    def _append(self, variable: str, path: Path | None, content: str, loss: str) -> None:
        """Appends all of the content or none of it. Warns about a loss once per file."""
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
    """Writes log records as plain lines, and those of DEBUG as the runner's debug lines."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        write = self._runner.debug if record.levelno <= logging.DEBUG else self._runner.log
        write(self.format(record))

"""What is fuzzed: how bytes become the input of each property, and the first inputs to grow from."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.fuzz.markdown_alphabet import spelled, spelling
from tests.fuzz.posted_texts import POSTED
from tests.fuzz.properties.actions import is_grouped, is_logged_as_text, is_one_command, is_set
from tests.fuzz.properties.answers import WORDS, is_answered, is_read, is_taken
from tests.fuzz.properties.diffs import is_cut_anywhere, tells_of_files, tells_the_truth
from tests.fuzz.properties.github import is_told, is_understood
from tests.fuzz.properties.markdown import does_nothing, keeps_its_limit, stays_itself
from tests.fuzz.properties.settings import asks, configures, matches_or_not, reads_what_yaml_says
from tests.fuzz.properties.state import is_a_report_or_refused, is_a_state_or_nothing, signed
from tests.fuzz.properties.verdicts import WORDS as OPINION_WORDS
from tests.fuzz.properties.verdicts import (
    drops_nothing_without_a_reason,
    instructs_or_not,
    is_told_within_bounds,
    stands_above_its_template,
)
from tests.fuzz.samples import CALL, EVENT, GRAPHQL, REPORT, REST, STATE, TELLING, VERDICTS
from tests.fuzz.values import edited
from tests.hard_diffs import AVAILABLE, CASES
from tests.publish.samples import PATCH
from tests.publish.test_sanitize import HOSTILE
from tests.settings.test_config import FULL

from hunkwise.settings.events import COMMAND_EVENTS, PUBLISHING_EVENTS
from hunkwise.tracking.state import SUMMARY_MARKER


@dataclass(frozen=True, slots=True)
class Target:
    """One surface: what is run on bytes and raises where a property does not hold."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...] = ()
    words: tuple[bytes, ...] = ()
    """Pieces that the fuzzer is told of, because it would hardly come upon them."""
    longest: int = 2_000
    """Bytes of an input."""


_DEEPEST: Final = 60
"""Levels of what is written as JSON first: several may come to stand within each other, and json has its limit."""


def _written(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _diff(raw: bytes) -> None:
    tells_the_truth(raw)
    is_cut_anywhere(raw, len(raw) * 2 // 3)


def _records(raw: bytes) -> None:
    tells_of_files(raw, cut=False)
    tells_of_files(raw, cut=True)


def _yaml(raw: bytes) -> None:
    reads_what_yaml_says(raw)
    configures(raw)


def _event(raw: bytes) -> None:
    names = (*PUBLISHING_EVENTS, *COMMAND_EVENTS)
    name = names[raw[0] % len(names)] if raw else names[0]
    publishing = bool(raw) and raw[0] > 127
    asks(name, raw[1:], publishing)
    asks(name, _written(edited(raw[1:], EVENT, WORDS, _DEEPEST)), publishing)


def _globs(raw: bytes) -> None:
    path, *patterns = raw.decode("utf-8", "surrogateescape").split("\n")
    matches_or_not(tuple(patterns), path)


def _markdown(raw: bytes) -> None:
    stays_itself(spelled(raw))
    keeps_its_limit(spelled(raw[1:]), raw[0] if raw else 0)


def _posted(raw: bytes) -> None:
    places = sorted(POSTED)
    does_nothing(places[raw[0] % len(places)] if raw else places[0], spelled(raw[1:]))


def _speech(raw: bytes) -> None:
    said = raw.decode("utf-8", "surrogateescape")
    first, _, second = said.partition("\0")
    is_logged_as_text(said)
    is_one_command(first, second, said, len(raw))
    is_grouped(first, second)


def _outputs(raw: bytes) -> None:
    first, _, second = raw.decode("utf-8", "surrogateescape").partition("\0")
    is_set(first, second)


def _answers(raw: bytes) -> None:
    call = edited(raw, CALL, WORDS)
    is_read(call)
    is_taken(call)


def _opinions(raw: bytes) -> None:
    half = len(raw) // 2
    drops_nothing_without_a_reason(
        [edited(part, VERDICTS, OPINION_WORDS) for part in (raw[:half], raw[half:])]
    )
    is_told_within_bounds(edited(raw, TELLING, OPINION_WORDS))


def _front(raw: bytes) -> None:
    stands_above_its_template(raw.decode("utf-8", "replace"))
    stands_above_its_template("---\n" + raw.decode("utf-8", "replace"))
    instructs_or_not(raw)
    instructs_or_not(b"---\napplyTo: " + raw)


def _tools(raw: bytes) -> None:
    is_answered(edited(raw, {"path": "src/a.py", "pattern": "x", "paths": ["src"], "start_line": 1}, WORDS))


def _state(raw: bytes) -> None:
    for content in (raw, _written(edited(raw, STATE, WORDS, _DEEPEST))):
        packed = b64encode(zlib.compress(content)).decode("ascii")
        is_a_state_or_nothing(f"{SUMMARY_MARKER}\n\n<!-- hunkwise:state v1 {packed} -->")
    is_a_state_or_nothing(raw.decode("utf-8", "surrogateescape"))


def _report(raw: bytes) -> None:
    is_a_report_or_refused(raw)
    changed: Any = edited(raw, REPORT, WORDS, _DEEPEST)
    if isinstance(changed, dict):
        is_a_report_or_refused(signed(changed))


def _forge(raw: bytes) -> None:
    half = len(raw) // 2
    is_understood(edited(raw[:half], GRAPHQL, WORDS), edited(raw[half:], REST, WORDS))
    text = raw.decode("utf-8", "surrogateescape")
    status = 300 + (raw[0] if raw else 0)
    is_told(
        status, {"location": text[1:], "retry-after": text[1:13], "x-ratelimit-reset": text[1:13]}, text[1:]
    )


_HARD = tuple(file.read_bytes()[:4_000] for file in sorted(CASES.glob("*/diff.patch"))) if AVAILABLE else ()
_DIFF_WORDS = (
    *(b"@@ -1,2 +1,2 @@\\x0a", b"@@@ -1 -1 +1 @@@\\x0a", b"diff --git a/x b/x\\x0a", b"--- a\\x0a+++ b\\x0a"),
)
_RAW = b":100644 100644 1 2 M\tsrc/a.py\n\ndiff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n"
_YAML_WORDS = tuple(b"version: 1|ignore:|prompts:|- name: |<<: *a|!!int |&a |%YAML 1.2|\\x0a  ".split(b"|"))
_LOG_WORDS = tuple(b"::error:: ##[error] ::stop-commands:: %0A %25 \\xe2\\x80\\xa8 \\xe2\\x80\\x8b".split())
_MARKDOWN = tuple(spelling(text) for text in HOSTILE)

TARGETS: Final[Mapping[str, Target]] = {
    "diff": Target(_diff, (PATCH, *_HARD), _DIFF_WORDS, 4_000),
    "records": Target(_records, (_RAW + PATCH, b": \tf\n"), (*_DIFF_WORDS, _RAW[:24] + b"\\x09"), 2_000),
    "yaml": Target(_yaml, (FULL.encode(), b"version: 1\n"), _YAML_WORDS),
    "event": Target(_event, (b"\0" + json.dumps(EVENT).encode()[:1_500], b"\x80\3\2\1\1\1"), (), 300),
    "globs": Target(
        _globs, (b"src/a.py\n*.py\n!src/**\n[!a-c]?", b"a/b\n**/b\n"), (b"**/", b"[!", b"\\x5c"), 200
    ),
    "markdown": Target(_markdown, _MARKDOWN, (), 300),
    "posted": Target(_posted, tuple(bytes([at % 10]) + raw for at, raw in enumerate(_MARKDOWN)), (), 300),
    "speech": Target(_speech, (b"::error::x\0t", "\u2028::x\ufeff##[error]".encode()), _LOG_WORDS, 300),
    "outputs": Target(_outputs, (b"a\0b", b"a<<b\nc\nb\n\0"), (b"<<", b"ghadelimiter_"), 200),
    "answers": Target(_answers, (b"", b"\3\3\0\0\1\5"), (), 200),
    "opinions": Target(_opinions, (b"", b"\3\3\0\0\1\5" * 2), (), 300),
    "front": Target(
        _front, (b"description: x\n---\nbody\n", b"'**/*.py,!a'\n---\nText."), (b"---\\x0a", *_YAML_WORDS)
    ),
    "tools": Target(_tools, (b"", b"\0\1\0\3"), (), 100),
    "state": Target(_state, (b"", json.dumps(STATE).encode()), (), 400),
    "report": Target(_report, (b"", json.dumps(REPORT).encode()), (), 200),
    "forge": Target(_forge, (b"", b"\3\3\0\0\1\5" * 2), (), 300),
}

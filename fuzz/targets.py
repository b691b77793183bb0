"""The targets of the fuzzer: how bytes become the input of each property check, and the seeds."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.fuzz.markdown_alphabet import decode_text, encode_text
from tests.fuzz.posted_texts import POSTED
from tests.fuzz.properties.actions import check_annotation, check_group, check_log, check_outputs
from tests.fuzz.properties.answers import (
    WORDS,
    check_finding_collector,
    check_reading_tools,
    check_report_findings,
)
from tests.fuzz.properties.diffs import check_git_output, check_hunks, check_truncated_patch
from tests.fuzz.properties.github import check_conversation, check_error
from tests.fuzz.properties.markdown import check_cut_text, check_posted_text, check_sanitized_text
from tests.fuzz.properties.settings import check_config, check_event, check_globs, check_yaml
from tests.fuzz.properties.state import check_comment, check_report, signed
from tests.fuzz.properties.verdicts import WORDS as OPINION_WORDS
from tests.fuzz.properties.verdicts import (
    check_front_matter,
    check_instructions,
    check_report_summary,
    check_verdicts,
)
from tests.fuzz.samples import CALL, EVENT, GRAPHQL, REPORT, REST, STATE, SUMMARY_CALL, VERDICTS
from tests.fuzz.values import edited
from tests.hard_diffs import AVAILABLE, CASES
from tests.publish.samples import PATCH
from tests.publish.test_sanitize import HOSTILE
from tests.settings.test_config import FULL

from hunkwise.settings.events import COMMAND_EVENTS, PUBLISHING_EVENTS
from hunkwise.tracking.state import SUMMARY_MARKER


@dataclass(frozen=True, slots=True)
class Target:
    """One target: `run` takes bytes and raises if a property does not hold."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...] = ()
    words: tuple[bytes, ...] = ()
    """Dictionary words that the fuzzer would hardly find by itself."""
    longest: int = 2_000
    """Maximum bytes of an input."""


_DEEPEST: Final = 60
"""Nesting of values that are written as JSON: several may be nested, and json has a limit."""


def _written(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _diff(raw: bytes) -> None:
    check_hunks(raw)
    check_truncated_patch(raw, len(raw) * 2 // 3)


def _records(raw: bytes) -> None:
    check_git_output(raw, cut=False)
    check_git_output(raw, cut=True)


def _yaml(raw: bytes) -> None:
    check_yaml(raw)
    check_config(raw)


def _event(raw: bytes) -> None:
    names = (*PUBLISHING_EVENTS, *COMMAND_EVENTS)
    name = names[raw[0] % len(names)] if raw else names[0]
    publishing = bool(raw) and raw[0] > 127
    check_event(name, raw[1:], publishing)
    check_event(name, _written(edited(raw[1:], EVENT, WORDS, _DEEPEST)), publishing)


def _globs(raw: bytes) -> None:
    path, *patterns = raw.decode("utf-8", "surrogateescape").split("\n")
    check_globs(tuple(patterns), path)


def _markdown(raw: bytes) -> None:
    check_sanitized_text(decode_text(raw))
    check_cut_text(decode_text(raw[1:]), raw[0] if raw else 0)


def _posted(raw: bytes) -> None:
    places = sorted(POSTED)
    check_posted_text(places[raw[0] % len(places)] if raw else places[0], decode_text(raw[1:]))


def _speech(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    first, _, second = text.partition("\0")
    check_log(text)
    check_annotation(first, second, text, len(raw))
    check_group(first, second)


def _outputs(raw: bytes) -> None:
    first, _, second = raw.decode("utf-8", "surrogateescape").partition("\0")
    check_outputs(first, second)


def _answers(raw: bytes) -> None:
    call = edited(raw, CALL, WORDS)
    check_report_findings(call)
    check_finding_collector(call)


def _opinions(raw: bytes) -> None:
    half = len(raw) // 2
    check_verdicts([edited(part, VERDICTS, OPINION_WORDS) for part in (raw[:half], raw[half:])])
    check_report_summary(edited(raw, SUMMARY_CALL, OPINION_WORDS))


def _front(raw: bytes) -> None:
    check_front_matter(raw.decode("utf-8", "replace"))
    check_front_matter("---\n" + raw.decode("utf-8", "replace"))
    check_instructions(raw)
    check_instructions(b"---\napplyTo: " + raw)


def _tools(raw: bytes) -> None:
    check_reading_tools(
        edited(raw, {"path": "src/a.py", "pattern": "x", "paths": ["src"], "start_line": 1}, WORDS)
    )


def _state(raw: bytes) -> None:
    for content in (raw, _written(edited(raw, STATE, WORDS, _DEEPEST))):
        packed = b64encode(zlib.compress(content)).decode("ascii")
        check_comment(f"{SUMMARY_MARKER}\n\n<!-- hunkwise:state v1 {packed} -->")
    check_comment(raw.decode("utf-8", "surrogateescape"))


def _report(raw: bytes) -> None:
    check_report(raw)
    changed: Any = edited(raw, REPORT, WORDS, _DEEPEST)
    if isinstance(changed, dict):
        check_report(signed(changed))


def _forge(raw: bytes) -> None:
    half = len(raw) // 2
    check_conversation(edited(raw[:half], GRAPHQL, WORDS), edited(raw[half:], REST, WORDS))
    text = raw.decode("utf-8", "surrogateescape")
    status = 300 + (raw[0] if raw else 0)
    check_error(
        status, {"location": text[1:], "retry-after": text[1:13], "x-ratelimit-reset": text[1:13]}, text[1:]
    )


_HARD = tuple(file.read_bytes()[:4_000] for file in sorted(CASES.glob("*/diff.patch"))) if AVAILABLE else ()
_DIFF_WORDS = (
    *(b"@@ -1,2 +1,2 @@\\x0a", b"@@@ -1 -1 +1 @@@\\x0a", b"diff --git a/x b/x\\x0a", b"--- a\\x0a+++ b\\x0a"),
)
_RAW = b":100644 100644 1 2 M\tsrc/a.py\n\ndiff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n"
_YAML_WORDS = tuple(b"version: 1|ignore:|prompts:|- name: |<<: *a|!!int |&a |%YAML 1.2|\\x0a  ".split(b"|"))
_LOG_WORDS = tuple(b"::error:: ##[error] ::stop-commands:: %0A %25 \\xe2\\x80\\xa8 \\xe2\\x80\\x8b".split())
_MARKDOWN = tuple(encode_text(text) for text in HOSTILE)

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

"""The YAML loader, the configuration, events and globs with any input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.settings.events import COMMAND_EVENTS, PUBLISHING_EVENTS
from hunkwise.settings.strict_yaml import MAX_BYTES
from tests.fuzz.properties.settings import check_config, check_event, check_globs, check_yaml
from tests.fuzz.samples import EVENT
from tests.fuzz.values import changed
from tests.settings.test_config import FULL

_LINES = [
    *FULL.splitlines(),
    "version: 1",
    "  - a",
    "- b: 1",
    "  c: [d, {e: f}]",
    "g: >-",
    "    h",
    "? i",
    ": j",
    "'k': \"\\x41\"",
]
_BITS = [
    *"a:?-[]{},&*<!|>%#@`~'\"\\ \t\n0",
    "\ufeff",
    "\x85",
    "---\n",
    "...\n",
    "<<: ",
    "!!int ",
    "9" * 400,
    "\u2028",
    "\\U",
]
_YAML = st.one_of(
    st.lists(st.sampled_from(_LINES), max_size=12).map("\n".join),
    st.lists(st.sampled_from(_BITS) | st.text(max_size=3), max_size=30).map("".join),
    st.builds(
        lambda whole, at, bit: whole[: at % len(whole)] + bit + whole[at % len(whole) :],
        st.sampled_from([FULL, "version: 1\n"]),
        st.integers(0, 2_000),
        st.sampled_from(_BITS),
    ),
).map(lambda text: text.encode("utf-8", "replace"))
_EVENT = changed(EVENT, ["closed", "open", "created", "o/r", "a" * 40])
_PATTERNS = st.lists(
    st.text("ab*?[]!^-\\/.&|~", max_size=8) | st.text(max_size=4), min_size=1, max_size=4
).map(tuple)
_PATHS = st.lists(st.text("ab.[]!\\-", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@settings(max_examples=120, deadline=None)
@given(_YAML | st.binary(max_size=80))
def test_any_bytes_are_a_configuration_or_faults_with_lines(raw: bytes) -> None:
    check_config(raw)


@settings(max_examples=120, deadline=None)
@given(_YAML)
def test_yaml_without_faults_equals_the_result_of_pyyaml(raw: bytes) -> None:
    check_yaml(raw)


@pytest.mark.parametrize(
    "flood",
    [
        b"[",
        b"{",
        b"- ",
        b"? ",
        b"k: ",
        b"a: 1\n",
        b" - 1\n",
        b"1,",
        b"&a ",
        b"*a ",
        b"!a ",
        b"#",
        b"\n",
        b'"',
        b"'",
        b"%a\n",
    ],
)
@pytest.mark.parametrize("head", [b"", b"version: 1\nignore:\n", b"version: 1\nprompts: ["])
def test_long_repetitive_yaml_has_an_error(head: bytes, flood: bytes) -> None:
    check_config((head + flood * MAX_BYTES)[: MAX_BYTES // 4])


@settings(max_examples=80, deadline=None)
@given(st.sampled_from((*PUBLISHING_EVENTS, *COMMAND_EVENTS)), _EVENT, st.booleans())
def test_any_event_is_a_task_or_faults(name: str, event: Any, publishing: bool) -> None:
    check_event(name, json.dumps(event).encode("utf-8"), publishing)


@settings(max_examples=120, deadline=None)
@given(_PATTERNS, _PATHS)
def test_any_patterns_match_any_path_or_not(patterns: tuple[str, ...], path: str) -> None:
    check_globs(patterns, path)

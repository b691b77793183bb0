"""Hidden state, markers and reports after reading."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import KEY_LENGTH, Side
from hunkwise.domain.finding import Severity
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import HiddenState, PreviousFinding
from hunkwise.tracking.state import SUMMARY_MARKER, encode
from tests.fuzz.properties.state import check_comment, check_report, check_state_round_trip, signed
from tests.fuzz.samples import REPORT, STATE
from tests.fuzz.values import ANY_TEXT, changed, json_values
from tests.publish.samples import state

_HEX = st.text("0123456789abcdef", min_size=16, max_size=16)
_RAISED = st.builds(
    PreviousFinding,
    _HEX,
    ANY_TEXT,
    st.sampled_from(Severity),
    ANY_TEXT,
    ANY_TEXT,
    ANY_TEXT,
    st.sampled_from(Side),
    st.none() | st.integers(-1, 10**10),
    st.none() | st.integers(-1, 50),
    st.just("") | st.text("0123456789abcdef", min_size=12, max_size=12),
    st.sampled_from(Destination),
    st.booleans(),
)
_KEYS = st.text("ABab01+/", min_size=KEY_LENGTH, max_size=KEY_LENGTH) | ANY_TEXT
_STATES = st.builds(
    HiddenState,
    st.just("o/r"),
    st.just(7),
    ANY_TEXT,
    st.lists(ANY_TEXT, max_size=25).map(tuple),
    ANY_TEXT,
    st.integers(0, 10),
    ANY_TEXT,
    st.frozensets(_KEYS, max_size=30),
    st.lists(_RAISED, max_size=6).map(tuple),
    ANY_TEXT,
)
_LINE = encode(state("A" * KEY_LENGTH), 10_000)
_WORDS = ["RIGHT", "inline", "deleted", "o/r", "0123456789abcdef", "low", "binary"]


def _packed(values: object) -> str:
    content = json.dumps(values).encode("utf-8", "surrogatepass")
    return f"{SUMMARY_MARKER}\n\n<!-- hunkwise:state v1 {b64encode(zlib.compress(content)).decode()} -->"


@settings(max_examples=100, deadline=None)
@given(_STATES, st.integers(-1, 3_000))
def test_state_round_trips_or_has_less(known: HiddenState, room: int) -> None:
    check_state_round_trip(known, room)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        changed(STATE, _WORDS).map(_packed),
        st.builds(
            lambda at, text: f"{SUMMARY_MARKER}\n{_LINE[: at % len(_LINE)]}{text}{_LINE[at % len(_LINE) :]}",
            st.integers(0, 1_000),
            ANY_TEXT,
        ),
    )
)
def test_any_comment_is_a_state_or_none(body: str) -> None:
    check_comment(body)


@settings(max_examples=80, deadline=None)
@given(changed(REPORT, _WORDS).map(lambda report: signed(report) if isinstance(report, dict) else b"[]"))
def test_any_report_can_be_published_or_is_an_error(raw: bytes) -> None:
    check_report(raw)


@settings(max_examples=100, deadline=None)
@given(
    json_values(_WORDS).map(lambda value: json.dumps(value, default=str).encode("utf-8", "replace"))
    | st.binary()
)
def test_any_bytes_are_rejected_as_a_report(raw: bytes) -> None:
    check_report(raw)


def test_unchanged_sample_report_can_be_published() -> None:
    check_report(signed(REPORT))
    check_comment(_packed(STATE))

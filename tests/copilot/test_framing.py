"""Messages of the CLI that are too large never come into memory; those around them do."""

from __future__ import annotations

import io
import logging
import re

import pytest

from hunkwise.copilot.connection import MAX_MESSAGE, BoundedMessages


def message(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Pieces(io.BytesIO):
    """Notes the largest piece that was asked for."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.largest = max(self.largest, size)
        return super().read(size)


def next_message(stream: BoundedMessages) -> bytes | None:
    """As the SDK reads it; None where the connection ended."""
    header = stream.readline()
    if not header:
        return None
    left, body = int(header.split(b":")[1]), b""
    stream.readline()
    while len(body) < left:
        piece = stream.read(left - len(body))
        assert piece
        body += piece
    return body


def test_messages_are_handed_on_whole() -> None:
    large = b"x" * 1_000_000
    stream = BoundedMessages(io.BytesIO(message(b"{}") + message(large)))
    assert next_message(stream) == b"{}"
    assert next_message(stream) == large
    assert next_message(stream) is None


def test_a_message_that_is_too_large_is_passed_over_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    wire = io.BytesIO(message(b"{}") + message(b" " * (MAX_MESSAGE + 1)) + message(b"[]"))
    stream = BoundedMessages(wire)
    with caplog.at_level(logging.WARNING, "hunkwise"):
        assert [next_message(stream) for _ in range(3)] == [b"{}", b"[]", None]
    assert re.findall(r"it has ([\d,]+) bytes", caplog.text) == [f"{MAX_MESSAGE + 1:,}"]


def test_whatever_its_size_a_message_is_read_in_small_pieces() -> None:
    wire = Pieces(message(b"x" * 1_000_000) + message(b" " * (MAX_MESSAGE + 1)))
    stream = BoundedMessages(wire)
    assert next_message(stream) == b"x" * 1_000_000
    assert next_message(stream) is None
    assert wire.largest <= 64 * 1024


def test_a_connection_that_ends_in_the_middle_of_one_has_ended() -> None:
    stream = BoundedMessages(io.BytesIO(b"Content-Length: %d\r\n\r\nabc" % (MAX_MESSAGE + 1)))
    assert stream.readline() == b""


def test_what_is_no_header_is_left_to_the_sdk() -> None:
    stream = BoundedMessages(io.BytesIO(b"HTTP/1.1 400 Bad Request\r\n"))
    assert stream.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    assert len(BoundedMessages(io.BytesIO(b"x" * 5_000)).readline()) == 1_000

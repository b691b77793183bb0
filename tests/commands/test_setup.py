"""`hunkwise setup`: asks first, verifies, and leaves all of the CLI or nothing."""

from __future__ import annotations

import argparse
import asyncio
import errno
import io
import os
import pty
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import IncompleteRead
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.types import Receive, Scope, Send

from hunkwise.commands.setup import setup
from hunkwise.copilot.cli_download import FollowedResponse, check_space, download_cli
from hunkwise.copilot.find_cli import CLI_VERSION, download_folder, downloaded_cli, find_cli
from hunkwise.errors import Error, ModelError, SettingsError
from tests.fakes.cli_release import ARCHIVE, SUMS, CliRelease, checksums, release, small_archive
from tests.fakes.http_server import serve

ASK, YES = argparse.Namespace(yes=False), argparse.Namespace(yes=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder without a CLI, as that of an installed package. The user's cache is empty."""
    for name in ("COPILOT_CLI_EXTRACT_DIR", "COPILOT_PKG_CACHE_HOME", "COPILOT_CLI_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache", "PATH": "/nowhere"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "checkout"


@pytest.fixture
def published(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRelease]:
    """Serves a small release where the SDK downloads from."""
    served = release(small_archive())
    with serve(served) as url:
        monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", url)
        yield served


def left_behind() -> list[Path]:
    """Returns the files in the folder of the download."""
    return [path for path in download_folder(os.environ).rglob("*") if path.is_file()]


def test_cli_is_downloaded_once_and_then_found(
    checkout: Path, published: CliRelease, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(YES, os.environ, checkout) == 0
    printed = capsys.readouterr().out
    for words in (
        os.environ["COPILOT_CLI_DOWNLOAD_BASE_URL"],
        ARCHIVE,
        "87 MB",
        "SHA-256",
        "Next: `hunkwise",
    ):
        assert words in printed
    assert f"  to      {download_folder(os.environ)}\n" in printed
    command = find_cli(os.environ, checkout)
    assert command.program.read_bytes() == b"#!/bin/sh\n"
    assert os.access(command.program, os.X_OK)
    assert published.requests == [SUMS, ARCHIVE]

    assert setup(ASK, {**os.environ, "COPILOT_CLI_PATH": "mine"}, checkout) == 0
    printed = capsys.readouterr().out
    assert "is there already" in printed
    assert "COPILOT_CLI_PATH is set, so mine is used instead." in printed
    assert len(published.requests) == 2


@pytest.mark.parametrize(
    ("answer", "code", "requests"), [("y", 0, 2), (" YES ", 0, 2), ("n", 3, 0), ("", 3, 0)]
)
def test_question_is_asked_on_a_terminal(
    checkout: Path, published: CliRelease, answer: str, code: int, requests: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    with os.fdopen(ours), os.fdopen(theirs) as terminal:
        assert setup(ASK, os.environ, checkout, terminal) == code
    assert len(published.requests) == requests


def test_nothing_is_downloaded_unasked(checkout: Path, published: CliRelease) -> None:
    with pytest.raises(SettingsError, match="add --yes"):
        setup(ASK, os.environ, checkout, io.StringIO("y\n"))
    with pytest.raises(ModelError, match="downloads are disabled"):
        setup(YES, {**os.environ, "COPILOT_SKIP_CLI_DOWNLOAD": "1"}, checkout)
    assert published.requests == []


def test_incomplete_download_is_not_used_and_is_replaced(checkout: Path, published: CliRelease) -> None:
    assert setup(YES, os.environ, checkout) == 0
    program = find_cli(os.environ, checkout).program
    for name in ("runtime.node", "copilot-runtime"):
        program.with_name(name).write_bytes(b"")
        assert downloaded_cli(os.environ) is None
        assert setup(YES, os.environ, checkout) == 0
        assert program.with_name(name).stat().st_size


@pytest.mark.parametrize(
    ("archive", "sums", "message"),
    [
        (small_archive(), checksums(b"another"), "Checksum mismatch"),
        (small_archive(), checksums(small_archive(), "other.tgz"), f"does not contain {ARCHIVE}"),
        (b"no archive", checksums(b"no archive"), "could not be unpacked"),
        (small_archive()[:-70_000], checksums(small_archive()[:-70_000]), "could not be unpacked"),
        (small_archive("runtime.node"), checksums(small_archive("runtime.node")), "must both be non-empty"),
    ],
    ids=["checksum", "no checksum", "no archive", "cut", "incomplete"],
)
def test_wrong_download_leaves_nothing(
    checkout: Path, published: CliRelease, archive: bytes, sums: bytes, message: str
) -> None:
    published.files |= {ARCHIVE: archive, SUMS: sums}
    with pytest.raises(ModelError, match=message) as raised:
        setup(YES, os.environ, checkout)
    assert "Nothing was installed." in raised.value.hint
    assert left_behind() == []


def test_unreachable_server_is_an_error_with_other_ways(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"Failed to download from \S+: .*refused") as raised:
        setup(YES, os.environ, checkout)
    assert f"npm install -g @github/copilot@{CLI_VERSION}" in raised.value.hint
    assert left_behind() == []


def test_folder_that_cannot_be_written_is_an_error_before_the_download(
    checkout: Path, published: CliRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COPILOT_CLI_EXTRACT_DIR", str(tmp_path / "file" / "cli"))
    with pytest.raises(ModelError, match=r"could not be written to .*: Not a directory"):
        setup(YES, os.environ, checkout)
    with pytest.raises(OSError, match="No space left") as raised:
        check_space(tmp_path, 1 << 62)
    assert raised.value.errno == errno.ENOSPC
    assert published.requests == []


@contextmanager
def files_limited_to(most: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_disk_that_is_full_while_unpacking_leaves_nothing(checkout: Path, published: CliRelease) -> None:
    with (
        files_limited_to(1_000_000),
        pytest.raises(ModelError, match=r"could not be written to .*: File too large"),
    ):
        setup(YES, os.environ, checkout)
    assert left_behind() == []


def test_interrupted_download_leaves_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = release(small_archive())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith(SUMS):
            await whole(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 500_000, "more_body": True})
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)

    with serve(app) as url:
        monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", url)
        with pytest.raises(Error, match="was stopped, and nothing was installed"):
            setup(YES, os.environ, checkout)
    assert left_behind() == []


def test_archive_above_the_limit_is_refused(checkout: Path, published: CliRelease) -> None:
    with pytest.raises(ModelError, match="larger than 1,000,000 bytes"):
        download_cli(os.environ, lambda _done, _total: None, max_archive=1_000_000)
    assert left_behind() == []


@pytest.mark.parametrize(("header", "total"), [("9", 9), (None, None), ("x", None)])
def test_progress_is_reported_while_a_response_is_read(header: str | None, total: int | None) -> None:
    seen: list[tuple[int, int | None]] = []
    assert followed(b"123456789", header, lambda *now: seen.append(now)).read() == b"123456789"
    assert seen == [(9, total)]


def test_response_that_ends_early_is_an_error() -> None:
    with pytest.raises(IncompleteRead):
        followed(b"1234", "9", lambda *_now: None).read()


def followed(
    body: bytes, header: str | None, report: Callable[[int, int | None], object]
) -> FollowedResponse:
    file = io.BytesIO(body)
    response = SimpleNamespace(read=file.read, headers={"Content-Length": header} if header else {})
    return FollowedResponse(response, report, 100)

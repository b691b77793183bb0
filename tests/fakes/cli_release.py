"""A release of the Copilot CLI on loopback, as the SDK downloads it: the archive and its checksum."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from copilot._cli_version import get_release_asset_name, get_runtime_platform
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hunkwise.copilot.find_cli import CLI_VERSION

ARCHIVE = get_release_asset_name(CLI_VERSION)
SUMS = "SHA256SUMS.txt"
_SMALL = {"copilot-runtime": b"#!/bin/sh\n", "runtime.node": b"library" * 300_000}


@dataclass
class CliRelease:
    """An ASGI app that serves `files` by their names; `requests` are the names that were asked for."""

    files: dict[str, bytes]
    requests: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        folder, _, name = scope["path"].rpartition("/")
        self.requests.append(name)
        known = folder == f"/v{CLI_VERSION}" and name in self.files
        response = Response(self.files[name]) if known else Response(status_code=404)
        await response(scope, receive, send)


def checksums(archive: bytes, name: str = ARCHIVE) -> bytes:
    return f"{hashlib.sha256(archive).hexdigest()}  {name}\n".encode()


def release(archive: bytes) -> CliRelease:
    return CliRelease({ARCHIVE: archive, SUMS: checksums(archive)})


def small_archive(without: str = "") -> bytes:
    """Returns an archive whose program does nothing, without one of its two files."""
    return pack((name, content) for name, content in _SMALL.items() if name != without)


def real_archive(runtime: Path) -> bytes:
    """Returns an archive with the real runtime and its library, not compressed."""
    names = ("copilot-runtime", "runtime.node")
    return pack((name, runtime.with_name(name).read_bytes()) for name in names)


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=0) as archive:
        for name, content in files:
            member = tarfile.TarInfo(f"package/prebuilds/{get_runtime_platform()}/{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()

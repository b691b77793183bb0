"""Downloads the Copilot CLI by the SDK's own verified download: its release's archive, compared by SHA-256."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any, Final, TypeAlias

from hunkwise.certificates import tls_context
from hunkwise.copilot.find_cli import CLI_VERSION, CliCommand, download_folder, downloaded_cli
from hunkwise.errors import ModelError, ModelKind

ARCHIVE_BYTES: Final = 87_000_000
FOLDER_BYTES: Final = 167_000_000
"""Both for Linux on x64. The first is an estimate: the files of the npm package, packed as the release packs them."""
MAX_ARCHIVE: Final = 400_000_000
"""Bytes. The SDK has the whole archive in memory."""
_CHUNK = 1 << 18
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}
_NOTHING = "Nothing was installed."
_OTHER_WAYS = (
    f"Or run `npm install -g @github/copilot@{CLI_VERSION}`, or set COPILOT_CLI_PATH to a Copilot CLI."
)
_NETWORK_HINT = f"{_NOTHING} Check the network, HTTPS_PROXY, and SSL_CERT_FILE. {_OTHER_WAYS}"
_SKIP = "COPILOT_SKIP_CLI_DOWNLOAD"
Report: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes that were read, and all bytes if their number is known."""


@dataclass(frozen=True, slots=True)
class CliDownload:
    """What is downloaded, and where to. The SDK takes its settings from the process's environment."""

    url: str
    folder: Path


def planned_download(environ: Mapping[str, str]) -> CliDownload:
    """Returns what `download_cli` would do. Makes no request. Raises ModelError (SIDECAR) if it is not possible here.

    Imports the SDK.
    """
    from copilot import _cli_version as sdk

    if environ.get(_SKIP):
        raise ModelError(
            ModelKind.SIDECAR, f"{_SKIP} is set: downloads are disabled here.", f"Remove it. {_OTHER_WAYS}"
        )
    try:
        name = sdk.get_release_asset_name(CLI_VERSION)
    except RuntimeError as error:
        raise ModelError(ModelKind.SIDECAR, f"{error}.".replace("..", "."), _OTHER_WAYS) from error
    return CliDownload(sdk.get_download_url(CLI_VERSION, name), download_folder(environ))


def download_cli(environ: Mapping[str, str], report: Report, max_archive: int = MAX_ARCHIVE) -> CliCommand:
    """Downloads, verifies and unpacks the CLI; the folder has all of it or nothing. Returns its command.

    Raises ModelError (SIDECAR).
    """
    from copilot import _cli_download as sdk

    folder = download_folder(environ)
    try:
        check_space(folder)
        # `urlopen`, which the SDK calls, offers no other way to follow a download.
        https = urllib.request.HTTPSHandler(context=tls_context(environ))
        urllib.request.install_opener(urllib.request.build_opener(https, _Followed(report, max_archive)))
        sdk.ensure_runtime_wrapper(CLI_VERSION, force=True)
    except OSError as error:
        raise _write_error(folder, error) if error.errno in _DISK else _network_error(error) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        message = f"The archive could not be unpacked: {error}."
        raise ModelError(ModelKind.SIDECAR, message, f"{_NOTHING} {_OTHER_WAYS}") from error
    except (RuntimeError, HTTPException) as error:
        raise _network_error(error) from error
    finally:
        urllib.request.install_opener(None)  # the default, as before
    command = downloaded_cli(environ)
    if command is None:
        message = f"{folder} has no complete Copilot CLI after the download."
        raise ModelError(ModelKind.SIDECAR, message, f"Delete that folder. {_OTHER_WAYS}")
    return command


def check_space(folder: Path, needed: int = FOLDER_BYTES) -> None:
    """Raises OSError if the folder cannot be written, or has less space than `needed` bytes. Creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _write_error(folder: Path, error: OSError) -> ModelError:
    return ModelError(
        ModelKind.SIDECAR,
        f"The Copilot CLI could not be written to {folder}: {error.strerror}.",
        f"{_NOTHING} It needs {FOLDER_BYTES / 1e6:.0f} MB there; COPILOT_CLI_EXTRACT_DIR names another folder, for "
        "this command and for those that start the CLI.",
    )


def _network_error(error: Exception) -> ModelError:
    deepest = error
    while isinstance(deepest.__cause__, RuntimeError):  # the SDK repeats the cause, with advice of its own
        deepest = deepest.__cause__
    reason = " ".join(str(deepest).split()).rstrip(".")
    return ModelError(ModelKind.SIDECAR, f"The Copilot CLI could not be downloaded: {reason}.", _NETWORK_HINT)


class _Followed(urllib.request.BaseHandler):
    """Reports the progress of each response, and limits its size."""

    handler_order = 2_000  # after the one for errors and redirects

    def __init__(self, report: Report, max_bytes: int) -> None:
        self._report = report
        self._max_bytes = max_bytes

    def http_response(self, _request: urllib.request.Request, response: Any) -> Any:
        """Returns the response in a form that reports; a redirect's comes here twice."""
        if isinstance(response, FollowedResponse):
            return response
        return FollowedResponse(response, self._report, self._max_bytes)

    https_response = http_response


class FollowedResponse:
    """A response of `urlopen` that reports its progress while it is read."""

    def __init__(self, response: Any, report: Report, max_bytes: int) -> None:
        self._response = response
        self._report = report
        self._max_bytes = max_bytes

    def __enter__(self) -> FollowedResponse:
        return self

    def __exit__(self, *_error: object) -> None:
        self._response.close()

    def read(self) -> bytes:
        """Returns the body. Raises IncompleteRead if it is cut, RuntimeError if it is larger than the limit."""
        header = self._response.headers.get("Content-Length") or ""
        total = int(header) if header.isdecimal() else None
        body = io.BytesIO()
        while chunk := self._response.read(_CHUNK):
            body.write(chunk)
            if body.tell() > self._max_bytes:
                raise RuntimeError(f"it is larger than {self._max_bytes:,} bytes")
            self._report(body.tell(), total)
        if total is not None and body.tell() < total:
            raise IncompleteRead(b"", total - body.tell())
        return body.getvalue()

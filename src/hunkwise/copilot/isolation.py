"""The sidecar as a user of its own, in a folder that is all it can see: where we are root, as in the image."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hunkwise.copilot.certificates import carried
from hunkwise.errors import ModelError, ModelKind
from hunkwise.privileges import give_up

ROOT_VARIABLE = "HUNKWISE_SIDECAR_ROOT"
"""Set by the image: the folder that the sidecar takes for /."""
UID = 10001
"""Of the sidecar, and of its group; nobody else has it in the image."""
_MADE_AT_START = ("resolv.conf", "hosts")
"""In /etc, by whoever starts the container."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Its own root folder, user and group. The folder holds the CLI's package and the libraries that it needs."""

    root: Path
    uid: int = UID
    gid: int = UID

    @property
    def homes(self) -> Path:
        """Where the sidecar's homes are made; it cannot list them."""
        return self.root / "home"

    def inside(self, path: Path) -> Path:
        """The path as the sidecar sees it. Raises ModelError (SIDECAR) for one that it cannot see."""
        if not path.is_relative_to(self.root):
            raise ModelError(
                ModelKind.SIDECAR,
                f"{path} is outside of {self.root}, which is all that the Copilot CLI can see here.",
                "Remove COPILOT_CLI_PATH and COPILOT_PKG_CACHE_HOME from this step: the image has a CLI.",
            )
        return Path("/") / path.relative_to(self.root)

    def enter(self) -> None:
        """Confines this process, a child that was just forked, for good. Raises OSError."""
        os.chroot(self.root)
        os.chdir("/")
        os.umask(0o077)
        give_up(self.uid, self.gid)

    def furnish(self, home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
        """Makes the home the sidecar's own, and brings in how names are resolved and which certificates count.

        Gives the variables that say where the certificates are, as the sidecar sees them. Raises OSError.
        """
        for name in _MADE_AT_START:
            with suppress(FileNotFoundError):  # a container without a network has none
                shutil.copyfile(Path("/etc") / name, self.root / "etc" / name)
        folder = home / "certificates"
        folder.mkdir()
        folder.chmod(0o755)  # ours, and readable
        variables = carried(inherited, folder)
        for path in (home, *home.iterdir()):
            if path != folder:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return {name: str(self.inside(path)) for name, path in variables.items()}


def isolation(environ: Mapping[str, str]) -> Isolation | None:
    """How the sidecar is set apart; None outside of the image, and where we are not root and so cannot.

    Raises ModelError (SIDECAR) where the folder is missing.
    """
    root = environ.get(ROOT_VARIABLE)
    if not root or os.geteuid() != 0:
        return None
    if not (Path(root) / "home").is_dir():
        raise ModelError(
            ModelKind.SIDECAR,
            f"{ROOT_VARIABLE} names {root}, which is not a root folder for the Copilot CLI.",
            "Remove it from this step's environment: the image sets it.",
        )
    return Isolation(Path(root))


def unconfined(why: str) -> ModelError:
    """The sidecar should be set apart, and cannot be: then it is not started at all."""
    return ModelError(
        ModelKind.SIDECAR,
        f"The Copilot CLI could not be set apart from this process, so it was not started: {why}.",
        "Run the container as GitHub's runner does: writable, with Docker's usual capabilities (of which CHOWN, "
        "DAC_OVERRIDE, KILL, SETGID, SETPCAP, SETUID and SYS_CHROOT are needed); or as a user who is not root.",
    )

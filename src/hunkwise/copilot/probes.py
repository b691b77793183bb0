"""Proves the sidecar's isolation from its inside: the attempts of `copilot.intruder`, and how each of them ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hunkwise.copilot.isolation import Isolation, unconfined

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that a CLI in a stranger's hands could try."""

    what: str
    happened: str
    """The kernel's words."""
    held: bool
    """Whether the control held."""


def probe(isolation: Isolation, paths: Sequence[Path] = ()) -> tuple[Attempt, ...]:
    """Tries everything as the sidecar's user, against this process and what `paths` names: a workspace, say.

    Raises ModelError (SIDECAR) where nothing could be tried.
    """
    # -P: the folder that we are in may be a stranger's.
    command = [sys.executable, "-s", "-P", "-m", "hunkwise.copilot.intruder"]
    own = str(Path(__file__).resolve().parents[2])
    try:
        done = subprocess.run(
            [*command, str(isolation.root), str(os.getpid()), *map(str, paths)],
            env={"PYTHONPATH": own, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        found = json.loads(done.stdout)["attempts"]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise unconfined(last or str(error)) from error
    return tuple(Attempt(*one) for one in found)

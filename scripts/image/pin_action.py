"""Points action.yml at an image: `pin_action.py docker://REGISTRY/OWNER/NAME@sha256:DIGEST [ACTION_YML]`.

For a release: whoever uses it then pulls what was built and attested, and builds nothing. Changes that one line.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ACTION = Path(__file__).resolve().parents[2] / "action.yml"
_IMAGE = re.compile(r"docker://[a-z0-9][a-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)+@sha256:[0-9a-f]{64}")
_LINE = re.compile(r"^(runs:\n  using: docker\n  image: ).*$", re.MULTILINE)


def pinned(text: str, image: str) -> str:
    """The text of action.yml with that image. Raises ValueError."""
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} names no image by its digest: docker://REGISTRY/OWNER/NAME@sha256:…")
    changed, times = _LINE.subn(rf"\g<1>{image}", text)
    if times != 1:
        raise ValueError(
            "action.yml has no `runs` of a container with its `image` in the line after `using`."
        )
    return changed


def main(arguments: list[str]) -> int:
    """0, or 1 with the reason on standard error."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 1
    action = Path(arguments[1]) if len(arguments) == 2 else ACTION
    try:
        action.write_text(pinned(action.read_text(encoding="utf-8"), arguments[0]), encoding="utf-8")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

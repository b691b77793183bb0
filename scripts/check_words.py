"""Finds words that the sources and documents do without, and names what to write instead.

`make check` runs it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTEAD = {
    "mends?|mended|mending": "fix",
    "whoever": "the user, the caller, anyone who",
    "whatever became": "what happened to",
    "in vain": "without a result",
    "save that": "except that",
    "at the last": "at last, in the end",
    "foreign": "untrusted",
    "told": "reported, said, written",
    "strangers?": "an untrusted author",
    "heed|heeds|heeding": "follow, react to",
    "colophon": "footer",
    "homeless": "without a temporary directory, without a place",
    "lineup": "models, fallback",
    "intake": "collect, collector",
    "outlets?": "ports, destinations",
    "whereabouts": "location",
    "rungs?": "level",
}
PATTERNS = {
    re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE): use for words, use in INSTEAD.items()
}
PLACES = (
    "src/*.py",
    "src/*.j2",
    "src/*.md",
    "docs/*.md",
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "action.yml",
)


def main() -> int:
    """1 where such a word is found."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PLACES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    paths = [path for path in listed if (ROOT / path).is_file()]
    found = [
        f"{path}:{number}: {match[0]!r}: write {use}"
        for path in paths
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        for pattern, use in PATTERNS.items()
        for match in pattern.finditer(line)
    ]
    print("\n".join(found) or f"words: no fault in {len(paths)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

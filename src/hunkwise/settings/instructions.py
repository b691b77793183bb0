"""Files that tell reviewers and agents about a repository, and which changed files they speak of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hunkwise.domain.pull_request import Instructions
from hunkwise.settings.strict_yaml import read_yaml

AGENTS = "AGENTS.md"
"""In any folder: it speaks of what is below that folder."""
INSTRUCTION_FILES = (AGENTS, ".github/copilot-instructions.md")
INSTRUCTION_FOLDER = ".github/instructions"
INSTRUCTION_ENDING = ".instructions.md"
MAX_TEXT = 100_000
"""Bytes of a file that are read."""
MAX_GLOBS = 200
"""Of one file, once its braces are spelled out."""
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.{0,4000}?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^applyTo:[ \t]*(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"[ \t]*-[ \t]+(.+)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_SPECIAL = re.compile(r"([\\*?\[\]!{}])")
_NOT_FOR_REVIEWS = re.compile(r"""^excludeAgent:[ \t]*["']?code-review["']?[ \t]*\r?$""", re.MULTILINE)


def read_instructions(path: str, content: bytes) -> Instructions | None:
    """The instructions in a file; None for an empty one, one of the folder that names no files, and one that says
    itself that it is not for reviews."""
    text = content[:MAX_TEXT].decode("utf-8", "replace").removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    body = (text[front.end() :] if front else text).strip()
    if not body or (front and _NOT_FOR_REVIEWS.search(front[1])):
        return None
    if not path.startswith(f"{INSTRUCTION_FOLDER}/"):
        return Instructions(path, body, _below(path))
    globs = _apply_to(front[1]) if front else ()
    # GitHub, too, attaches a file without applyTo to nothing by itself.
    return Instructions(path, body, globs) if globs else None


def nested_paths(changed: Iterable[str]) -> tuple[str, ...]:
    """Where an AGENTS.md may stand that speaks of these files, from the outside in; not the one at the top."""
    folders: dict[str, None] = {}
    for path in changed:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[:depth]): None for depth in range(1, len(parts) + 1)}
    return tuple(f"{folder}/{AGENTS}" for folder in sorted(folders, key=lambda one: (one.count("/"), one)))


def _below(path: str) -> tuple[str, ...]:
    folder = path.removesuffix(AGENTS) if path.endswith(f"/{AGENTS}") else ""
    return (f"{_SPECIAL.sub(_escaped, folder)}**",)


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _apply_to(front: str) -> tuple[str, ...]:
    """The globs of the key, which may be a text with commas or a list; unquoted ones too, which are not YAML."""
    document = read_yaml(front.encode("utf-8"))
    said = document.value.get("applyTo") if isinstance(document.value, dict) else None
    texts = [said] if isinstance(said, str) else list(said) if isinstance(said, tuple) else _lines(front)
    globs = (glob for text in texts if isinstance(text, str) for glob in _parted(text))
    spelled = (one for glob in globs for one in _spelled_out(glob))
    return tuple(dict.fromkeys(spelled))[:MAX_GLOBS]


def _lines(front: str) -> list[str]:
    found = _LINE.search(front)
    if found is None:
        return []
    if found[1].strip():
        return [found[1].strip().strip("\"'")]
    entries = []
    for line in front[found.end() :].lstrip("\r\n").splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            break
        entries.append(entry[1].strip().strip("\"'"))
    return entries


def _parted(text: str) -> Iterator[str]:
    """At the commas outside of braces."""
    depth = 0
    glob = ""
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "," and depth <= 0:
            yield from [glob.strip()] if glob.strip() else []
            glob = ""
        else:
            glob += character
    yield from [glob.strip()] if glob.strip() else []


def _spelled_out(glob: str) -> list[str]:
    """`*.{ts,tsx}` as `*.ts` and `*.tsx`; what would become more than MAX_GLOBS stays as it is."""
    globs = [glob]
    while any(_BRACES.search(one) for one in globs):
        spelled = []
        for one in globs:
            braces = _BRACES.search(one)
            choices = braces[1].split(",") if braces else [""]
            start, end = braces.span() if braces else (len(one), len(one))
            spelled += [f"{one[:start]}{choice.strip()}{one[end:]}" for choice in choices]
        if len(spelled) > MAX_GLOBS:
            return [glob]
        globs = spelled
    return globs

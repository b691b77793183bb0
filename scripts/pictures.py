"""Draws docs/pictures/: a review as GitHub shows it, from what a run posts. `make pictures` runs it.

The page is our own; GitHub's stylesheet for Markdown comes from npm, and a headless Chromium draws it. Each picture
has the digest of its page without the stylesheet, so that a test sees when a picture is no longer what a run posts.
"""

from __future__ import annotations

import html
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped]  # noqa: E402  # no types
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]  # noqa: E402  # no types
from tests.end_to_end.world import World, report_call  # noqa: E402
from tests.fakes.model_script import (  # noqa: E402
    SUMMARY_TOOL,
    VERDICTS_TOOL,
    Answer,
    Fault,
    ModelRequest,
    ToolCall,
    verdicts,
)

FOLDER = ROOT / "docs" / "pictures"
CHANGE = ROOT / "examples" / "change"
STYLES = ROOT / "node_modules" / "github-markdown-css"
WIDTH, SCALE = 880, 2
_KEYWORD = b"Source-SHA256"
_COLORS = {
    "light": {"page": "#ffffff", "box": "#f6f8fa", "line": "#d1d9e0", "text": "#1f2328", "muted": "#59636e"},
    "dark": {"page": "#0d1117", "box": "#151b23", "line": "#3d444d", "text": "#f0f6fc", "muted": "#9198a1"},
}
_ADDED = {"light": "#dafbe1", "dark": "#12261e"}
_REMOVED = {"light": "#ffebe9", "dark": "#25171c"}

FINDINGS: list[dict[str, Any]] = [
    {
        "path": "accounts.py",
        "line": 15,
        "severity": "critical",
        "category": "security",
        "confidence": 0.98,
        "title": "The e-mail address becomes part of the SQL statement",
        "body": (
            "An address such as `' OR '1'='1` returns the first account of the table. Before this change the value "
            "was a parameter."
        ),
        "suggestion": (
            '    return database.execute("SELECT id, email FROM account WHERE email = ?", (email,)).fetchone()'
        ),
    },
    {
        "path": "accounts.py",
        "line": 26,
        "severity": "high",
        "category": "security",
        "confidence": 0.95,
        "title": "A price rule runs any Python code",
        "body": "`eval` executes the expression, and rules come from the shop's settings.",
    },
    {
        "path": "accounts.py",
        "line": 22,
        "severity": "medium",
        "category": "correctness",
        "confidence": 0.85,
        "title": "Every error in the prices becomes a total of 0",
        "body": "The bare `except` also hides a wrong type in `discounts`: the cart is then free.",
    },
]
_EVIDENCE = "`find_account` is called by the login form with the address as it was typed (views.py:31)."


def answer(request: ModelRequest) -> Answer | Fault:
    """Answers as a model: reports the findings, confirms them, and sums the change up."""
    if VERDICTS_TOOL in request.tool_names:
        outcome = verdicts(evidence=_EVIDENCE)(request)
        assert isinstance(outcome, Answer)
        return outcome
    if SUMMARY_TOOL in request.tool_names:
        summary = {
            "overview": "Adds discounts and price rules to the shop, and reads its settings from a YAML file.",
            "areas": [],
            "risk": {"level": "high", "why": "The account lookup and the price rules accept code."},
            "done": True,
        }
        return Answer(tool_calls=(ToolCall(SUMMARY_TOOL, summary),))
    return report_call(*FINDINGS)


@dataclass(frozen=True)
class PostedReview:
    """What a run posted: the summary comment, and the first comment on a line."""

    summary: str
    comment: str
    path: str
    line: int


def post_review(folder: Path) -> PostedReview:
    """Runs the action on the example change."""
    with ExitStack() as stack:
        world = World(folder, stack)
        before, after = (
            {path.name: path.read_bytes() for path in sorted((CHANGE / side).iterdir())}
            for side in ("base", "head")
        )
        world.change(before, after)
        world.model.script = world.model.second = answer
        world.run({"verify": "on"}, code=0, environ={"GITHUB_SERVER_URL": world.github_url})
        first = next(one for one in world.github.comments if "SQL statement" in one.body)
        summary, comment = (
            _normalize(text, world.github_url) for text in (world.summary_comment, first.body)
        )
        return PostedReview(summary, comment, first.path, first.line or 0)


def _normalize(text: str, url: str) -> str:
    """Returns the text with fixed times, token counts, markers and addresses."""
    text = re.sub(r"\d[\d,]* tokens in.*? s\b", "9,871 tokens in, 1,204 out · 8.4 s", text)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).replace(url, "https://github.com")


def page(folder: Path) -> str:
    """Returns the page, the same on each call; `folder` is for the run."""
    posted = post_review(folder)
    return f"<main>{_comment('commented', posted.summary)}{_file_comment(posted)}</main>"


def _markdown(text: str) -> str:
    suggestion = re.compile(r"^(`{3,})suggestion\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)
    parts = suggestion.split(text)
    pieces = [_to_html(parts[0])]
    for fence_and_code in zip(parts[2::3], parts[3::3], strict=True):
        code, rest = fence_and_code
        pieces += [_suggestion(code), _to_html(rest)]
    return "".join(pieces)


def _to_html(text: str) -> str:
    return str(github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))


def _suggestion(code: str) -> str:
    rows = "".join(
        f'<div class="{kind}">{sign} {html.escape(line)}</div>'
        for kind, sign, text in (("removed", "-", _OLD_LINE), ("added", "+", code))
        for line in text.split("\n")
    )
    return f'<div class="suggestion"><div class="bar">Suggested change</div><pre>{rows}</pre></div>'


_OLD_LINE = (CHANGE / "head" / "accounts.py").read_text(encoding="utf-8").split("\n")[14]


def _comment(verb: str, text: str) -> str:
    head = f'<div class="bar"><b>hunkwise</b> <span class="bot">bot</span> {verb}</div>'
    return f'<section>{head}<div class="markdown-body">{_markdown(text)}</div></section>'


def _file_comment(posted: PostedReview) -> str:
    head = (CHANGE / "head" / posted.path).read_text(encoding="utf-8").split("\n")
    rows = "".join(
        f'<div class="{"added" if number == posted.line else "plain"}"><i>{number}</i>'
        f"{'+' if number == posted.line else ' '} {html.escape(head[number - 1])}</div>"
        for number in range(posted.line - 2, posted.line + 1)
    )
    thread = f'<div class="thread">{_comment("reviewed", posted.comment)}</div>'
    return f'<section class="file"><div class="bar"><code>{posted.path}</code></div><pre>{rows}</pre>{thread}</section>'


def style(theme: str) -> str:
    """Returns our own styles of the page."""
    colors = _COLORS[theme]
    return f"""
body {{ margin: 0; background: {colors["page"]}; color: {colors["text"]}; width: {WIDTH}px;
  font: 14px/1.5 "Noto Sans", Helvetica, Arial, sans-serif; }}
main {{ padding: 16px; display: flex; flex-direction: column; gap: 16px; }}
section {{ border: 1px solid {colors["line"]}; border-radius: 6px; overflow: hidden; background: {colors["page"]}; }}
.bar {{ background: {colors["box"]}; border-bottom: 1px solid {colors["line"]}; padding: 8px 16px;
  color: {colors["muted"]}; }}
.bar b, .bar code {{ color: {colors["text"]}; font-size: 13px; }}
.bot {{ border: 1px solid {colors["line"]}; border-radius: 10px; padding: 0 6px; font-size: 11px; }}
.markdown-body {{ padding: 16px; font-size: 14px; }}
.thread {{ padding: 12px; border-top: 1px solid {colors["line"]}; }}
.file > pre, .suggestion pre {{ margin: 0; padding: 6px 0; font: 12px/20px "DejaVu Sans Mono", monospace;
  background: {colors["page"]}; }}
pre div {{ padding: 0 12px; white-space: pre; overflow: hidden; }}
pre i {{ display: inline-block; width: 32px; color: {colors["muted"]}; font-style: normal; }}
.added {{ background: {_ADDED[theme]}; }} .removed {{ background: {_REMOVED[theme]}; }}
.suggestion {{ border: 1px solid {colors["line"]}; border-radius: 6px; overflow: hidden; margin: 0 0 16px; }}
.suggestion .bar {{ padding: 4px 12px; font-size: 12px; }}
"""


def draw(content: str, theme: str, target: Path) -> None:
    """Draws the page into a PNG file, as small as pngquant makes it."""
    chromium = _program("chromium")
    sheet = (STYLES / f"github-markdown-{theme}.css").read_text(encoding="utf-8")
    script = "<script>document.title = document.documentElement.scrollHeight</script>"
    document = f"<!doctype html><meta charset=utf-8><style>{sheet}{style(theme)}</style>{content}{script}"
    with tempfile.TemporaryDirectory(prefix="hunkwise-pictures-") as name:
        source, image = Path(name, "page.html"), Path(name, "page.png")
        source.write_text(document, encoding="utf-8")
        options = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={name}/profile", f"--force-device-scale-factor={SCALE}",
        ]  # fmt: skip
        dumped = _run([*options, f"--window-size={WIDTH},100", "--dump-dom", source.as_uri()])
        found = re.search(r"<title>(\d+)</title>", dumped)
        assert found is not None, "the page writes its height into its title"
        _run([*options, f"--window-size={WIDTH},{found[1]}", f"--screenshot={image}", source.as_uri()])
        _run([_program("pngquant"), "--force", "--output", str(image), "--quality", "60-90", str(image)])
        target.write_bytes(with_digest(image.read_bytes(), digest(content)))


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        packages = "chromium pngquant fonts-noto-core fonts-noto-color-emoji fonts-dejavu-core"
        sys.exit(f"make pictures needs {name}: on Debian, apt-get install {packages}")
    return found


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def digest(content: str) -> str:
    """Returns the digest of a page, with our styles of both themes."""
    return sha256("\n".join((content, *map(style, _COLORS))).encode()).hexdigest()


def with_digest(image: bytes, value: str) -> bytes:
    """Returns the PNG with the digest as a text chunk before its last one."""
    data = _KEYWORD + b"\0" + value.encode()
    chunk = struct.pack(">I", len(data)) + b"tEXt" + data + struct.pack(">I", zlib.crc32(b"tEXt" + data))
    return image[:-12] + chunk + image[-12:]


def digest_in(image: bytes) -> str | None:
    """Returns the digest in a PNG; None if it has none."""
    found = re.search(_KEYWORD + rb"\0([0-9a-f]{64})", image)
    return found[1].decode() if found else None


def main() -> None:
    """Draws both pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hunkwise-pictures-") as name:
        content = page(Path(name))
    for theme in _COLORS:
        target = FOLDER / f"review-{theme}.png"
        draw(content, theme, target)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""A suggestion is offered only where it applies to the head and results in an acceptable file."""

from __future__ import annotations

import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.enclosing.scopes import LARGEST, ScopeFinder
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.publish.placement import CommentPlan, resolve_anchor
from hunkwise.publish.suggestions import Suggestions, normalize_suggestion, replaced
from tests.publish.suggestion_rows import ROWS

PATIENT = 60.0
"""Time limit in seconds for a small file on a loaded machine."""
CRLF = b"x = [\r\n    1,\r\n]\r\n"


def diff(path: str, content: bytes, first: int = 1, last: int | None = None) -> FileDiff:
    """Returns a file whose lines `first`..`last` were added."""
    lines = content.removesuffix(b"\n").split(b"\n")[first - 1 : last]
    rows = b"".join(b"+" + line + b"\n" for line in lines)
    patch = b"@@ -%d,0 +%d,%d @@\n" % (first - 1, first, len(lines)) + rows
    return FileDiff(path, FileStatus.MODIFIED, parse_hunks(patch), additions=len(lines))


def finding(file: FileDiff, line: int, suggestion: str | None, start: int | None = None) -> Finding:
    anchor = resolve_anchor(file.path, line, start, Side.RIGHT, by_path([file]))
    assert isinstance(anchor, Anchor)
    return Finding(file.path, Severity.HIGH, "Wrong", "It fails.", anchor, suggestion=suggestion)


def inline(*findings: Finding) -> CommentPlan:
    return CommentPlan(inline=findings)


def offers(parser: ScopeFinder, path: str, content: bytes, line: int, suggestion: str) -> str | None:
    file = diff(path, content, max(1, line - 3), line + 3)
    one = finding(file, line, suggestion)
    return Suggestions({path: content}.get, parser.syntax_errors).offered(inline(one), [file]).get(one)


def offered(path: str, content: bytes, line: int, suggestion: str) -> bool:
    with ScopeFinder(seconds=PATIENT) as parser:
        return offers(parser, path, content, line, suggestion) is not None


@pytest.fixture(scope="module")
def parser() -> Iterator[ScopeFinder]:
    with ScopeFinder(seconds=PATIENT) as parser:
        yield parser


def no_errors(_path: str, _text: str) -> tuple[tuple[int, int], ...]:
    return ()


def anchor_at(path: str, first: int, last: int) -> Anchor:
    return Anchor(path, last, Side.RIGHT, first if first != last else None)


@pytest.mark.parametrize(("path", "text", "lines", "suggestion", "expected"), ROWS)
def test_unambiguous_suggestion_is_corrected(
    path: str, text: str, lines: tuple[int, int], suggestion: str, expected: str | None
) -> None:
    before, anchor = text.split("\n"), anchor_at(path, *lines)
    assert normalize_suggestion(before, anchor, suggestion) == expected
    if expected is not None:
        assert normalize_suggestion(before, anchor, expected) == expected


@pytest.mark.parametrize(
    "line",
    [
        " " * 9_000 + "x",
        "x" + " " * 9_000,
        "9" * 9_000,
        "`" * 9_000,
        "(" * 9_000,
        "# " + "your " * 1_500,
        "a " * 4_500,
    ],
)
@pytest.mark.parametrize("path", ["a.js", "a.md", "Makefile"])
def test_long_line_is_processed_quickly(path: str, line: str) -> None:
    began = time.process_time()
    normalize_suggestion(["\tx", line, "y"], anchor_at(path, 1, 2), f"z\n{line}\n{line}.")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("path", "text", "line", "suggestion", "expected"),
    [
        ("a.py", "def f(x):\n    y = x\n    return y + 1\n", 3, "return y", "    return y"),
        ("a.py", "def f(x):\n    return x\nz = 1\n", 3, "return 2", None),
        ("a.py", "print 'two'\nx = 1\n", 2, "x = 2", "x = 2"),
        ("a.py", "print 'two'\nx = 1\n", 2, "x = (", None),
        ("a.py", "print 'two'\nx = 1\n", 2, "Sets it to two", None),
        ("a.js", "function a() {\n  let s = 1;\n}\n", 2, "let s = 0;", "  let s = 0;"),
        ("a.js", "function a() {\n  let s = 1;\n}\n", 2, "  let s = ;", None),
        ("a.js", "function a() {\n  let s = 1;\n}\n", 2, "  let s = 0;\n  }", None),
        ("a.js", "function a( {\n  let s = 1;\n}\nb();\n", 4, "c();", "c();"),
        ("a.js", "let a = ;\nlet s = 1;\nb();\n", 2, "let s = ;", None),
        ("a.ts", "interface A {\n  a: string;\n}\n", 2, "  a?: string;", "  a?: string;"),
        ("a.ts", "interface A {\n  a: string;\n}\n", 2, "  a: string number", None),
        ("a.tsx", "const a = <b>\n  c\n</b>;\n", 2, "  <d/>", "  <d/>"),
        ("a.tsx", "const a = <b>\n  c\n</b>;\n", 2, "  <d>", None),
        ("a.go", "package a\n\nfunc f() {\n\ta()\n}\n", 4, "    b()", "\tb()"),
        ("a.go", "package a\n\nfunc f() {\n\ta()\n}\n", 4, "\tb(", None),
        ("A.java", "class A {\n  int a = 1;\n}\n", 2, "  int a = 2;", "  int a = 2;"),
        ("A.java", "class A {\n  int a = 1;\n}\n", 2, "  int a = 2", None),
        ("a.rs", "fn f() {\n    a();\n}\n", 2, "    b()?;", "    b()?;"),
        ("a.rs", "fn f() {\n    a();\n}\n", 2, "    b(;", None),
        ("a.c", "int f(void) {\n\treturn 1;\n}\n", 2, "\treturn 2;", "\treturn 2;"),
        ("a.c", "int f(void) {\n\treturn 1;\n}\n", 2, "\treturn 2", None),
        ("a.cpp", "int f() {\n  return 1;\n}\n", 2, "  return g<int>(;", None),
        ("a.cs", "class A {\n  int a = 1;\n}\n", 2, "  int a = ;", None),
        ("a.rb", "def f\n  a\nend\n", 2, "  if b", None),
        ("a.php", "<?php\na();\n", 2, "b(;", None),
        ("a.js", "a();\nb();\n", 2, "", ""),
        ("a.js", "if (a) {\n  b();\n}\n", 3, "", None),
    ],
)
def test_suggestion_with_new_syntax_error_is_not_offered(
    parser: ScopeFinder, path: str, text: str, line: int, suggestion: str, expected: str | None
) -> None:
    assert offers(parser, path, text.encode(), line, suggestion) == expected


@pytest.mark.parametrize(
    ("path", "content", "line", "suggestion", "expected"),
    [
        ("a.py", b"def f():\n    return 1\n", 2, "    return 2", True),
        ("a.py", b"def f():\n    return 1\n", 2, "    return (2", False),
        ("a.py", b"def f():\n    return 1\n", 2, "return 2", True),
        ("a.py", b"def f():\n    return 1\n", 2, "", False),
        ("a.py", b"x = 1\ny = 2\n", 2, "", True),
        ("a.py", b"x = 1\n", 1, "", True),
        ("a.py", b"print 'two'\nx = 1\n", 2, "x = (", False),
        ("a.py", b'x = "\\d"\ny = 1\n', 2, "y = 2", True),
        ("a.py", b"# coding: latin-1\nx = 1\n", 2, "x = 2", True),
        ("a.py", b"x = 1\ny = 2\n", 1, "# coding: nonsense", False),
        ("a.pyi", b"def f(): ...\n", 1, "def f(: ...", False),
        ("A.PY", b"x = 1\n", 1, "x = (", False),
        ("a.json", b'{"a": 1,\n "b": 2}\n', 2, ' "b": 3}', True),
        ("a.json", b'{"a": 1,\n "b": 2}\n', 2, ' "b": 3,}', False),
        ("a.json", b'{"a": 1,\n "b": 2}\n', 2, ' "b": NaN}', False),
        ("a.json", b'{"a": 1,\n "b": 2}\n', 2, f' "b": {"9" * 5000}}}', True),
        ("a.json", b'{"a": 1, // why\n "b": 2}\n', 2, ' "b": 3', True),
        ("a.jsonc", b'{"a": 1,\n "b": 2}\n', 2, " (", True),
        ("a.yaml", b"a: 1\nb: [1, 2]\n", 2, "b: [1", False),
        ("a.yml", b"a: 1\nb: [1, 2]\n", 2, "b: [1]", True),
        ("a.yml", b"a: !Ref x\n---\nb: *c\n", 3, "b: &c 1", True),
        ("a.yml", b"a: &c 1\nb: *c\n", 1, "a: 1", False),
        ("a.yml", b"a: &c 1\nb: *c\n", 1, "a: &c 2", True),
        ("a.yml", b"a: &c 1\nb: 2\n", 2, "b: 2\n---\nd: *c", False),
        ("a.yml", b"{{ if x }}\na: 1\n", 2, "a: 2", True),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = 2", True),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = ", False),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = 1\nb = 2", False),
        ("a.txt", b"one\ntwo\n", 2, "three (", True),
        ("py", b"one\ntwo\n", 2, "three (", True),
        # Line endings and encodings are kept, or nothing is offered; a byte order mark is no syntax error.
        ("a.py", CRLF, 2, "    2,", True),
        ("a.py", CRLF, 2, "    2,\r\n    3,\r\n", True),
        ("a.py", CRLF, 2, "    2,]", False),
        ("a.py", b"x = 1\ny = 2", 2, "y = 3", True),
        ("a.py", b"x = 1\ny = 2", 2, "y = (", False),
        ("a.py", b"\xef\xbb\xbfx = 1\ny = 2\n", 2, "y = 3", True),
        ("a.py", b"\xef\xbb\xbfx = 1\ny = 2\n", 2, "y = (", False),
        ("a.py", b"\xef\xbb\xbfx = 1\ny = 2\n", 1, "x = 3", False),
        ("a.py", b"# coding: latin-1\nx = '\xe9'\ny = 2\n", 3, "y = 3", False),
        ("a.py", b"x = '\xc3\xa9'\ny = 2\n", 1, "x = '\u00e8'", True),
        ("a.py", b"x = 1\x0c\ny = 2\n", 2, "y = 3", True),
        ("a.py", b"x = 1\ry = 2\nz = 3\n", 2, "z = 4", True),
        ("a.toml", b"\xef\xbb\xbf[a]\nb = 1\n", 2, "b = ", False),
        ("a.json", b'\xef\xbb\xbf{"a":\n1}\n', 2, "1", False),
        ("a.json", b'\xef\xbb\xbf{"a":\n1}\n', 2, "2}", True),
    ],
)
def test_file_that_parses_must_parse_with_suggestion(
    parser: ScopeFinder, path: str, content: bytes, line: int, suggestion: str, expected: bool
) -> None:
    assert (offers(parser, path, content, line, suggestion) is not None) is expected


@pytest.mark.parametrize(
    ("content", "lines", "suggestion", "after"),
    [
        (b"a\nb\nc\n", (2, 2), "x\ny", b"a\nx\ny\nc\n"),
        (b"a\nb\nc\n", (2, 3), "", b"a\n"),
        (b"a\n", (1, 1), "", b""),
        (b"a\nb\n\n", (3, 3), "c", b"a\nb\nc\n"),
        (b"a\nb", (2, 2), "c", b"a\nc"),
        (b"a\r\nb\r\n", (1, 1), "x\ny", b"x\r\ny\r\nb\r\n"),
        (b"a\rb\nc\n", (2, 2), "d", b"a\rb\nd\n"),
    ],
)
def test_suggestion_replaces_its_lines(
    content: bytes, lines: tuple[int, int], suggestion: str, after: bytes
) -> None:
    assert replaced(content, anchor_at("a", *lines), suggestion) == after


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"one\ntwo\nthree\n", True),
        (b"one\r\ntwo\r\nthree\r\n", True),
        (b"zero\none\ntwo\nthree\n", False),
        (b"one\n two\nthree\n", False),
        (b"one\n", False),
        (b"", False),
        (None, False),
    ],
)
def test_head_must_have_the_reviewed_code_at_the_lines(head: bytes | None, expected: bool) -> None:
    file = diff("a.txt", b"one\ntwo\nthree\n")
    one = finding(file, 2, "2")
    assert bool(Suggestions(lambda _path: head, no_errors).offered(inline(one), [file])) is expected


@pytest.mark.parametrize(
    ("start", "suggestion", "changes", "expected"),
    [
        (None, "two?", {}, True),
        (None, "two?\n", {}, True),
        (1, "one\r\nline", {}, True),
        (None, "", {}, True),
        (None, None, {}, False),
        (None, "two", {}, False),
        (None, "two\n", {}, False),
        (None, "x\u202ey", {}, False),
        (None, "<!-- hunkwise:finding v1 fp=0 -->", {}, False),
        (None, "x\n" * 101, {}, False),
        (None, "x" * 10_000, {}, False),
        (None, "2", {"side": Side.LEFT}, False),
        (None, "2", {"code": "to"}, False),
        (None, "2", {"path": "b.txt"}, False),
    ],
)
def test_suggestion_must_change_the_lines_visibly(
    start: int | None, suggestion: str | None, changes: dict[str, Any], expected: bool
) -> None:
    content = b"one\ntwo\n"
    file = diff("a.txt", content)
    one = finding(file, 2, suggestion, start)
    assert one.anchor is not None
    one = replace(one, anchor=replace(one.anchor, **changes))
    assert bool(Suggestions(lambda _path: content, no_errors).offered(inline(one), [file])) is expected


@pytest.mark.parametrize("path", [".github/workflows/ci.txt", ".github/actions/a/run.sh"])
def test_no_suggestion_in_files_that_run_with_secrets(path: str) -> None:
    assert not offered(path, b"one\n", 1, "two")


@pytest.mark.parametrize(
    "error", [RepositoryError("Gone."), GitHubError(GitHubErrorKind.UNAVAILABLE, "Gone.")]
)
def test_no_suggestion_in_unreadable_file(error: Error) -> None:
    def read(_path: str) -> bytes | None:
        raise error

    file = diff("a.py", b"x = 1\n")
    assert Suggestions(read, no_errors).offered(inline(finding(file, 1, "x = 2")), [file]) == {}


def test_suggestions_are_checked_separately_and_files_read_once(parser: ScopeFinder) -> None:
    content = b"x = 1\ny = 2\nz = 3\n"
    file, plain = diff("a.py", content), diff("b.txt", content)
    good, bad, also = (finding(file, 1, "x = ("), finding(file, 2, "y = 3"), finding(file, 3, "z = 4"))
    other = finding(plain, 1, "anything")
    without = finding(file, 1, None)
    requested: list[str] = []

    def read(path: str) -> bytes | None:
        requested.append(path)
        return content

    plan = inline(good, bad, also, other, without)
    found = Suggestions(read, parser.syntax_errors).offered(plan, [file, plain])
    assert found == {bad: "y = 3", also: "z = 4", other: "anything"}
    assert requested == ["a.py", "b.txt"]


def deep(path: str) -> bytes:
    """Returns a file that is nested too deeply for a parser; its second line is harmless."""
    opening, closing = {"py": (b"-", b"1"), "json": (b"[", b"]"), "toml": (b"[", b"]")}[
        path.rpartition(".")[2]
    ]
    before = {"py": b"x = ", "json": b'{"a":', "toml": b"x = "}[path.rpartition(".")[2]]
    return before + opening * 50_000 + closing * (1 if path == "a.py" else 50_000) + b"\n\n"


@pytest.mark.parametrize("path", ["a.py", "a.json", "a.toml"])
def test_no_suggestion_in_file_that_cannot_be_parsed(path: str) -> None:
    assert not offered(path, deep(path), 2, "# nothing")


def test_suggestion_that_cannot_be_parsed_is_not_offered() -> None:
    assert not offered("a.py", b"x = 1\n", 1, "x = " + "-" * 9_000 + "1")
    assert not offered("a.py", b"x = 1\n", 1, "x = " + "-" * 9_900 + "1")


def test_no_suggestion_in_file_above_a_megabyte() -> None:
    large = b"x = 1\n" * (LARGEST // 6 + 1)
    assert not offered("a.py", large, 1, "x = 2")
    assert offered("a.txt", large, 1, "x = 2")
    grown = b"x = 1\n" + b"#" * (LARGEST - 7) + b"\n"
    assert len(grown) == LARGEST
    assert not offered("a.py", grown, 1, "x = 1_000")


def test_aliases_are_not_expanded() -> None:
    rows = [b"a0: &a0 [x, x]"]
    rows += [b"a%d: &a%d [*a%d, *a%d, *a%d, *a%d]" % (n, n, *[n - 1] * 4) for n in range(1, 60)]
    assert offered("a.yml", b"\n".join(rows) + b"\nb: 1\n", 61, "b: 2")


def test_parser_timeout_drops_only_its_suggestions() -> None:
    contents = {"a.yml": b"a: 1\nb: " + b"[" * 400_000, "b.txt": b"one\n"}
    slow, plain = diff("a.yml", b"a: 1\n"), diff("b.txt", b"one\n")
    held = finding(slow, 1, "a: 2")
    free = finding(plain, 1, "two")
    with ScopeFinder(seconds=0.5) as parser:
        found = Suggestions(contents.get, parser.syntax_errors).offered(inline(held, free), [slow, plain])
    assert found == {free: "two"}


ALPHABET = st.sampled_from(
    [
        *(
            "x = 1",
            "def f():",
            "    return 1",
            "if x:",
            "    pass",
            "y = (",
            ")",
            '"""',
            "é = 'ü'",
            "",
            "@",
            "}",
        ),
        *(
            "\tcc a.c",
            "all: b",
            "  let s = 0;",
            "function a() {",
            "- a: 1",
            "  b: 2",
            '"a": 1,',
            "# x",
            "[",
            "]",
        ),
        *(
            "```",
            "```js",
            "+ x",
            "- x",
            "  // ...",
            "3: x",
            "R1 + x",
            "null",
            "<!-- x -->",
            "\u202e",
            "\r",
            "/merge",
        ),
    ]
)
TEXTS = st.lists(ALPHABET, min_size=1, max_size=6).map("\n".join)
PATHS = st.sampled_from(
    [
        "a.py",
        "a.js",
        "a.ts",
        "a.go",
        "a.yml",
        "Makefile",
        "a.json",
        "a.md",
        "a.sh",
        "A.java",
        "a.rs",
        "a.c",
        "a.txt",
    ]
)
"""File names of the languages in the table."""


@given(
    st.lists(
        st.tuples(PATHS, TEXTS, TEXTS, st.sampled_from(["\n", "\r\n"]), st.integers(0, 5), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_offered_suggestion_is_applied_by_git_as_by_github(
    parser: ScopeFinder, tmp_path: Path, cases: list[tuple[str, str, str, str, int, bool]]
) -> None:
    folder = tmp_path
    for number, (path, text, suggestion, end, line, final) in enumerate(cases):
        lines = text.replace("\r", "").split("\n")
        content = (end.join(lines) + (end if final else "")).encode()
        if not content.strip():
            continue
        file = diff(path, content)
        first = 1 + line % len(file.hunks[0].lines)
        last = min(first + number % 2, len(file.hunks[0].lines))
        one = finding(file, last, suggestion, first if first != last else None)
        found = Suggestions({path: content}.get, parser.syntax_errors).offered(inline(one), [file])
        if one in found:
            check_applied(folder / path, content, range(first, last + 1), found[one], parser)


def check_applied(file: Path, content: bytes, lines: range, text: str, parser: ScopeFinder) -> None:
    """Applies the suggestion with git by GitHub's rule, and checks the resulting file."""
    rows = content.split(b"\n")
    rows, at_end = (rows[:-1], b"") if content.endswith(b"\n") else (rows, b"\\ No newline at end of file\n")
    carriage = b"\r" if rows[lines.start - 1].endswith(b"\r") else b""
    new = [line.encode() + carriage for line in text.split("\n")] if text else []
    no_end = at_end if lines[-1] == len(rows) else b""
    start = lines.start if new else lines.start - 1
    patch = b"--- a/%b\n+++ b/%b\n@@ -%d,%d +%d,%d @@\n" % (
        *(file.name.encode(),) * 2,
        *(lines.start, len(lines), start, len(new)),
    )
    removed = b"".join(b"-" + row + b"\n" for row in rows[lines.start - 1 : lines[-1]]) + no_end
    added = b"".join(b"+" + row + b"\n" for row in new) + (no_end if new else b"")
    file.write_bytes(content)
    command = ["git", "apply", "--unidiff-zero", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, cwd=file.parent, input=patch + removed + added, capture_output=True)
    assert done.returncode == 0, done.stderr
    anchor = anchor_at(file.name, lines[0], lines[-1])
    expected = replaced(content, anchor, text)
    written = file.read_bytes() if file.exists() else b""
    # Without its last lines the file ends as the line before it does.
    assert written == expected or (not new and no_end and written == expected + b"\n")
    assert text != "\n".join(row.decode().removesuffix("\r") for row in rows[lines.start - 1 : lines[-1]])
    assert not any(hidden in text for hidden in ("\u202e", "\r"))
    if not file.name.endswith((".md", ".txt")):
        assert text.count("```") <= content.decode().count("```")
    if file.suffix == ".py":
        assert compiles(written.decode()) or not compiles(content.decode())
    errors, earlier = (
        parser.syntax_errors(file.name, file_text.decode()) for file_text in (written, content)
    )
    assert errors is not None
    assert earlier is not None
    assert len(errors) <= len(earlier)


def compiles(text: str) -> bool:
    """Returns whether the text compiles as Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<file>", "exec")
    except SyntaxError:
        return False
    return True

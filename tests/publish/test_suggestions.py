"""A suggestion is offered only where it applies to the head and the file parses after it as it did before."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.publish.placement import CommentPlan, by_path, resolve_anchor
from hunkwise.publish.suggestions import (
    LANGUAGES,
    LARGEST,
    Suggestions,
    SyntaxChecker,
    SyntaxStatus,
    replaced,
    serve,
    verdict,
)

PATIENT = 60.0
"""Seconds that a loaded machine is given for a small file."""
CRLF = b"x = [\r\n    1,\r\n]\r\n"


def diff(path: str, content: bytes, first: int = 1, last: int | None = None) -> FileDiff:
    """A file whose lines `first`..`last` were added."""
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


def offered(
    path: str,
    content: bytes,
    line: int,
    suggestion: str,
    start: int | None = None,
    *,
    seconds: float = PATIENT,
) -> bool:
    file = diff(path, content, max(1, (start or line) - 3), line + 3)
    one = finding(file, line, suggestion, start)
    return one in Suggestions({path: content}.get, seconds=seconds).offered(inline(one), [file])


@pytest.mark.parametrize(
    ("path", "content", "line", "suggestion", "expected"),
    [
        ("a.py", b"def f():\n    return 1\n", 2, "    return 2", True),
        ("a.py", b"def f():\n    return 1\n", 2, "    return (2", False),
        ("a.py", b"def f():\n    return 1\n", 2, "return 2", False),
        ("a.py", b"def f():\n    return 1\n", 2, "", False),
        ("a.py", b"x = 1\ny = 2\n", 2, "", True),
        ("a.py", b"x = 1\n", 1, "", True),
        ("a.py", b"print 'two'\nx = 1\n", 2, "x = (", True),
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
        ("a.yml", b"{{ if x }}\na: 1\n", 2, "a: [", True),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = 2", True),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = ", False),
        ("a.toml", b"[a]\nb = 1\n", 2, "b = 1\nb = 2", False),
        ("a.txt", b"one\ntwo\n", 2, "three (", True),
        ("py", b"one\ntwo\n", 2, "three (", True),
        # Line ends and encodings are kept, or nothing is offered; a byte order mark is no fault of the syntax.
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
def test_what_parses_before_must_parse_after(
    path: str, content: bytes, line: int, suggestion: str, expected: bool
) -> None:
    assert offered(path, content, line, suggestion) is expected


@pytest.mark.parametrize(
    ("content", "lines", "suggestion", "after"),
    [
        (b"a\nb\nc\n", (2, 2), "x\ny", b"a\nx\ny\nc\n"),
        (b"a\nb\nc\n", (1, 3), "x\n", b"x\n"),
        (b"a\nb\nc\n", (2, 3), "", b"a\n"),
        (b"a\n", (1, 1), "", b""),
        (b"a\n", (1, 1), "\n", b"\n"),
        (b"a\nb\n\n", (3, 3), "c", b"a\nb\nc\n"),
        (b"a\nb", (2, 2), "c", b"a\nc"),
        (b"a\r\nb\r\n", (1, 1), "x\r\ny", b"x\r\ny\r\nb\r\n"),
        (b"a\rb\nc\n", (2, 2), "d", b"a\rb\nd\n"),
    ],
)
def test_a_suggestion_takes_the_place_of_its_lines(
    content: bytes, lines: tuple[int, int], suggestion: str, after: bytes
) -> None:
    anchor = Anchor("a", lines[1], Side.RIGHT, lines[0] if lines[0] != lines[1] else None)
    assert replaced(content, anchor, suggestion) == after


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
def test_the_head_must_have_the_reviewed_code_at_these_lines(head: bytes | None, expected: bool) -> None:
    file = diff("a.txt", b"one\ntwo\nthree\n")
    one = finding(file, 2, "2")
    assert bool(Suggestions(lambda _path: head).offered(inline(one), [file])) is expected


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
def test_a_suggestion_is_offered_only_where_it_changes_the_reviewed_lines_visibly(
    start: int | None, suggestion: str | None, changes: dict[str, Any], expected: bool
) -> None:
    content = b"one\ntwo\n"
    file = diff("a.txt", content)
    one = finding(file, 2, suggestion, start)
    assert one.anchor is not None
    one = replace(one, anchor=replace(one.anchor, **changes))
    assert bool(Suggestions(lambda _path: content).offered(inline(one), [file])) is expected


@pytest.mark.parametrize("path", [".github/workflows/ci.txt", ".github/actions/a/run.sh"])
def test_nothing_is_offered_in_code_that_runs_with_secrets(path: str) -> None:
    assert not offered(path, b"one\n", 1, "two")


@pytest.mark.parametrize(
    "error", [RepositoryError("Gone."), GitHubError(GitHubErrorKind.UNAVAILABLE, "Gone.")]
)
def test_a_file_that_cannot_be_read_gets_no_offers(error: Error) -> None:
    def read(_path: str) -> bytes | None:
        raise error

    file = diff("a.py", b"x = 1\n")
    assert Suggestions(read).offered(inline(finding(file, 1, "x = 2")), [file]) == frozenset()


def test_each_suggestion_is_judged_alone_and_each_file_is_read_once() -> None:
    content = b"x = 1\ny = 2\nz = 3\n"
    file, plain = diff("a.py", content), diff("b.txt", content)
    good, bad, also = (finding(file, 1, "x = ("), finding(file, 2, "y = 3"), finding(file, 3, "z = 4"))
    other = finding(plain, 1, "anything")
    without = finding(file, 1, None)
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return content

    found = Suggestions(read, seconds=PATIENT).offered(inline(good, bad, also, other, without), [file, plain])
    assert found == {bad, also, other}
    assert asked == ["a.py", "b.txt"]


def deep(path: str) -> bytes:
    """A file whose nesting is more than a parser takes; its second line is harmless."""
    opening, closing = {"py": (b"-", b"1"), "json": (b"[", b"]"), "toml": (b"[", b"]")}[
        path.rpartition(".")[2]
    ]
    before = {"py": b"x = ", "json": b'{"a":', "toml": b"x = "}[path.rpartition(".")[2]]
    return before + opening * 50_000 + closing * (1 if path == "a.py" else 50_000) + b"\n\n"


@pytest.mark.parametrize("path", ["a.py", "a.json", "a.toml"])
def test_a_file_that_no_parser_can_take_gets_no_offers(path: str) -> None:
    assert not offered(path, deep(path), 2, "# nothing")


def test_a_suggestion_that_no_parser_can_take_is_not_offered() -> None:
    assert not offered("a.py", b"x = 1\n", 1, "x = " + "-" * 9_000 + "1")
    assert not offered("a.py", b"x = 1\n", 1, "x = " + "-" * 9_900 + "1")


def test_a_file_above_a_megabyte_is_not_parsed_and_gets_no_offers() -> None:
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


def test_a_parser_that_is_late_is_ended_and_knows_nothing_more() -> None:
    text = "[" * 400_000
    with SyntaxChecker(seconds=0.5) as parser:
        assert parser.verdict("yaml", text) is SyntaxStatus.UNKNOWN
        assert parser.verdict("python", "x = 1") is SyntaxStatus.UNKNOWN


def test_a_late_parser_costs_its_suggestions_and_no_others() -> None:
    contents = {"a.yml": b"a: 1\nb: " + b"[" * 400_000, "b.txt": b"one\n"}
    slow, plain = diff("a.yml", b"a: 1\n"), diff("b.txt", b"one\n")
    held = finding(slow, 1, "a: 2")
    free = finding(plain, 1, "two")
    assert Suggestions(contents.get, seconds=0.5).offered(inline(held, free), [slow, plain]) == {free}


def test_a_parser_that_died_between_two_files_knows_nothing_more() -> None:
    with SyntaxChecker(seconds=PATIENT) as parser:
        assert parser.verdict("json", "1") is SyntaxStatus.PARSES
        assert parser._worker.process is not None
        parser._worker.process.kill()
        parser._worker.process.wait()
        assert parser.verdict("json", "1") is SyntaxStatus.UNKNOWN


def test_a_parser_that_cannot_be_started_knows_nothing() -> None:
    with SyntaxChecker(python="/nowhere/python") as parser:
        assert parser.verdict("json", "1") is SyntaxStatus.UNKNOWN


def test_a_parser_that_is_not_asked_starts_no_process() -> None:
    with SyntaxChecker() as parser:
        assert parser._worker.process is None


def test_the_worker_needs_no_more_than_its_own_environment() -> None:
    program = """
from hunkwise.publish.suggestions import SyntaxChecker
with SyntaxChecker() as parser:
    print(parser.verdict("toml", "a = 1"))
    print(open(f"/proc/{parser._worker.process.pid}/environ").read())
"""
    environ = {**os.environ, "CANARY_TOKEN": "ghs_canary", "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    said, _, names = done.stdout.partition("\n")
    assert said == "parses"
    assert {entry.partition("=")[0] for entry in names.strip().split("\0") if entry} <= {
        "PYTHONPATH",
        "PYTHONIOENCODING",
        "PYTHONDONTWRITEBYTECODE",
    }


QUESTIONS = "".join(
    json.dumps({"language": language, "text": text}) + "\n"
    for language, text in [("python", "x ="), ("json", "{}"), ("json", "[" * 50_000), ("yaml", "a: 1")]
)
ANSWERS = "broken\nparses\nunknown\nparses\n"


def test_the_worker_answers_line_by_line() -> None:
    replies = io.StringIO()
    serve(io.StringIO(QUESTIONS), replies)
    assert replies.getvalue() == ANSWERS


def test_the_worker_confines_itself() -> None:
    program = [sys.executable, "-m", "hunkwise.publish.suggestions"]
    environ = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(program, input=QUESTIONS, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == ANSWERS


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x = 1", SyntaxStatus.PARSES),
        ("python", "x = '\\d'", SyntaxStatus.PARSES),
        ("python", "# coding: latin-1\nx = 1", SyntaxStatus.PARSES),
        ("python", "x = \0", SyntaxStatus.BROKEN),
        ("python", "-" * 50_000 + "1", SyntaxStatus.UNKNOWN),
        ("json", "Infinity", SyntaxStatus.BROKEN),
        ("json", "\ufeff{}", SyntaxStatus.PARSES),
        ("toml", "a = 1", SyntaxStatus.PARSES),
        ("toml", "a", SyntaxStatus.BROKEN),
        ("toml", "a = " + "[" * 50_000, SyntaxStatus.UNKNOWN),
        ("yaml", "a: &x 1\nb: *x\n---\nc: !!python/object:os.system []", SyntaxStatus.PARSES),
        ("yaml", "a: *x", SyntaxStatus.BROKEN),
        ("yaml", "a: &x 1\n---\nb: *x", SyntaxStatus.BROKEN),
        ("yaml", "a: \x07", SyntaxStatus.BROKEN),
        ("yaml", 'a: "\\UFFFFFFFF"', SyntaxStatus.BROKEN),
        ("yaml", "", SyntaxStatus.PARSES),
    ],
)
def test_a_parser_says_what_it_takes(language: str, text: str, expected: SyntaxStatus) -> None:
    assert verdict(language, text) is expected


def parses(text: str) -> bool:
    """Whether it is Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError:
        return False
    return True


@given(st.sampled_from(LANGUAGES), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_the_parsers_fail(language: str, text: str) -> None:
    assert verdict(language, text.encode("utf-8", "replace").decode("utf-8")) in SyntaxStatus


SOURCES = st.lists(
    st.sampled_from(
        ["x = 1", "def f():", "    return 1", "if x:", "    pass", "y = (", ")", '"""', "é = 'ü'", "", "@"]
    ),
    min_size=1,
    max_size=8,
).map("\n".join)
LINE_ENDS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(st.tuples(SOURCES, SOURCES, LINE_ENDS, st.integers(0, 7), st.booleans()), max_size=12))
@settings(max_examples=25, deadline=None)
def test_an_offered_suggestion_leaves_a_file_that_python_takes(
    cases: list[tuple[str, str, str, int, bool]],
) -> None:
    contents: dict[str, bytes] = {}
    files: list[FileDiff] = []
    findings: list[Finding] = []
    for number, (source, suggestion, end, line, final) in enumerate(cases):
        lines = source.split("\n")
        path = f"f{number}.py"
        contents[path] = (end.join(lines) + (end if final else "")).encode()
        if not contents[path]:
            continue
        file = diff(path, contents[path])
        files.append(file)
        findings.append(finding(file, 1 + line % len(file.hunks[0].lines), suggestion))
    found = Suggestions(contents.get).offered(inline(*findings), files)
    for one in found:
        assert one.anchor is not None
        assert one.suggestion is not None
        after = replaced(contents[one.path], one.anchor, one.suggestion).decode()
        assert parses(after) or not parses(contents[one.path].decode())

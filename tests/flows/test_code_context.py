"""Tests the code around hunks: what is shown, the limits, and that no error fails a review."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.enclosing.definitions import MOST_DEFINING_FILES, MOST_PLACES, candidate_files, search_pattern
from hunkwise.enclosing.scopes import ScopeFinder
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.flows.code_context import (
    DEFINITIONS_ROOM,
    MAX_SOURCE,
    MOST_DEFINITIONS,
    MOST_HITS,
    MOST_NAMES,
    SEARCH_SECONDS,
    CodeContext,
)
from hunkwise.plan.chunking import ChunkPart
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree
from tests.fakes.changes import FakeCommit, added, changed
from tests.repository.repositories import Entry, Trees

SOURCE = b"class A:\n    def f(self):\n        one()\n        two()\n        three()\n        four()\n"
PATCH = b"@@ -3,3 +3,3 @@\n         one()\n-        2()\n+        two()\n         three()"
SHOWN = [
    '### Around the rows shown in "a.py"',
    "    1 | class A:",
    "    2 |     def f(self):",
    "    … |",
    "    6 |         four()",
    "    … |",
]


def part(path: str = "a.py", patch: bytes = PATCH, **given: object) -> ChunkPart:
    file = replace(changed(path, patch), **given)  # type: ignore[arg-type]  # whatever a test says of it
    return ChunkPart(file, file.hunks)


def shown(content: bytes, *parts: ChunkPart, room: int = 5_000) -> str:
    surroundings = CodeContext(FakeCommit({"a.py": content}), seconds=60)
    surroundings.look_up(parts or (part(),))
    assert surroundings.notes == ()
    return surroundings.text(parts or (part(),), room)


def test_the_function_around_a_change_is_shown_under_a_heading_that_says_what_it_is() -> None:
    explained, _, rows = shown(SOURCE).partition("\n\n")
    assert "not part of the diff and not to be reviewed" in explained
    assert rows.split("\n") == SHOWN


@pytest.mark.parametrize(
    "content",
    [
        SOURCE.replace(b"\n", b"\r\n"),
        SOURCE.removesuffix(b"\n"),
        b"\xef\xbb\xbf" + SOURCE,
    ],
)
def test_ends_of_lines_are_no_matter(content: bytes) -> None:
    assert [row for row in shown(content).split("\n")[2:] if "…" not in row] == [
        row for row in SHOWN if "…" not in row
    ]


def test_bytes_that_are_no_utf8_are_shown_as_what_they_are() -> None:
    assert "    6 |         four(\\xff)" in shown(SOURCE.replace(b"four()", b"four(\xff)"))


@pytest.mark.parametrize(
    "content", [b"", b"\0" + SOURCE, b"#" * MAX_SOURCE + SOURCE, b"x", SOURCE.replace(b"def", b"fed")[:40]]
)
def test_what_is_no_such_source_has_nothing_around_its_changes(content: bytes) -> None:
    assert shown(content) == ""


@pytest.mark.parametrize(
    "those",
    [
        part(status=FileStatus.REMOVED),
        part(binary=True),
        part("a.txt"),
        ChunkPart(added("a.py", "x"), added("a.py", "x").hunks),
    ],
)
def test_what_can_have_nothing_around_it_is_not_read(those: ChunkPart) -> None:
    files = FakeCommit({"a.py": SOURCE})
    surroundings = CodeContext(files)
    surroundings.look_up([those])
    assert (files.asked, surroundings.text([those], 5_000)) == ([], "")


def test_all_files_are_read_at_once_and_each_is_looked_at_once() -> None:
    files = FakeCommit({"a.py": SOURCE, "b.py": SOURCE})
    surroundings = CodeContext(files, seconds=60)
    surroundings.look_up([part(), part("b.py"), part()])
    assert files.asked == ["a.py", "b.py"]
    assert surroundings.text([part(), part("b.py")], 5_000).count("class A:") == 2


def test_a_file_that_the_chunks_share_is_shown_in_each_with_its_own_hunks() -> None:
    file = changed("a.py", PATCH + b"\n@@ -6,1 +6,1 @@\n-4\n+        four()")
    parts = [ChunkPart(file, (hunk,)) for hunk in file.hunks]
    surroundings = CodeContext(FakeCommit({"a.py": SOURCE}), seconds=60)
    surroundings.look_up(parts)
    assert [surroundings.text([one], 5_000).count("four()") for one in parts] == [1, 0]


def test_what_does_not_fit_is_said() -> None:
    long = SOURCE + b"".join(b"        more_%d()\n" % number for number in range(300))
    assert shown(long, room=1_000).endswith(
        "(1 of these functions and classes are shown in part: read the file for the rest.)"
    )
    assert len(shown(long, room=1_000)) <= 1_000
    assert shown(long, room=300) == ""


@pytest.mark.parametrize(
    "error",
    [GitHubError(GitHubErrorKind.FORBIDDEN, "No."), RepositoryError("No.")],
    ids=["forge", "repository"],
)
def test_a_head_that_cannot_be_read_costs_a_note(error: Error) -> None:
    surroundings = CodeContext(FakeCommit(failing={"a.py": error}))
    surroundings.look_up([part()])
    assert surroundings.notes == ("The code around the changes could not be read: No.",)
    assert surroundings.text([part()], 5_000) == ""


def test_what_there_was_no_time_for_is_said() -> None:
    surroundings = CodeContext(FakeCommit({"a.py": SOURCE}), left=lambda: -1.0)
    surroundings.look_up([part()])
    (note,) = surroundings.notes
    assert note.startswith(
        "The functions around the changes are shown of 0 of 1 files: more would have taken"
    )


def test_a_parser_that_fails_costs_a_note(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    surroundings = CodeContext(
        FakeCommit({"a.py": SOURCE, "b.py": SOURCE}),
        seconds=60,
        scout=lambda: ScopeFinder(python=str(program)),
    )
    surroundings.look_up([part(), part("b.py")])
    assert surroundings.notes == (
        "The functions around the changes are shown of 0 of 2 files: the parser failed.",
    )


def test_places_beyond_the_files_end_are_passed_over() -> None:
    far = part(patch=b"@@ -90,1 +90,2 @@\n a\n+b")
    assert shown(SOURCE, part(), far).count("four()") == 1


def test_a_renamed_file_is_read_by_its_new_name() -> None:
    renamed: FileDiff = changed("a.py", PATCH, old_path="old.py")
    assert "class A:" in shown(SOURCE, ChunkPart(renamed, renamed.hunks))


CALLER = b"def pay(order):\n    total = 0\n    total += tax(order)\n    return total\n"
CALL_PATCH = b"@@ -2,2 +2,3 @@\n     total = 0\n+    total += tax(order)\n     return total"
TAX = b"RATE = 2\n\n\n@cached\ndef tax(order):\n    return order * RATE\n"


def repository(files: dict[str, bytes], **given: Any) -> FakeCommit:
    """A searchable commit whose search returns each line with a definition."""
    hits = [
        (path, number, line)
        for path, content in files.items()
        for number, line in enumerate(content.decode().split("\n"), 1)
        if "def " in line
    ]
    return FakeCommit(files, hits=hits, **given)


def looked_up(head: FakeCommit, *parts: ChunkPart) -> CodeContext:
    context = CodeContext(head, seconds=60)
    context.look_up(parts)
    return context


def called(head: FakeCommit, *parts: ChunkPart, room: int = 20_000) -> list[str]:
    """Returns the places of the definitions that a prompt shows."""
    text = looked_up(head, *parts).text(parts, room)
    return re.findall(r'^### Called by the rows shown: "(.*)"$', text, re.MULTILINE)


CALL = part("src/pay.py", CALL_PATCH)


def test_definition_in_another_file_is_shown_by_its_path_and_line() -> None:
    head = repository({"src/pay.py": CALLER, "src/money.py": TAX})
    text = looked_up(head, CALL).text([CALL], 20_000)
    assert "found by its name: a call may mean another definition" in text
    assert text.endswith(
        '### Called by the rows shown: "src/money.py:5"\n    … |\n    4 | @cached\n    5 | def tax(order):\n'
        "    6 |     return order * RATE\n    … |"
    )
    ((pattern, globs),) = head.searches
    assert "(tax)" in pattern
    assert globs == ("**/*.py", "**/*.pyi")


def test_definition_in_the_same_file_comes_first() -> None:
    head = repository({"src/pay.py": CALLER + b"\n\n" + TAX, "src/money.py": TAX})
    assert called(head, CALL) == ["src/pay.py:11"]
    assert head.searches == []
    assert called(FakeCommit({"src/pay.py": CALLER + b"\n\n" + TAX}), CALL) == ["src/pay.py:11"]


def test_method_is_shown_with_the_header_of_its_class() -> None:
    shop = b"class Shop:\n    name = 1\n\n    def tax(self):\n        return 1\n\n    def near(self): ...\n"
    text = looked_up(repository({"src/pay.py": CALLER, "shop.py": shop}), CALL).text([CALL], 20_000)
    assert (
        "    1 | class Shop:\n    … |\n    4 |     def tax(self):\n    5 |         return 1\n    … |" in text
    )
    assert "near" not in text


def test_what_the_prompt_shows_is_not_shown_again() -> None:
    own = CALLER + TAX
    patch = (
        CALL_PATCH.replace(b"+2,3", b"+2,9")
        + b"\n+RATE = 2\n+\n+\n+@cached\n+def tax(order):\n+    return order * RATE\n"
    )
    assert called(repository({"src/pay.py": own}), part("src/pay.py", patch)) == []
    in_change = part("src/money.py", b"@@ -6,1 +6,1 @@\n-    return 1\n+    return order * RATE")
    head = repository({"src/pay.py": CALLER, "src/money.py": TAX})
    assert called(head, CALL, in_change) == []
    assert looked_up(head, CALL, in_change).text([CALL, in_change], 20_000).count("def tax(order)") == 1
    again = part("src/buy.py", CALL_PATCH)
    head = repository({"src/pay.py": CALLER, "src/buy.py": CALLER, "src/money.py": TAX})
    assert called(head, CALL, again) == ["src/money.py:5"]


def test_recursion_and_unchanged_calls_show_nothing() -> None:
    source = CALLER.replace(b"total = 0", b"total = base()").replace(b"tax(order)", b"pay(order)")
    head = repository({"src/pay.py": source + b"def base():\n    return 0\n"})
    assert called(head, part("src/pay.py", CALL_PATCH)) == []
    removal = part("src/pay.py", b"@@ -2,3 +2,2 @@\n     total = base()\n-    x\n     total += pay(order)")
    assert called(head, removal) == []


def test_new_file_shows_what_it_calls_where_the_repository_can_be_searched() -> None:
    new = added("src/pay.py", *CALLER.decode().splitlines())
    whole = ChunkPart(new, new.hunks)
    assert called(repository({"src/pay.py": CALLER, "src/money.py": TAX}), whole) == ["src/money.py:5"]
    api = FakeCommit({"src/pay.py": CALLER, "src/money.py": TAX})
    assert called(api, whole) == []
    assert api.asked == []


def test_new_files_are_parsed_last_and_as_many_as_the_search_can_use() -> None:
    files = {f"src/{number}.py": CALLER for number in range(MOST_NAMES + 5)}
    new = [added(path, *CALLER.decode().splitlines()) for path in files]
    edited = part("src/pay.py", CALL_PATCH)
    head = repository({**files, "src/pay.py": CALLER * 50})
    times = iter([0.0, 0.0, 0.0, 60.0, 60.0])
    context = CodeContext(head, seconds=60.0, clock=times.__next__)
    context.look_up([*(ChunkPart(file, file.hunks) for file in new), edited])
    assert len(head.asked) == MOST_NAMES + 1
    assert context.notes == ()
    assert "def pay(order)" in context.text([edited], 20_000)


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (["src/money.py", "other/money.py"], ["src/money.py:5"]),
        (["src/a.py", "src/b.py"], []),
        (["src/sub/a.py", "lib/a.py"], ["src/sub/a.py:5"]),
        (["tests/money.py"], []),
        (["tests/money.py", "lib/money.py"], ["lib/money.py:5"]),
        (["node_modules/money.py", "lib/money.py"], ["lib/money.py:5"]),
        (["src/money.rb"], []),
        ([f"lib/{number}/a.py" for number in range(MOST_PLACES)] + ["src/a.py"], []),
        ([f"lib/{number}/a.py" for number in range(MOST_PLACES - 1)] + ["src/a.py"], ["src/a.py:5"]),
    ],
)
def test_nearest_definition_counts_and_ambiguous_ones_do_not(files: list[str], places: list[str]) -> None:
    assert called(repository({"src/pay.py": CALLER, **dict.fromkeys(files, TAX)}), CALL) == places


def test_file_of_tests_shows_definitions_of_helpers_too() -> None:
    test = part("tests/test_pay.py", CALL_PATCH)
    head = repository({"tests/test_pay.py": CALLER, "tests/money.py": TAX})
    assert called(head, test) == ["tests/money.py:5"]


def test_definitions_of_one_name_in_a_file_are_ambiguous() -> None:
    assert called(repository({"src/pay.py": CALLER, "src/money.py": TAX + TAX}), CALL) == []
    assert called(repository({"src/pay.py": CALLER + TAX + TAX, "src/money.py": TAX}), CALL) == []


def test_common_and_short_names_are_not_searched_for() -> None:
    source = CALLER.replace(b"tax(order)", b"len(order.get(x).append(ab(1)))")
    head = repository({"src/pay.py": source, "src/money.py": TAX.replace(b"tax", b"append")})
    assert called(head, CALL) == []
    assert head.searches == []


def callers(count: int, names: int) -> tuple[dict[str, bytes], list[ChunkPart]]:
    """Files with calls of names of their own."""
    files, parts = {}, []
    for number in range(count):
        rows = [f"call_{number}_{index}()" for index in range(names)]
        files[f"src/{number}.py"] = ("\n".join(["one", *rows]) + "\n").encode()
        patch = f"@@ -1,1 +1,{names + 1} @@\n one\n" + "\n".join(f"+{row}" for row in rows)
        parts.append(part(f"src/{number}.py", patch.encode()))
    return files, parts


def test_names_are_limited_and_each_file_has_its_turn() -> None:
    files, parts = callers(3, 30)
    head = repository(files)
    looked_up(head, *parts)
    ((pattern, _),) = head.searches
    found = [re.findall(rf"call_{number}_\d+", pattern) for number in range(3)]
    assert sum(map(len, found)) == MOST_NAMES
    assert [len(names) for names in found] == [14, 13, 13]


def test_pattern_is_limited() -> None:
    rows = [f"{'x' * 90}_{number}()" for number in range(30)]
    head = repository({"src/a.py": "\n".join(["one", *rows]).encode()})
    patch = f"@@ -1,1 +1,{len(rows) + 1} @@\n one\n" + "\n".join(f"+{row}" for row in rows)
    looked_up(head, part("src/a.py", patch.encode()))
    ((pattern, _),) = head.searches
    assert pattern.count("x_") > 3
    assert len(pattern) <= 1_000


def test_definitions_of_a_prompt_are_limited() -> None:
    files, (one,) = callers(1, 30)
    (path,) = files
    files[path] += b"".join(b"def call_0_%d():\n    pass\n" % index for index in range(30))
    assert len(called(repository(files), one)) == MOST_DEFINITIONS


def test_characters_of_definitions_are_limited() -> None:
    files, (one,) = callers(1, 10)
    files["src/lib.py"] = b"".join(
        b"def call_0_%d():\n" % index + b"    a_row_of_some_length(1, 2, 3, 4, 5, 6)\n" * 100
        for index in range(10)
    )
    context = looked_up(repository(files), one)
    text = context.text([one], 100_000)
    definitions = text[text.index("### Called") :]
    assert DEFINITIONS_ROOM // 2 < len(definitions) <= DEFINITIONS_ROOM + 200
    assert re.search(r"\(10 of these functions and classes are shown in part", text)
    assert len(context.text([one], 3_000)) <= 3_000


def test_of_a_long_definition_the_first_rows_are_shown() -> None:
    long = b"def tax(order):\n" + b"    x()\n" * 300
    text = looked_up(repository({"src/pay.py": CALLER, "src/money.py": long}), CALL).text([CALL], 20_000)
    assert "   40 |     x()\n    … |" in text
    assert "   41 |" not in text


def test_search_with_too_many_hits_is_not_used() -> None:
    files = {"src/pay.py": CALLER, "src/money.py": TAX}
    padding = [("src/z.txt", number, "nothing") for number in range(MOST_HITS)]
    head = repository(files)
    assert called(replace(head, hits=[*(head.hits or ()), *padding]), CALL) == []
    assert called(replace(head, hits=[*(head.hits or ()), *padding[: MOST_HITS - 50]]), CALL) == [
        "src/money.py:5"
    ]


def test_files_that_may_define_names_are_limited() -> None:
    files, parts = callers(MOST_DEFINING_FILES + 5, 1)
    for number in range(MOST_DEFINING_FILES + 5):
        files[f"lib/{number}.py"] = b"def call_%d_0(): ...\n" % number
    head = repository(files)
    assert len(called(head, *parts)) == MOST_DEFINITIONS
    context = looked_up(head, *parts)
    shown = [one for one in parts if "### Called" in context.text([one], 20_000)]
    assert len(shown) == MOST_DEFINING_FILES


def test_name_is_left_out_where_a_file_that_may_define_it_is_not_parsed() -> None:
    large = b"#" * MAX_SOURCE + b"\n" + TAX
    assert called(repository({"src/pay.py": CALLER, "src/money.py": TAX, "lib/a.py": large}), CALL) == []


def test_failed_search_adds_a_note() -> None:
    files = {"src/pay.py": CALLER + b"def other():\n    pass\n", "src/money.py": TAX}
    head = repository(files, failing={"search": RepositoryError("It took too long.")})
    context = looked_up(head, CALL)
    assert context.notes == (
        "What the changed lines call was not looked up in other files: It took too long.",
    )
    assert "### Called" not in context.text([CALL], 20_000)


def test_search_has_the_time_that_is_left() -> None:
    class Timed(FakeCommit):
        def search(
            self, pattern: str, paths: tuple[str, ...], *, limit: int = 0, seconds: float = 0.0
        ) -> list[tuple[str, int, str]] | None:
            given.append(seconds)
            return super().search(pattern, paths, limit=limit, seconds=seconds)

    given: list[float] = []
    for at_search in (0.0, 59.5, 60.0):
        times = iter([0.0, 0.0, 0.0, at_search])
        CodeContext(Timed({"src/pay.py": CALLER}, hits=[]), seconds=60.0, clock=times.__next__).look_up(
            [CALL]
        )
    assert given == [SEARCH_SECONDS, 0.5]


SUITE = b"class TestPay:\n" + b"".join(
    b"    def test_%d(self):\n        pay(%d)\n        check(%d)\n\n" % (number, number, number)
    for number in range(30)
)


@pytest.mark.parametrize(("path", "whole"), [("tests/test_pay.py", False), ("src/pay.py", True)])
def test_tests_beside_the_changed_one_are_not_shown(path: str, whole: bool) -> None:
    patch = b"@@ -40,1 +40,4 @@\n         check(9)\n+\n+    def test_10(self):\n+        pay(10)"
    text = looked_up(FakeCommit({path: SUITE}), one := part(path, patch)).text([one], 20_000)
    assert "    1 | class TestPay:" in text
    assert ("def test_11(self)" in text) is whole


@pytest.mark.parametrize(("path", "last"), [("a/pay_test.go", 27), ("a/pay.go", 103)])
def test_long_table_of_a_test_is_shown_near_the_change_only(path: str, last: int) -> None:
    rows = "".join(f"\t\t{{{number}}},\n" for number in range(100))
    source = (
        f"package a\nfunc TestPay(t *testing.T) {{\n\tfor _, c := range []int{{\n{rows}\t}} {{\n\t}}\n}}\n"
    )
    one = part(path, b"@@ -15,1 +15,1 @@\n-\t\t{99},\n+\t\t{11},")
    text = looked_up(FakeCommit({path: source.encode()}), one).text([one], 20_000)
    numbers = [int(row) for row in re.findall(r"^ *(\d+) \|", text, re.MULTILINE)]
    assert numbers[0] == 2
    assert (last in numbers, last + 1 in numbers) == (True, path == "a/pay.go")


def test_changed_test_is_not_followed_by_the_block_around_it() -> None:
    cases = "".join(f"  it('{number}', () => {{\n    check({number});\n  }});\n" for number in range(20))
    source = f"describe('pay', () => {{\n{cases}}});\n".encode()
    one = part("pay.test.ts", b"@@ -32,3 +32,3 @@\n   it('10', () => {\n-    x\n+    check(10);\n   });")
    text = looked_up(FakeCommit({"pay.test.ts": source}), one).text([one], 20_000)
    assert re.findall(r"^ *(\d+) \|", text, re.MULTILINE) == ["1"]


LIBRARY: dict[bytes, Entry] = {
    b"a.py": b"class Alpha:\n    async def beta(self): ...\nx = Alpha()\ny = beta\n",
    b"a.js": b"const gamma = async () => 1;\nfunction* delta() {}\nclass A {\n  async eps(a) {\n  }\n}\ngamma();\n",
    b"a.go": b"func (s *S) Zeta(a int) {}\ntype Eta struct {\n}\nvar z = x.Zeta(1)\n",
    b"a.rs": b"pub fn theta<T>() {}\nmacro_rules! iota { () => {} }\nlet q = theta::<T>();\n",
    b"A.java": b"public List<A> kappa(int a)\n    throws X {\n}\nint r = kappa(1);\n",
    b"a.c": b"static int *lambda(int a)\n{\n}\nmu (int a)\n{\n}\nint s = x.lambda(1);\n",
    b"a.cc": b"int A::nu(int a) {}\n",
    b"a.rb": b"def self.omicron\nend\ndef sigma?\nend\nx = sigma?\n",
    b"a.php": b"public static function tau() {}\n$x = tau();\n",
}
_NAMES = "Alpha beta gamma delta eps Zeta Eta theta iota kappa lambda mu nu omicron sigma tau".split()


def test_pattern_finds_definitions_and_passes_over_uses(tmp_path: Path) -> None:
    trees = Trees.make(tmp_path)
    head = GitTree(Git(tmp_path), trees.commit(LIBRARY))
    hits = head.search(search_pattern(_NAMES, ["c", "java", "javascript"]), (), limit=MOST_HITS, seconds=60)
    found = {(path, line) for path, line, _ in hits or ()}
    assert found == {
        *(("a.py", 1), ("a.py", 2), ("a.js", 1), ("a.js", 2), ("a.js", 4), ("a.js", 7)),
        *(("a.go", 1), ("a.go", 2), ("a.rs", 1), ("a.rs", 2), ("A.java", 1), ("a.c", 1), ("a.c", 4)),
        *(("a.cc", 1), ("a.rb", 1), ("a.rb", 3), ("a.php", 1)),
    }
    assert candidate_files(hits or (), _NAMES) == {
        **{name: ["a.py"] for name in ["Alpha", "beta"]},
        **{name: ["a.js"] for name in ["gamma", "delta", "eps"]},
        **{name: ["a.go"] for name in ["Zeta", "Eta"]},
        **{name: ["a.rs"] for name in ["theta", "iota"]},
        **{name: ["A.java"] for name in ["kappa"]},
        **{name: ["a.c"] for name in ["lambda", "mu"]},
        **{name: ["a.cc"] for name in ["nu"]},
        **{name: ["a.rb"] for name in ["omicron", "sigma"]},
        **{name: ["a.php"] for name in ["tau"]},
    }

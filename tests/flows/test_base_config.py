"""What the base of a change says: read whole, checked, and told where it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.pull_request import Instructions, Known
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, OversizeError, SettingsError
from hunkwise.flows.base_config import NEAR_PATHS, BaseConfig, built_in_fronts, prefetch, read_base_texts
from hunkwise.flows.instructions import (
    AGENTS,
    ATTRIBUTES,
    INSTRUCTION_FILES,
    INSTRUCTION_FOLDER,
    MAX_FOLDERS,
    MAX_INSTRUCTION_FILES,
    MAX_NESTED,
    MAX_TEXT,
    FolderTexts,
    instructions_of,
    read_folder_texts,
)
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from tests.fakes.changes import FakeCommit, changed

PATH = ".github/hunkwise.yml"
AWAY = GitHubError(GitHubErrorKind.UNAVAILABLE, "GitHub is away.")
OWN = b"version: 1\nprompts:\n  - name: mine\n    template: mine.j2\n"


def read(
    files: dict[str, bytes],
    overridden: Callable[[Config], Config] = lambda config: config,
    failing: dict[str, Error] | None = None,
) -> BaseConfig:
    return read_base_texts(FakeCommit(files, failing or {}), PATH, overridden)


def test_without_any_files_the_defaults_hold() -> None:
    texts = read({})
    assert texts.config == Config().completed(built_in_fronts())
    assert (texts.templates, texts.instructions, texts.notes) == ({}, (), ())


def test_configuration_template_and_instructions_are_read() -> None:
    files = {
        PATH: OWN,
        "mine.j2": b"\xef\xbb\xbfCaf\xc3\xa9",
        "AGENTS.md": b"Be exact.",
        ".github/copilot-instructions.md": b"",
        ".github/instructions/py.instructions.md": b'---\napplyTo: "**/*.py"\n---\nNo prints.',
        ".github/instructions/notes.md": b"not instructions",
    }
    texts = read(files, lambda config: config.with_overrides({"max_comments": 3}))
    assert (texts.config.max_comments, texts.templates) == (3, {"mine": "Café"})
    assert [(one.path, one.text, one.apply_to) for one in texts.instructions] == [
        ("AGENTS.md", "Be exact.", ("**",)),
        (".github/instructions/py.instructions.md", "No prints.", ("**/*.py",)),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({PATH: b"version: 2\n"}, r"\.github/hunkwise\.yml:1"),
        (
            {PATH: OWN},
            r"names the template mine\.j2, which is not in the base .* add the template there first",
        ),
        ({PATH: OWN, "mine.j2": b"x" * 70_000}, r"mine\.j2 is larger than 65,536 bytes: shorten"),
        ({PATH: OWN, "mine.j2": b"caf\xe9"}, r"mine\.j2 is not UTF-8 at byte 3: save"),
        (
            {PATH: b"version: 1\nprompts: [{name: docs, min-severity: high}]"},
            r"\(one of them is in the built-in prompt docs\)",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(files: dict[str, bytes], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(files)


FRONT = b"---\ncategories: [locks]\nmin-severity: medium\ntools: []\n---\nReview {{ prompt.name }}."
PACK = b"""version: 1
prompts:
  - {name: mine, template: mine.j2, min-severity: high}
  - tests
partials: {severity: partials/severity.j2, part: partials/part.j2}
"""
PARTIALS = {"partials/severity.j2": b"---\nnot front matter", "partials/part.j2": b"p"}


def test_front_matter_fills_in_what_the_configuration_leaves_out() -> None:
    texts = read({PATH: PACK, "mine.j2": FRONT, **PARTIALS})
    mine, tests, *stages = texts.config.prompts
    assert (mine.categories, mine.min_severity, mine.tools) == (("locks",), Severity.HIGH, ())
    assert tests == PromptSettings(name="tests").under(built_in_fronts()["tests"])
    assert tests.max_severity is Severity.MEDIUM
    assert [stage.name for stage in stages] == list(STAGE_PROMPTS)
    assert texts.templates == {
        "mine": "{#\n\n\n\n\n#}Review {{ prompt.name }}.",
        "partials/severity": "---\nnot front matter",
        "partials/part": "p",
    }


def test_a_template_of_ones_own_takes_nothing_from_the_built_in_front_matter() -> None:
    config = b"version: 1\nprompts: [{name: docs, template: mine.j2}, {name: verify, template: mine.j2}]"
    prompts = read({PATH: config, "mine.j2": b"x"}).config.prompts
    assert prompts[:2] == (
        PromptSettings(name="docs", template="mine.j2"),
        PromptSettings(name="verify", template="mine.j2"),
    )
    assert prompts[2].name == "summary"


def test_every_prompt_that_a_run_chooses_has_its_front_matter() -> None:
    texts = read({PATH: PACK, **PARTIALS}, lambda config: config.with_overrides({"prompts": ("docs",)}))
    assert texts.config.prompts[0].max_severity is Severity.MEDIUM
    assert [prompt.name for prompt in texts.config.prompts] == ["docs", *STAGE_PROMPTS]


def test_the_faults_of_all_templates_are_told_together() -> None:
    with pytest.raises(SettingsError) as caught:
        read({PATH: PACK, "mine.j2": b"---\ntool: []\n---\n", "partials/part.j2": b"\xff"})
    assert caught.value.faults == (
        'mine.j2:2: unknown key "tool"; did you mean "tools"?',
        'The partial "severity" names the template partials/severity.j2, which is not in the base of the change:'
        " correct the path, or add the template there first.",
        "partials/part.j2 is not UTF-8 at byte 0: save the template as UTF-8.",
    )


def test_a_range_of_severities_that_front_matter_and_entry_make_together_is_checked() -> None:
    files = {PATH: OWN + b"    min-severity: high\n", "mine.j2": b"---\nmax-severity: low\n---\n"}
    with pytest.raises(SettingsError) as caught:
        read(files)
    assert caught.value.faults == (
        'The prompt "mine" has "min-severity" high and "max-severity" low (one of them is in mine.j2): set one'
        " of them for this prompt in the configuration.",
    )


def test_a_prompt_that_can_find_nothing_is_told() -> None:
    assert read({PATH: b"version: 1\nmin-severity: high\nprompts: [docs, review]"}).notes == (
        'The prompt "docs" can find nothing: its findings are at most medium, and those below high are left out.',
    )


def test_the_default_configuration_asks_for_nothing_more() -> None:
    commit = FakeCommit({})
    read_base_texts(commit, PATH, lambda config: config)
    certain = [PATH, *INSTRUCTION_FILES, INSTRUCTION_FOLDER, ATTRIBUTES]
    assert sorted(commit.asked) == sorted([*certain, *([PATH] * 2), *NEAR_PATHS])


NEAR = "Found {}, which is not read: rename it to .github/hunkwise.yml."


@pytest.mark.parametrize("path", NEAR_PATHS)
def test_file_that_is_probably_meant_is_named_where_there_is_no_configuration(path: str) -> None:
    texts = read({path: b"version: 1\nfail-on: high\n"})
    assert (texts.config.fail_on, texts.found, texts.warnings) == (None, False, (NEAR.format(path),))
    assert read({path: b"version: 1\n", PATH: b"version: 1\n"}).warnings == ()
    far = prefetch(FakeCommit({path: b"version: 1\n"}), PATH)
    assert read_base_texts(far, PATH, lambda config: config).warnings == texts.warnings


@pytest.mark.parametrize(
    ("path", "files", "fault"),
    [
        (
            ".github/hunkwize.yml",
            [PATH],
            f'There is no .github/hunkwize.yml in the working tree: correct the input "config"; did you'
            f' mean "{PATH}"?',
        ),
        (
            "ci/reviews.yml",
            ["ci/review.yml", PATH],
            'There is no ci/reviews.yml in the working tree: correct the input "config"; did you mean'
            ' "ci/review.yml"?',
        ),
        (
            "other.yml",
            [],
            'There is no other.yml in the working tree: correct the input "config".',
        ),
        ("ci", ["ci/a.yml"], "ci is a folder in the working tree: the configuration must be a file."),
        (PATH, [f"{PATH}/x"], f"{PATH} is a folder in the working tree: the configuration must be a file."),
    ],
)
def test_named_configuration_must_be_a_file_that_is_there(path: str, files: list[str], fault: str) -> None:
    commit = FakeCommit(dict.fromkeys(files, b"version: 1\n"))
    with pytest.raises(SettingsError) as caught:
        read_base_texts(commit, path, lambda config: config, "the working tree")
    assert caught.value.faults == (fault,)


def test_a_configuration_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(GitHubError, match="away"):
        read({}, failing={PATH: AWAY})


@pytest.mark.parametrize("path", [PATH, "mine.j2"])
def test_what_is_too_large_is_not_taken_for_what_is_not_there(path: str) -> None:
    with pytest.raises(
        SettingsError, match=f"'{path}' has more than 2,000,000 bytes.* Shorten it in the base"
    ):
        read({PATH: OWN, "mine.j2": b"x"}, failing={path: OversizeError(path, 2_000_000)})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AWAY, "GitHub is away."),
        (
            OversizeError("AGENTS.md", 2_000_000),
            "'AGENTS.md' has more than 2,000,000 bytes, and was not read.",
        ),
    ],
)
def test_instructions_that_cannot_be_read_cost_a_note(error: Error, said: str) -> None:
    texts = read({PATH: b"version: 1\n"}, failing={"AGENTS.md": error})
    assert texts.instructions == ()
    assert texts.notes == (f"The repository's instructions for reviewers could not be read: {said}",)


def test_instructions_of_which_a_part_is_read_are_named() -> None:
    texts = read({"AGENTS.md": b"x" * (MAX_TEXT + 1), ".github/copilot-instructions.md": b"y" * MAX_TEXT})
    assert [len(one.text) for one in texts.instructions] == [MAX_TEXT, MAX_TEXT]
    assert texts.notes == ("Of AGENTS.md the first 100,000 of 100,001 bytes were read.",)


FOLDER = ".github/instructions"
ALL = b"---\napplyTo: '**'\n---\nText"
REFUSED = GitHubError(GitHubErrorKind.FORBIDDEN, "GraphQL is refused.")


@dataclass(frozen=True)
class OneByOne(FakeCommit):
    """A base of which many files at once tell nothing, or raise."""

    refused: bool = False

    def read_many(self, paths: Sequence[str]) -> Known:
        if self.refused:
            raise REFUSED
        return {}


@dataclass(frozen=True)
class Folders(FakeCommit):
    """A base whose folders are listed as git lists them."""

    def list(self, path: str) -> tuple[str, ...] | None:
        rest = [name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/")]
        return tuple(dict.fromkeys(name.partition("/")[0] + "/" * ("/" in name) for name in rest)) or None


def found(base: FakeCommit) -> tuple[list[str], tuple[str, ...]]:
    with ThreadPoolExecutor(2) as pool:
        instructions, notes = instructions_of(base, pool)
    return [one.path for one in instructions], notes


def test_folders_below_githubs_own_are_looked_into() -> None:
    base = Folders({f"{FOLDER}/deep/er/a.instructions.md": ALL, f"{FOLDER}/b.instructions.md": ALL})
    assert found(base) == ([f"{FOLDER}/b.instructions.md", f"{FOLDER}/deep/er/a.instructions.md"], ())


@pytest.mark.parametrize(
    ("files", "read", "note"),
    [
        (
            {f"{FOLDER}/{number}/a.instructions.md": ALL for number in range(MAX_FOLDERS + 5)},
            MAX_FOLDERS,
            f"Folders below {FOLDER} that were not looked into: 5.",
        ),
        (
            {f"{FOLDER}/{name}": ALL for name in (*map("{}.instructions.md".format, range(31)), "readme.md")},
            MAX_INSTRUCTION_FILES,
            f"Of 31 files in {FOLDER} {MAX_INSTRUCTION_FILES} were read.",
        ),
    ],
    ids=["folders", "files"],
)
def test_of_many_some_are_read_and_that_is_said(files: dict[str, bytes], read: int, note: str) -> None:
    paths, notes = found(Folders(files))
    assert (len(paths), notes) == (read, (note,))


@pytest.mark.parametrize("refused", [False, True])
def test_files_that_many_at_once_do_not_tell_are_asked_for_one_by_one(refused: bool) -> None:
    base = OneByOne({"AGENTS.md": b"Be exact.", f"{FOLDER}/b.instructions.md": ALL}, refused=refused)
    assert found(base) == (["AGENTS.md", f"{FOLDER}/b.instructions.md"], ())


def test_nested_files_are_read_at_once_for_the_folders_of_the_files_at_the_head() -> None:
    files = {"src/AGENTS.md": b"Mind it.", "old/AGENTS.md": b"Moved.", "docs/AGENTS.md": b"Docs."}
    attributes = {"src/.gitattributes": b"*.sql linguist-generated\n", "docs/.gitattributes": b"* text\n"}
    base = FakeCommit({**files, **attributes})
    moved = changed("src/a/b.py", old_path="old/b.py")
    texts = read_folder_texts(base, [moved, changed("top.py")], instructions=True)
    assert texts.instructions == (Instructions("src/AGENTS.md", "Mind it.", ("src/**",)),)
    assert texts.attributes == {"src": "*.sql linguist-generated\n", "src/a": ""}
    assert texts.notes == ()
    assert base.asked == [f"{folder}/{name}" for folder in ("src", "src/a") for name in (AGENTS, ATTRIBUTES)]
    assert read_folder_texts(base, [changed("top.py")], instructions=True) == FolderTexts()


def test_without_instructions_the_attributes_alone_are_read() -> None:
    base = FakeCommit({"src/AGENTS.md": b"Mind it.", "src/.gitattributes": b"*.sql linguist-generated\n"})
    texts = read_folder_texts(base, [changed("src/a.py")], instructions=False)
    assert texts == FolderTexts(attributes={"src": "*.sql linguist-generated\n"})
    assert base.asked == ["src/.gitattributes"]


def test_of_nested_attributes_the_first_bytes_count() -> None:
    base = FakeCommit({"src/.gitattributes": b"#" * (MAX_TEXT + 1)})
    texts = read_folder_texts(base, [changed("src/a.py")], instructions=False)
    assert texts.attributes == {"src": "#" * MAX_TEXT}


def test_a_few_nested_files_that_nobody_knows_are_asked_for_and_the_others_named() -> None:
    base = OneByOne({"a/AGENTS.md": b"A.", "a/.gitattributes": b"* text\n"})
    texts = read_folder_texts(base, [changed("a/x")], instructions=True)
    assert [one.path for one in texts.instructions] == ["a/AGENTS.md"]
    assert (texts.attributes, texts.notes) == ({"a": "* text\n"}, ())
    notes = read_folder_texts(base, [changed(f"{name}/x") for name in "abcd"], instructions=True).notes
    assert notes == (
        "It is not known whether b/.gitattributes, c/AGENTS.md, c/.gitattributes and 2 more exist:"
        " they were not read.",
    )


@pytest.mark.parametrize(
    ("instructions", "names"), [(True, "AGENTS.md and .gitattributes"), (False, ".gitattributes")]
)
def test_nested_files_that_cannot_be_read_cost_a_note(instructions: bool, names: str) -> None:
    texts = read_folder_texts(OneByOne({}, refused=True), [changed("a/x")], instructions=instructions)
    assert texts == FolderTexts(
        notes=(f"{names} of the folders with changed files could not be read: GraphQL is refused.",)
    )


def test_folders_beyond_the_limit_are_counted() -> None:
    files = [changed(f"{number}/x") for number in range(MAX_NESTED + 1)]
    assert read_folder_texts(FakeCommit(), files, instructions=True).notes == (
        "AGENTS.md and .gitattributes of the folders with changed files:"
        f" {MAX_NESTED:,} of {MAX_NESTED + 1:,} folders were looked into.",
    )

"""The other pages agree with the code, and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from jinja2.filters import FILTERS
from scripts.record_terminal import COLUMNS, page_with_session

from hunkwise.arguments import build_parser
from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Severity
from hunkwise.domain.model import BUILT_IN_PROMPTS, PARTIALS
from hunkwise.domain.pull_request import Conversation, Instructions, PullRequest, Reply, Snapshot, Thread
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import MAX_TEMPLATE, built_in_fronts, read_base_texts
from hunkwise.flows.prompting import prompt_values
from hunkwise.plan.chunking import pack
from hunkwise.prompts.renderer import BASE, BUILT_IN, HOUSE, Renderer, built_in
from hunkwise.prompts.sandbox import sandbox
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.prompt_settings import (
    BudgetSettings,
    FrontMatter,
    PromptSettings,
)
from hunkwise.settings.sources import MAX_CHARACTERS, read_front_matter
from hunkwise.tracking.dismissal import Dismissal, dismissal
from tests.fakes.changes import FakeCommit
from tests.fakes.command_line import CommandLine
from tests.pages import (
    PAGES,
    ROOT,
    anchor,
    anchors,
    code_blocks,
    code_spans,
    page,
    prose,
    relative_links,
    table,
)
from tests.prompts.samples import context as sample
from tests.prompts.samples import context_for

CONFIGURATION, TEMPLATES = page("docs/configuration.md"), page("docs/templates.md")
DISMISSING = code_spans(page("docs/lifecycle.md").split("tries each. -->")[1].split("\n\n")[0])
FOR_USERS = [name for name in PAGES if name.startswith("docs/") and name != "docs/releasing.md"] + [
    "README.md"
]
"""Of the others the readers are developers, or want to see the proof of a guarantee."""
OF_DEVELOPERS = {"tests/"} | {
    name
    for folder in ("src/hunkwise", "tests", "scripts")
    for name in (
        *(path.name for path in (ROOT / folder).rglob("*.py")),
        *(f"hunkwise.{path.stem}" for path in (ROOT / folder).glob("*")),
    )
}
"""Names of files with code, and of modules by their first name, such as hunkwise.flows."""
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
HUNKWISE = re.compile(r"(?m)^(?:\w+=\S* )*(?:\S*/)?hunkwise ([^|>&\n]*)")
PATCH = b"@@ -1,2 +1,2 @@ CREATE TABLE account\n-id int,\n+id bigint,\n name text\n"
SETTINGS = prompt_values(
    PromptSettings(name="migrations", template="m.j2", paths=("db/**",), categories=("locks",)),
    Severity.MEDIUM,
)


def snapshot() -> Snapshot:
    changed = FileDiff("db/1.sql", FileStatus.MODIFIED, parse_hunks(PATCH), additions=1, deletions=1)
    other = FileDiff("app.py", FileStatus.ADDED)
    return Snapshot(
        PullRequest(
            "octo/repo", 12, "Widen ids", "They run out.", "octocat", "main", "a" * 40, "ids", "b" * 40
        ),
        (changed, other),
        (Thread("db/1.sql", 1, Side.RIGHT, "octocat", "This locks."),),
        (Instructions("AGENTS.md", "Be kind."),),
    )


def context(*, local: bool = False) -> dict[str, object]:
    shot = snapshot()
    (chunk,) = pack(shot.files[:1], 10_000)
    return context_for(shot, chunk, 1, SETTINGS, local=local)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_an_anchor(name: str) -> None:
    broken = []
    for link in relative_links(page(name)):
        path, _, wanted = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (wanted and wanted not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("The `--format` option, twice", "the---format-option-twice"),
        ("`pull_request_target`", "pull_request_target"),
        ("What is [sent](data.md) where?", "what-is-sent-where"),
        ("Über **alles**: 1.2 (neu)", "über-alles-12-neu"),
        ("C++ & C#", "c--c"),
    ],
)
def test_anchors_are_as_github_makes_them(heading: str, expected: str) -> None:
    assert anchor(heading) == expected


def test_headings_in_code_and_comments_have_no_anchor() -> None:
    text = "# Twice\n\n```sh\n# Comment\n```\n<!--\n# Hidden\n-->\n## Twice\n"
    assert anchors(text) == {"twice", "twice-1"}


def test_the_index_has_every_page_and_every_example_workflow() -> None:
    linked = {
        (ROOT / "docs" / link.partition("#")[0]).resolve() for link in relative_links(page("docs/README.md"))
    }
    files = [*(ROOT / "docs").glob("*.md"), *(ROOT / "examples" / "workflows").glob("*.yml")]
    assert {path for path in files if path.name != "README.md"} - linked == set()


@pytest.mark.parametrize("name", FOR_USERS)
def test_a_page_for_users_names_no_module_and_no_test(name: str) -> None:
    assert set(re.findall(r"[\w.]+\.py\b|hunkwise\.\w+|\btests/", prose(page(name)))) & OF_DEVELOPERS == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_is_one(name: str) -> None:
    parser = build_parser()
    for line in HUNKWISE.findall("\n".join(code_blocks(page(name), "sh"))):
        try:
            parser.parse_args(shlex.split(re.sub("…|\\\\$", "", line), comments=True))
        except (SystemExit, SettingsError) as error:
            pytest.fail(f"{name}: {line}: {error}")


@pytest.mark.parametrize("name", PAGES)
def test_every_target_of_make_is_in_the_makefile(name: str) -> None:
    named = re.findall(r"(?m)(?:`|^)make (?:-C \S+ )?([a-z-]+)", page(name))
    assert set(named) - set(TARGETS) == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_in_full_is_there(name: str) -> None:
    named = re.findall(r"`((?:src|tests|examples|docs)/[\w./-]+)`", page(name))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_terminal_session_is_what_the_commands_print(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()

    def run(arguments: Sequence[str], folder: Path) -> str:
        printed = CommandLine(folder, tmp_path / "home", {"COLUMNS": COLUMNS}).run(*arguments)
        assert printed.code == 0
        return printed.errors + printed.out

    text = page("docs/reviewing.md")
    assert page_with_session(text, folder, run) == text, "run `make docs`"


def test_the_configuration_for_editors_is_valid() -> None:
    (text,) = code_blocks(CONFIGURATION, "yaml")
    assert parse_config(text.encode(), path=".github/hunkwise.yml") == Config()


@pytest.mark.parametrize("local", [False, True])
def test_the_example_template_renders(local: bool) -> None:
    template = code_blocks(TEMPLATES, "jinja")[0]
    text = Renderer({"migrations": template}).render("migrations", context(local=local))
    assert "R1 + id bigint," in text
    assert "> This locks." in text
    assert "> Be kind." in text
    assert "app.py" in text
    assert ("> Widen ids" in text) is not local


def test_the_example_of_extending_renders_as_it_is_told() -> None:
    _, template, partial = code_blocks(TEMPLATES, "jinja")
    configuration = code_blocks(TEMPLATES, "yaml")[1]
    base = {
        ".github/hunkwise.yml": configuration.encode(),
        ".github/hunkwise/review.md.j2": template.encode(),
        ".github/hunkwise/severity.md.j2": partial.encode(),
    }
    texts = read_base_texts(FakeCommit(base), ".github/hunkwise.yml", lambda config: config)
    assert texts.config.prompts[0].categories[0] == "money"
    renderer = Renderer(texts.templates, paths=texts.config.own_files)
    review, tests = (renderer.render(name, context()) for name in ("review", "tests"))
    assert "in this order\n\n0. **Money**: amounts" in review
    assert "1. **Wrong results**" in review
    for text in (review, tests):
        assert "take the lower one." in text
        assert "Whatever changes an amount of money is at least `high`" in text


def test_the_example_of_front_matter_is_valid() -> None:
    matter = code_blocks(TEMPLATES, "yaml")[0]
    front, _ = read_front_matter(matter, "x")
    assert front.model_fields_set == FrontMatter.model_fields.keys() - {"max_severity"}


def test_the_built_in_prompts_are_told_with_their_severities() -> None:
    rows = table(TEMPLATES, "Prompt")
    assert [row[0] for row in rows] == [f"`{name}`" for name in BUILT_IN]
    most = {name: front.max_severity or Severity.CRITICAL for name, front in built_in_fronts().items()}
    told = {code_spans(row[0])[0]: row[2] for row in rows if len(row) > 2 and row[2]}
    assert told == {name: most[name].label for name in BUILT_IN_PROMPTS}


def test_the_budget_of_the_built_in_prompts_is_told() -> None:
    assert {built_in_fronts()[name].chunk_budget for name in BUILT_IN_PROMPTS} == {
        BudgetSettings(max_model_calls=25)
    }
    assert "The built-in prompts have `chunk-budget: {max-model-calls: 25}`" in TEMPLATES


def test_the_blocks_and_partials_that_are_told_are_there() -> None:
    environment = sandbox(built_in())
    blocks = [code_spans(row[0])[0] for row in table(TEMPLATES, "Block")]
    assert blocks == list(environment.get_template(HOUSE + BASE).blocks)
    assert [code_spans(row[0])[0] for row in table(TEMPLATES, "Partial")] == list(PARTIALS)


def test_the_bounds_of_a_template_are_told() -> None:
    assert f"{MAX_TEMPLATE:,} bytes, its front matter {MAX_CHARACTERS:,} characters" in TEMPLATES


@pytest.mark.parametrize("row", table(TEMPLATES, "Template"))
def test_the_names_of_the_prompts_that_come_later_are_told(row: list[str]) -> None:
    shared = sample("review").keys()
    for name in code_spans(row[0]):
        of_its_own = {key: value for key, value in sample(name).items() if key not in shared}
        assert set(code_spans(row[1])) == names(of_its_own)


def names(value: object) -> set[str]:
    """All keys at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


def test_the_context_is_told_name_by_name() -> None:
    rows = table(TEMPLATES, "Name")
    given = context()
    assert [code_spans(row[0])[0] for row in rows] == sorted(given, key=[c[0].strip("`") for c in rows].index)
    for row in rows:
        told = set(code_spans(row[1])) - {"none", "owner/name", "+", "-"}
        assert told == names(given[code_spans(row[0])[0]])


def test_the_filters_that_are_told_are_those_that_compile() -> None:
    lines = TEMPLATES.split("`abs`")[1].split("A template has")[0]
    told = {"abs", *code_spans(lines)}
    probe = " ".join(f"{{{{ 1 | {name} }}}}" for name in sorted(told))
    Renderer({"probe": probe}).check("probe")
    others = sorted(FILTERS.keys() - told)
    assert [name for name in others if compiles(f"{{{{ 1 | {name} }}}}")] == []


def compiles(template: str) -> bool:
    try:
        Renderer({"probe": template}).check("probe")
    except SettingsError:
        return False
    return True


def dismissed_by(words: str) -> Dismissal | None:
    """What becomes of our thread when a person with write access answers with these words."""
    answered = Thread(
        "a.py", 1, Side.RIGHT, "us", "A finding.", ours=True, replies=(Reply("mona", words, trusted=True),)
    )
    return dismissal(answered, Conversation(viewer="us", threads=(answered,), writers=frozenset({"mona"})))


@pytest.mark.parametrize("words", DISMISSING)
def test_the_words_that_are_told_dismiss_a_finding(words: str) -> None:
    assert dismissed_by(words) is Dismissal.TRUSTED
    assert dismissed_by(f"{words}: we know") is (None if words.startswith("/") else Dismissal.TRUSTED)
    assert dismissed_by(f"Is it {words}?") is None


def test_no_page_has_a_trailing_blank_or_a_tab() -> None:
    assert [name for name in PAGES if re.search(r"[ \t]$|\t", page(name), re.MULTILINE)] == []

"""Tests the configuration file: the settings, and the exact text of every error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.errors import SettingsError
from hunkwise.settings.audit_settings import AuditPrompt, AuditSettings, WeekSettings
from hunkwise.settings.automatic_settings import AutomaticSettings, LabelSettings
from hunkwise.settings.config import Config, parse_config, parse_overrides
from hunkwise.settings.inputs import KNOWN_INPUTS, SHARED_INPUTS, read_inputs
from hunkwise.settings.prompt_settings import (
    BudgetSettings,
    CommandSettings,
    ContextSettings,
    FrontMatter,
    PromptSettings,
)

PATH = ".github/hunkwise.yml"
FULL = """\
version: 1
models: [claude-sonnet-4, gpt-5]
partials: {severity: .github/hunkwise/severity.md.j2}
max-credits: 12.5
verify: strict
verify-model: gpt-5-mini
verify-budget: {max-model-calls: 20, max-tokens: none}
summary: full
summary-model: gpt-5-mini
context: {threads: false, linked-issues: false, size: 0}
fail-on: high
request-changes-on: none
min-severity: medium
max-comments: 10
min-coverage: 90
deadline: 20
max-model-calls: 50
max-tokens: none
dry-run: true
approve: true
upload-sarif: true
parallel: 4
chunk-size: 4000
ignore: ["**/generated/**", "*.lock"]
paths:
  - src/**
audit:
  prompts: [audit, migrations]
  paths: [src/**]
  ignore: ["!src/legacy/**"]
  min-severity: high
  max-model-calls: 40
  max-credits: 5
  week: {max-model-calls: 100, max-credits: none}
  again-after: 30
  notify-on: none
  issue: What the audit found
  risk: {src/auth/**: 3, src/old/**: 0.5}
commands:
  author: [explain, help]
automatic:
  drafts: true
  skip-authors: ["renovate*"]
  skip-titles: ["[skip review]"]
  labels: {only: [review], skip: [no-review]}
prompts:
  - review
  - name: migrations
    template: .github/hunkwise/migrations.md.j2
    paths: ["db/migrations/**"]
    min-severity: medium
    max-severity: high
    description: What locks a large table.
    categories: [locks, data-loss]
    budget: {max-credits: 3}
    chunk-budget: {max-model-calls: 5}
    tools: [repo_read]
"""
NO_BUDGET = {"max_model_calls": None, "max_tokens": None, "max_credits": None}


def parse(text: str) -> Config:
    return parse_config(text.encode(), path=PATH)


def faults_of(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    return [fault.removeprefix(PATH + ":") for fault in caught.value.faults]


def test_only_version_gives_the_defaults() -> None:
    assert parse("version: 1") == Config()


def test_defaults_are_as_documented() -> None:
    assert Config().model_dump() == {
        "version": 1,
        "model": None,
        "models": (),
        "prompts": (
            {
                "name": "review",
                "template": None,
                "description": "",
                "paths": (),
                "min_severity": None,
                "min_confidence": None,
                "max_severity": None,
                "categories": (),
                "budget": NO_BUDGET,
                "chunk_budget": NO_BUDGET,
                "tools": ("repo_read", "repo_search", "repo_list"),
            },
        ),
        "partials": {},
        "ignore": (),
        "paths": (),
        "min_severity": Severity.LOW,
        "min_confidence": 0.55,
        "fail_on": None,
        "request_changes_on": None,
        "approve": False,
        "max_comments": 30,
        "min_coverage": 0,
        "deadline": 15.0,
        "max_model_calls": 200,
        "max_tokens": None,
        "max_credits": None,
        "verify": "on",
        "verify_model": None,
        "verify_budget": NO_BUDGET,
        "summary": "short",
        "summary_model": None,
        "prompt_for_agents": True,
        "context": {
            "enclosing": True,
            "instructions": True,
            "description": True,
            "linked_issues": True,
            "threads": True,
            "files": True,
            "size": 24_000,
        },
        "dry_run": False,
        "upload_sarif": False,
        "parallel": 8,
        "chunk_size": 64_000,
        "audit": {
            "prompts": ("audit",),
            "paths": (),
            "ignore": (),
            "min_severity": Severity.MEDIUM,
            "max_model_calls": 60,
            "max_credits": None,
            "week": {"max_model_calls": None, "max_credits": None},
            "again_after": 180,
            "notify_on": Severity.HIGH,
            "issue": "hunkwise audit",
            "risk": {},
        },
        "commands": {"author": ()},
        "automatic": {
            "drafts": False,
            "skip_authors": (),
            "skip_titles": (),
            "labels": {"only": (), "skip": ()},
        },
    }


def test_all_keys_can_be_set() -> None:
    assert parse(FULL) == Config(
        models=("claude-sonnet-4", "gpt-5"),
        partials={"severity": ".github/hunkwise/severity.md.j2"},
        max_credits=12.5,
        verify="strict",
        verify_model="gpt-5-mini",
        verify_budget=BudgetSettings(max_model_calls=20),
        summary="full",
        summary_model="gpt-5-mini",
        context=ContextSettings(threads=False, linked_issues=False, size=0),
        fail_on=Severity.HIGH,
        min_severity=Severity.MEDIUM,
        max_comments=10,
        min_coverage=90,
        deadline=20.0,
        max_model_calls=50,
        dry_run=True,
        approve=True,
        upload_sarif=True,
        parallel=4,
        chunk_size=4000,
        audit=AuditSettings(
            prompts=(AuditPrompt(name="audit"), AuditPrompt(name="migrations")),
            paths=("src/**",),
            ignore=("!src/legacy/**",),
            min_severity=Severity.HIGH,
            max_model_calls=40,
            max_credits=5.0,
            week=WeekSettings(max_model_calls=100),
            again_after=30,
            notify_on=None,
            issue="What the audit found",
            risk={"src/auth/**": 3.0, "src/old/**": 0.5},
        ),
        commands=CommandSettings(author=("explain", "help")),
        automatic=AutomaticSettings(
            drafts=True,
            skip_authors=("renovate*",),
            skip_titles=("[skip review]",),
            labels=LabelSettings(only=("review",), skip=("no-review",)),
        ),
        ignore=("**/generated/**", "*.lock"),
        paths=("src/**",),
        prompts=(
            PromptSettings(name="review"),
            PromptSettings(
                name="migrations",
                template=".github/hunkwise/migrations.md.j2",
                paths=("db/migrations/**",),
                min_severity=Severity.MEDIUM,
                max_severity=Severity.HIGH,
                description="What locks a large table.",
                categories=("locks", "data-loss"),
                budget=BudgetSettings(max_credits=3.0),
                chunk_budget=BudgetSettings(max_model_calls=5),
                tools=("repo_read",),
            ),
        ),
    )


def test_built_in_prompt_may_have_a_user_template() -> None:
    assert parse("version: 1\nprompts: [{name: review, template: r.j2}]").prompts[0].template == "r.j2"


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().deadline = 1.0


WRONG = [
    ("", '1: "version" is missing; add the line "version: 1" at the top'),
    ("fail-on: high", '1: "version" is missing; add the line "version: 1" at the top'),
    ("version: 2", '1: "version" must be 1, the only version that this hunkwise reads, not 2'),
    ("version: '1'", '1: "version" must be 1, the only version that this hunkwise reads, not "1"'),
    ("version: true", '1: "version" must be 1, the only version that this hunkwise reads, not true'),
    ("version: 1.0", '1: "version" must be 1, the only version that this hunkwise reads, not 1.0'),
    ("[version]", '1: the file must be keys and values, such as "version: 1"'),
    ("version", '1: the file must be keys and values, such as "version: 1"'),
    ("version: 1\nversion: 1", '2: "version" is on line 1 already; keep one of them'),
    ("version: [", "1: not valid YAML: expected the node content, but found '<stream end>'"),
]
GATE = "none, low, medium, high or critical"
LEVEL = "low, medium, high or critical"
MODEL = "a model id without spaces, of up to 200 characters"
MODELS = "a list of up to 8 model ids without spaces, of up to 200 characters"
GLOBS = 'a list of globs, such as ["src/**"]'
PROMPTS = 'a list of 1 to 32 prompts, such as "- name: review"'
FILE = "the path of a file in the repository, relative to its root, without .."
NAME = "a name of lower-case letters, digits, - and _, of up to 64 characters"
CATEGORIES = "a list of up to 32 names of lower-case letters, digits, - and _, of up to 40 characters"
TOOLS = "a list of repo_read, repo_search and repo_list"
AUTHOR = "a list of review, ask, explain, suggest, help and config"
BUDGET = 'keys and values, such as "max-model-calls: 20"'
AUDIT_PROMPTS = 'a list of 1 to 32 prompts, such as "- name: audit"'
UNKNOWN_PROMPT = (
    '"prompts" of the audit names "%s", and there is no such prompt; there is review, security, tests, performance,'
    " api, docs or audit"
)
RISK = 'globs with numbers above 0 and up to 1000, such as {"src/auth/**": 3}'
BUILT_IN = (
    "and only review, security, tests, performance, api, docs, audit, verify, summary, answer and explain are"
    " built in"
)
WRONG_KEYS = [
    ("fail_on: high", 'unknown key "fail_on"; did you mean "fail-on"?'),
    ("frobnicate: 1", 'unknown key "frobnicate"; remove it'),
    ("fail-on:", f'"fail-on" has no value; write {GATE}, or remove the line'),
    ("fail-on: hihg", f'"fail-on" must be {GATE}, not "hihg"; did you mean "high"?'),
    ("fail-on: 3", f'"fail-on" must be {GATE}, not 3'),
    ("request-changes-on: [high]", f'"request-changes-on" must be {GATE}, not a list'),
    ("min-severity: none", f'"min-severity" must be {LEVEL}, not "none"'),
    ("max-comments: 501", '"max-comments" must be a whole number from 0 to 500, not 501'),
    ("max-comments: '5'", '"max-comments" must be a whole number from 0 to 500, not "5"'),
    ("max-comments: 0.5", '"max-comments" must be a whole number from 0 to 500, not 0.5'),
    ("max-comments: true", '"max-comments" must be a whole number from 0 to 500, not true'),
    ("min-coverage: 80%", '"min-coverage" must be a whole number from 0 to 100, not "80%"'),
    ("min-confidence: 1.01", '"min-confidence" must be a number from 0 to 1, not 1.01'),
    ("min-confidence: high", '"min-confidence" must be a number from 0 to 1, not "high"'),
    ("min-confidence: true", '"min-confidence" must be a number from 0 to 1, not true'),
    (
        "prompts: [{name: review, min-confidence: -1}]",
        '"min-confidence" must be a number from 0 to 1, not -1',
    ),
    ("deadline: 0", '"deadline" must be a number of minutes above 0 and up to 360, not 0'),
    ("deadline: 1e400", '"deadline" must be a number of minutes above 0 and up to 360, not inf'),
    ("max-model-calls: 0", '"max-model-calls" must be a whole number from 1 to 10000, not 0'),
    ("max-tokens: 0", '"max-tokens" must be a whole number from 1 to 1000000000, or none, not 0'),
    ("dry-run: yes", '"dry-run" must be true or false, not "yes"'),
    ("model: a b", f'"model" must be {MODEL}, not "a b"'),
    ("parallel: 33", '"parallel" must be a whole number from 1 to 32, not 33'),
    ("chunk-size: 100", '"chunk-size" must be a whole number from 4000 to 400000, not 100'),
    ("ignore: x", f'"ignore" must be {GLOBS}, not "x"'),
    ("ignore: {}", f'"ignore" must be {GLOBS}, not an empty mapping'),
    ("paths: [a, 1]", f'"paths" must be {GLOBS}, and holds 1'),
    ("paths: ['']", f'"paths" must be {GLOBS}, and holds ""'),
    ('paths: ["a\\nb"]', f'"paths" must be {GLOBS}, and holds "a\\x0ab"'),
    ("prompts: []", f'"prompts" must be {PROMPTS}, not an empty list'),
    ("prompts: review", f'"prompts" must be {PROMPTS}, not "review"'),
    ("prompts: [5]", f'"prompts" must be {PROMPTS}, not 5'),
    ("prompts: [revew]", f'the prompt "revew" has no "template", {BUILT_IN}; did you mean "review"?'),
    ("prompts: [{name: mine}]", f'the prompt "mine" has no "template", {BUILT_IN}; name its template'),
    ("prompts: [{template: a.j2}]", f'a prompt has no "name"; give it {NAME}'),
    ("prompts: [{name: A, template: a}]", f'"name" must be {NAME}, not "A"'),
    ("prompts: [{name: a, temlate: b}]", 'unknown key "temlate"; did you mean "template"?'),
    ("prompts: [review, review]", 'the prompt "review" is in the list twice; give one another name'),
    ("models: [a b]", f'"models" must be {MODELS}, and holds "a b"'),
    ("models: [1]", f'"models" must be {MODELS}, and holds 1'),
    ("partials: {sevrity: a}", 'unknown key "sevrity"; did you mean "severity"?'),
    ("partials: {severity: /a}", f'"severity" must be {FILE}, not "/a"'),
    ("partials: {severity: }", f'"severity" has no value; write {FILE}, or remove the line'),
    (
        "partials: [a]",
        '"partials" must be keys and values, such as "severity: .github/hunkwise/severity.md.j2", not a list',
    ),
    ("verify: true", '"verify" must be off, on or strict, not true'),
    ("verify: of", '"verify" must be off, on or strict, not "of"; did you mean "off"?'),
    ("summary: shrot", '"summary" must be off, short or full, not "shrot"; did you mean "short"?'),
    ("verify-model: a b", f'"verify-model" must be {MODEL}, not "a b"'),
    ("verify-budget: 5", f'"verify-budget" must be {BUDGET}, not 5'),
    ("verify-budget: {max-calls: 5}", 'unknown key "max-calls"; did you mean "max-model-calls"?'),
    (
        "verify-budget: {max-model-calls: 0}",
        '"max-model-calls" must be a whole number from 1 to 10000, not 0',
    ),
    ("verify-budget: {config: 1}", 'unknown key "config"; remove it'),
    ("commands: on", '"commands" must be keys and values, such as "author: [explain]", not "on"'),
    ("commands: {authors: [ask]}", 'unknown key "authors"; did you mean "author"?'),
    ("commands: {author: explain}", f'"author" must be {AUTHOR}, not "explain"; did you mean "explain"?'),
    ("commands: {author: [dismiss]}", f'"author" must be {AUTHOR}, and holds "dismiss"'),
    ("commands: {author: [Help]}", f'"author" must be {AUTHOR}, and holds "Help"; did you mean "help"?'),
    ("commands: {author: [ask, 1]}", f'"author" must be {AUTHOR}, and holds 1'),
    ("commands: {author: }", f'"author" has no value; write {AUTHOR}, or remove the line'),
    ("context: off", '"context" must be keys and values, such as "threads: false", not "off"'),
    ("context: {threads: 1}", '"threads" must be true or false, not 1'),
    ("context: {size: -1}", '"size" must be a whole number from 0 to 200000, not -1'),
    ("context: {description: text}", '"description" must be true or false, not "text"'),
    ("context: {linked_issues: false}", 'unknown key "linked_issues"; did you mean "linked-issues"?'),
    ("max-credits: 0", '"max-credits" must be a number above 0 and up to 1000000, or none, not 0'),
    (
        "max-credits: 1e9",
        '"max-credits" must be a number above 0 and up to 1000000, or none, not 1000000000.0',
    ),
    (
        "prompts: [{name: review, min-severity: high, max-severity: low}]",
        '"min-severity" (high) is above "max-severity" (low); swap them',
    ),
    ("prompts: [{name: review, categories: [A b]}]", f'"categories" must be {CATEGORIES}, and holds "A b"'),
    (
        "prompts: [{name: review, tools: [repo-read]}]",
        f'"tools" must be {TOOLS}, and holds "repo-read"; did you mean "repo_read"?',
    ),
    (
        "prompts: [{name: review, tools: repo_read}]",
        f'"tools" must be {TOOLS}, not "repo_read"; did you mean "repo_read"?',
    ),
    ("prompts: [{name: review, chunk-budget: 3}]", f'"chunk-budget" must be {BUDGET}, not 3'),
    (
        "prompts: [{name: review, description: 5}]",
        '"description" must be text of up to 300 characters, not 5',
    ),
    ("audit: 40", '"audit" must be keys and values, such as "max-model-calls: 40", not 40'),
    ("audit: {max-calls: 5}", 'unknown key "max-calls"; did you mean "max-model-calls"?'),
    ("audit: {prompts: []}", f'"prompts" must be {AUDIT_PROMPTS}, not an empty list'),
    ("audit: {prompts: [Mine]}", f'"name" must be {NAME}, not "Mine"'),
    (
        "audit: {prompts: [docs, audit, docs]}",
        'the prompt "docs" is in the list twice; give one another name',
    ),
    (
        "audit: {prompts: [{name: own, tools: []}]}",
        f'the prompt "own" has no "template", {BUILT_IN}; name its template',
    ),
    ("audit: {prompts: [{name: verify, template: v.j2}]}", f"{UNKNOWN_PROMPT % 'verify'}."),
    ("audit: {prompts: [aduit]}", f'{UNKNOWN_PROMPT % "aduit"}; did you mean "audit"?'),
    ("audit: {prompts: [verify]}", f"{UNKNOWN_PROMPT % 'verify'}."),
    ("audit: {week: 5}", '"week" must be keys and values, such as "max-model-calls: 200", not 5'),
    ("audit: {week: {max-tokens: 5}}", 'unknown key "max-tokens"; remove it'),
    ("audit: {again-after: 0}", '"again-after" must be a whole number from 1 to 3650, not 0'),
    ("audit: {notify-on: hihg}", f'"notify-on" must be {GATE}, not "hihg"; did you mean "high"?'),
    ("audit: {issue: ' '}", '"issue" must be a title on one line, of up to 200 characters, not " "'),
    ("audit: {risk: [a]}", f'"risk" must be {RISK}, not a list'),
    ("audit: {risk: {a: 0}}", '"a" must be a number above 0 and up to 1000, not 0'),
    ("audit: {risk: {'': 1}}", 'unknown key ""; remove it'),
    ("prompts: [null]", f'"prompts" must be {PROMPTS}, not nothing'),
    ("ignore: [null]", f'"ignore" must be {GLOBS}, and holds nothing'),
] + [
    (f"prompts: [{{name: a, template: '{path}'}}]", f'"template" must be {FILE}, not "{path}"')
    for path in ["", "/etc/x", "../x", "a/../x", "./x", "a//x", "a\\x", "a/"]
]


@pytest.mark.parametrize(("text", "fault"), WRONG)
def test_invalid_file_has_one_error_with_line(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


@pytest.mark.parametrize(("text", "fault"), WRONG_KEYS)
def test_invalid_key_has_one_error_with_line(text: str, fault: str) -> None:
    assert faults_of(f"version: 1\n\n{text}") == [f"3: {fault}"]


ACCOUNT = "anyone who can change this file must not choose whose token is used"
ADDRESS = "anyone who can change this file must not choose where code and keys are sent"
RUN = "it belongs to one run"
REASONS = {
    "github-token": ACCOUNT,
    "copilot-token": ACCOUNT,
    "copilot-connection-token": ACCOUNT,
    "config": "it says where this file is",
    "pull-request": RUN,
    "full-review": RUN,
    "publish": RUN,
    **dict.fromkeys(("shards", "shard", "plan", "parts"), RUN),
}


@pytest.mark.parametrize("key", sorted(set(KNOWN_INPUTS) - set(SHARED_INPUTS) - {"prompts", "audit"}))
def test_keys_only_for_inputs_have_an_explanation(key: str) -> None:
    assert faults_of(f"version: 1\n{key}: x") == [
        f'2: "{key}" cannot be set here ({REASONS.get(key, ADDRESS)}); set it as an input in the workflow'
    ]


MANY_FAULTS = """\
fail_on: high
fail-on: &x hgih
prompts:
  - name: review
    path: [a]
  - revew
ignore: *x
deadline: 0
deadline: 1
"""


def test_all_faults_are_reported_in_file_order() -> None:
    assert faults_of(MANY_FAULTS) == [
        '1: "version" is missing; add the line "version: 1" at the top',
        '1: unknown key "fail_on"; did you mean "fail-on"?',
        "2: anchors (&name) are not allowed; remove it",
        '5: unknown key "path"; did you mean "paths"?',
        '6: the prompt "revew" has no "template", and only review, security, tests, performance, api,'
        ' docs, audit, verify, summary, answer and explain are built in; did you mean "review"?',
        "7: aliases (*name) are not allowed; write the value out",
        '9: "deadline" is on line 8 already; keep one of them',
    ]


def test_models_list_together_with_model_is_one_fault() -> None:
    assert faults_of("version: 1\nmodel: a\nmodels: [b]") == [
        '3: "model" and "models" are both set; keep "models" alone, its first one is asked first'
    ]


def test_front_matter_completes_the_entry() -> None:
    config = parse("version: 1\nprompts: [{name: review, tools: [], categories: [a]}, {name: verify}]")
    front = FrontMatter(description="said", categories=("b",), tools=("repo_read",))
    fronts = dict.fromkeys(("review", *STAGE_PROMPTS), front) | {"verify": FrontMatter()}
    review, verify, summary, answer, explain = config.completed(fronts).prompts
    assert (review.description, review.categories, review.tools) == ("said", ("a",), ())
    assert verify == PromptSettings(name="verify")
    assert (answer.tools, explain.tools) == (("repo_read",), ("repo_read",))
    assert (summary.name, summary.description, summary.template) == ("summary", "said", None)
    assert config.completed(fronts).stage("summary") == summary


def test_configuration_of_only_stages_runs_the_default_review() -> None:
    fronts = {name: FrontMatter(description=name) for name in ("review", *STAGE_PROMPTS)}
    completed = parse("version: 1\nprompts: [verify]").completed(fronts)
    assert [prompt.description for prompt in completed.prompts] == ["review", *STAGE_PROMPTS]
    assert [prompt.name for prompt in completed.reviewing] == ["review"]


def test_completed_configuration_can_be_overridden() -> None:
    names = [f"p{n}" for n in range(31)]
    listed = "".join(f"  - {{name: {name}, template: a.j2}}\n" for name in names)
    fronts = dict.fromkeys([*names, *STAGE_PROMPTS], FrontMatter())
    completed = parse(f"version: 1\nprompts:\n{listed}").completed(fronts)
    assert completed.with_overrides({"prompts": ("p1",)}).prompts[0].name == "p1"


def test_user_files_are_listed_by_name() -> None:
    assert parse(FULL).own_files == {
        "migrations": ".github/hunkwise/migrations.md.j2",
        "partials/severity": ".github/hunkwise/severity.md.j2",
    }


def test_number_of_listed_faults_is_limited() -> None:
    faults = faults_of("version: 1\n" + "".join(f"k{n}: 1\n" for n in range(100)))
    assert len(faults) == 31
    assert faults[-1] == " and 70 more faults"


@given(
    st.binary(max_size=80)
    | st.lists(st.sampled_from([*FULL.splitlines(), "- a", "  - b: 1"])).map(
        lambda lines: "\n".join(lines).encode()
    )
)
def test_any_bytes_are_a_configuration_or_settings_errors(raw: bytes) -> None:
    faults: tuple[str, ...] = ()
    try:
        parse_config(raw, path=PATH)
    except SettingsError as error:
        faults = error.faults
    assert all(fault.startswith(f"{PATH}:") and fault.isprintable() for fault in faults)


def test_inputs_override_the_file() -> None:
    variables = {
        "INPUT_GITHUB-TOKEN": "t",
        "INPUT_FAIL-ON": "none",
        "INPUT_DEADLINE": "3",
        "INPUT_MODEL": "other",
    }
    config = parse(FULL).with_overrides(read_inputs(variables).overrides())
    assert (config.fail_on, config.deadline, config.model) == (None, 3.0, "other")
    assert config.max_comments == 10


def test_inputs_cannot_enable_approval() -> None:
    inputs = read_inputs({"INPUT_GITHUB-TOKEN": "t", "INPUT_APPROVE": "true"})
    assert Config().with_overrides(inputs.overrides()).approve is False
    assert inputs.warnings == ('Input "approve" is unknown; it is not used.',)


def test_prompts_input_selects_configured_and_built_in_prompts() -> None:
    config = parse("version: 1\nprompts: [{name: mine, template: a.j2}, {name: other, template: b.j2}]")
    chosen = config.with_overrides({"prompts": ("other", "review")}).prompts
    assert chosen == (PromptSettings(name="other", template="b.j2"), PromptSettings(name="review"))


def test_unknown_prompts_are_an_error_with_suggestion() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(FULL).with_overrides({"prompts": ("migratons", "zzz")})
    known = "review, security, tests, performance, api, docs, audit, verify, summary, answer, explain or migrations"
    assert caught.value.faults == (
        f'"prompts" names "migratons", and there is no such prompt; there is {known};'
        ' did you mean "migrations"?',
        f'"prompts" names "zzz", and there is no such prompt; there is {known}.',
    )


def test_prompts_input_does_not_change_stages() -> None:
    config = parse("version: 1\nprompts: [review, {name: verify, template: v.j2}]")
    chosen = config.with_overrides({"prompts": ("security",)})
    assert [(prompt.name, prompt.template) for prompt in chosen.prompts] == [
        ("security", None),
        ("verify", "v.j2"),
    ]


@pytest.mark.parametrize(
    ("model", "models"), [("a", ("a",)), ("a,b", ("a", "b")), (None, ("x", "y"))], ids=["one", "two", "none"]
)
def test_model_input_may_list_several_and_overrides_the_file(
    model: str | None, models: tuple[str, ...]
) -> None:
    config = parse("version: 1\nmodels: [x, y]")
    overrides = parse_overrides({"model": model} if model else {})
    assert config.with_overrides(overrides).model_order == models


def test_audit_configuration_has_separate_prompts_and_limits() -> None:
    config = parse(FULL).for_audit()
    assert [(prompt.name, prompt.template) for prompt in config.prompts] == [
        ("audit", None),
        ("migrations", ".github/hunkwise/migrations.md.j2"),
    ]
    assert (config.min_severity, config.max_model_calls, config.max_credits) == (Severity.HIGH, 40, 5.0)
    assert config.ignore == ("**/generated/**", "*.lock", "!src/legacy/**")
    assert (config.fail_on, config.deadline, config.verify) == (Severity.HIGH, 20.0, "strict")


def test_audit_configuration_has_no_pull_request_settings() -> None:
    text = "version: 1\nsummary: full\napprove: true\nmin-coverage: 90\nrequest-changes-on: low"
    config = parse(text).for_audit(
        {"min_coverage": 100, "summary": "full", "request_changes_on": Severity.LOW}
    )
    assert (config.summary, config.approve, config.min_coverage, config.request_changes_on) == (
        "off",
        False,
        0,
        None,
    )


def test_inputs_override_audit_settings() -> None:
    overrides = parse_overrides(
        {"prompts": "review\nmigrations", "min-severity": "low", "max-model-calls": "7"}
    )
    config = parse(FULL).for_audit(overrides)
    assert [prompt.name for prompt in config.prompts] == ["review", "migrations"]
    assert (config.min_severity, config.max_model_calls, config.max_credits) == (Severity.LOW, 7, 5.0)


def test_stage_templates_of_the_file_apply_in_an_audit() -> None:
    config = parse("version: 1\nprompts: [review, {name: verify, template: v.j2}]").for_audit()
    assert [(prompt.name, prompt.template) for prompt in config.prompts] == [
        ("audit", None),
        ("verify", "v.j2"),
    ]


def test_audit_prompt_does_not_run_on_pull_requests() -> None:
    own = "prompts: [{name: old, template: old.j2}, {name: docs, paths: [a/]}, tests, security]"
    config = parse(f"version: 1\nprompts: [review, {{name: tests, paths: [b/]}}]\naudit: {{{own}}}")
    audited = config.for_audit()
    assert [(prompt.name, prompt.template, prompt.paths) for prompt in audited.prompts] == [
        ("old", "old.j2", ()),
        ("docs", None, ("a/",)),
        ("tests", None, ("b/",)),
        ("security", None, ()),
    ]
    assert (config.own_files, audited.own_files) == ({}, {"old": "old.j2"})
    assert [prompt.name for prompt in config.reviewing] == ["review", "tests"]
    chosen = config.for_audit({"prompts": ("old", "review")})
    assert [prompt.name for prompt in chosen.prompts] == ["old", "review"]
    listed = config.audit.model_dump(mode="json", by_alias=True)["prompts"]
    assert [each if isinstance(each, str) else each["name"] for each in listed] == [
        "old",
        "docs",
        "tests",
        "security",
    ]
    assert listed[2:] == ["tests", "security"]

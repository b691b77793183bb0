"""Tests inputs: valid values, and the exact text of every error."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.finding import Severity
from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditInputs, AuditStage
from hunkwise.settings.inputs import KNOWN_INPUTS, SHARED_INPUTS, Inputs, Provider, copilot_host, read_inputs
from hunkwise.settings.parsing import MAX_INPUT, MAX_UNKNOWN

TOKEN = "ghs_0123456789abcdefghij"


def environ(**inputs: str) -> dict[str, str]:
    """Returns the runner's variables for a github-token and these inputs."""
    values = {"github_token": TOKEN} | inputs
    return {f"INPUT_{name.upper().replace('_', '-')}": text for name, text in values.items()}


def faults_of(**inputs: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_inputs(environ(**inputs)).overrides()
    return list(caught.value.faults)


def test_only_token_is_required() -> None:
    assert read_inputs(environ()) == Inputs(github_token=TOKEN, copilot_token=TOKEN)


def test_empty_inputs_are_not_set() -> None:
    empty = dict.fromkeys((f"INPUT_{name.upper()}" for name in KNOWN_INPUTS), "")
    assert read_inputs(empty | environ()) == read_inputs(environ())


def test_all_inputs_are_parsed() -> None:
    inputs = read_inputs(
        environ(
            copilot_token="github_pat_abc",
            copilot_url="cli:4321, 127.0.0.1:4322\n[::1]:5,cli:4321",
            copilot_connection_token="c0nn",
            provider_type="azure",
            provider_base_url="https://Example.openai.azure.com/v1/",
            provider_api_key="k3y",
            provider_wire_api="responses",
            provider_azure_api_version="2024-10-21",
            model="my-model",
            config="./.github/other.yml",
            prompts="review\n\n  migrations \nreview\n",
            pull_request="17",
            min_severity="medium",
            min_confidence="0.7",
            fail_on="critical",
            request_changes_on="none",
            max_comments="0",
            min_coverage="100",
            deadline="2.5",
            max_model_calls="7",
            max_tokens="none",
            max_credits="0.5",
            verify="strict",
            summary="off",
            dry_run="true",
            upload_sarif="true",
            full_review="true",
        )
    )
    assert inputs == Inputs(
        github_token=TOKEN,
        copilot_token="github_pat_abc",
        copilot_urls=("cli:4321", "127.0.0.1:4322", "[::1]:5"),
        copilot_connection_token="c0nn",
        provider=Provider(
            "azure",
            "https://example.openai.azure.com/v1",
            "k3y",
            wire_api="responses",
            azure_api_version="2024-10-21",
        ),
        config_path=".github/other.yml",
        texts=inputs.texts,
        pull_request=17,
        full_review=True,
    )
    assert inputs.texts.keys() == {*SHARED_INPUTS, "prompts"}
    assert inputs.overrides() == {
        "model": "my-model",
        "models": (),
        "min_severity": Severity.MEDIUM,
        "min_confidence": 0.7,
        "fail_on": Severity.CRITICAL,
        "request_changes_on": None,
        "max_comments": 0,
        "min_coverage": 100,
        "deadline": 2.5,
        "max_model_calls": 7,
        "max_tokens": None,
        "max_credits": 0.5,
        "verify": "strict",
        "summary": "off",
        "dry_run": True,
        "upload_sarif": True,
        "prompts": ("review", "migrations"),
    }
    assert inputs.secrets == (TOKEN, "github_pat_abc", "c0nn", "k3y")


def test_underscores_are_dashes_and_dashes_have_precedence() -> None:
    variables = {
        "INPUT_GITHUB_TOKEN": " t1\n",
        "INPUT_MODEL": "m",
        "INPUT_FAIL_ON": "low",
        "INPUT_FAIL-ON": "high",
    }
    inputs = read_inputs(variables)
    assert (inputs.github_token, inputs.overrides()["fail_on"]) == ("t1", Severity.HIGH)
    assert inputs.warnings == ()


def test_tokens_of_the_runner_are_secrets() -> None:
    runner = {"ACTIONS_RUNTIME_TOKEN": "runtime", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "identity"}
    inputs = read_inputs({"INPUT_GITHUB-TOKEN": TOKEN, **runner})
    assert inputs.secrets == (TOKEN, "runtime", "identity")
    assert "runtime" not in repr(inputs)


def test_inputs_are_frozen_and_repr_has_no_secrets() -> None:
    inputs = read_inputs(environ(provider_base_url="https://x.example", provider_api_key="k3y", model="m"))
    assert TOKEN not in repr(inputs)
    assert "k3y" not in repr(inputs)
    with pytest.raises(FrozenInstanceError):
        inputs.full_review = True  # type: ignore[misc]  # raises, as tested here


GATE = "none, low, medium, high or critical"
MODELS = "a list of up to 8 model ids without spaces, of up to 200 characters"
TOKEN_COUNT = "a whole number from 1 to 1000000000, or none"
VALUES = [
    *(
        ("max_comments", text, f'Input "max-comments" must be a whole number from 0 to 500, not "{text}".')
        for text in ("-1", "501", "+5", "0.5", "٣")
    ),
    ("max_tokens", "nine", f'Input "max-tokens" must be {TOKEN_COUNT}, not "nine".'),
    ("max_tokens", "0", f'Input "max-tokens" must be {TOKEN_COUNT}, not "0".'),
    ("pull_request", "#5", 'Input "pull-request" must be a whole number from 1 to 999999999, not "#5".'),
    ("pull_request", "0", 'Input "pull-request" must be a whole number from 1 to 999999999, not "0".'),
    *(
        (
            "deadline",
            text,
            f'Input "deadline" must be a number of minutes above 0 and up to 360, not "{text}".',
        )
        for text in ("0", "361", "nan", "1e1")
    ),
    ("fail_on", "hgih", f'Input "fail-on" must be {GATE}, not "hgih"; did you mean "high"?'),
    *(
        ("min_confidence", text, f'Input "min-confidence" must be a number from 0 to 1, not "{text}".')
        for text in ("1.01", "-0.1", ".5", "55%")
    ),
    ("fail_on", "7", f'Input "fail-on" must be {GATE}, not "7".'),
    ("min_severity", "none", 'Input "min-severity" must be low, medium, high or critical, not "none".'),
    ("dry_run", "yes", 'Input "dry-run" must be true or false, not "yes".'),
    ("dry_run", "True", 'Input "dry-run" must be true or false, not "True"; did you mean "true"?'),
    ("full_review", "1", 'Input "full-review" must be true or false, not "1".'),
    ("model", "a b", 'Input "model" must be a model id without spaces, of up to 200 characters, not "a b".'),
    ("model", "a,b c", f'Input "model" must be {MODELS}, not "a,b c".'),
    ("model", "a,b,c,d,e,f,g,h,i", f'Input "model" must be {MODELS}, not "a,b,c,d,e,f,g,h,i".'),
]
PATHS = [
    (
        "config",
        path,
        'Input "config" must be the path of a file in the repository, relative to its root, with slashes and'
        f' without .., such as .github/hunkwise.yml, not "{shown}".',
    )
    for path, shown in [
        ("/etc/x", "/etc/x"),
        ("a/../b", "a/../b"),
        ("a//b", "a//b"),
        ("a\\b", "a\\b"),
        ("a\x00", "a\\x00"),
    ]
]
ADDRESSES = [
    ("[::1]", 'Input "copilot-url": "[::1]" has no port; write host:port, such as 127.0.0.1:4321.'),
    ("4321", 'Input "copilot-url": "4321" has no port; write host:port, such as 127.0.0.1:4321.'),
    (
        "http://x:1",
        'Input "copilot-url": "http://x:1" must be host:port without a scheme, such as 127.0.0.1:4321.',
    ),
    ("x:0", 'Input "copilot-url": "x:0" has a port that is not between 1 and 65535.'),
    ("x_!:9", 'Input "copilot-url": "x_!:9" has no valid host; write a host name or an IP address.'),
    (
        "1.2.3.400:9",
        'Input "copilot-url": "1.2.3.400:9" has no valid host; write a host name or an IP address.',
    ),
    (
        "::1:4321",
        'Input "copilot-url": "::1:4321" has no valid host and port; write them as example.com:4321, an IPv6'
        " address as [::1]:4321.",
    ),
    (" , ", 'Input "copilot-url" names no address; write host:port, such as 127.0.0.1:4321.'),
]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [*VALUES, *PATHS] + [("copilot_url", text, fault) for text, fault in ADDRESSES],
)
def test_invalid_input_has_one_error_with_hint(name: str, text: str, fault: str) -> None:
    assert faults_of(**{name: text}) == [fault]


URLS = [
    ("example.com/v1", "is not a URL; write one such as https://api.example.com/v1"),
    ("ftp://example.com", "must begin with https:// (or http:// within a private network)"),
    (
        "https://user:pa55@example.com",
        "must not hold a user name or password; leave out everything up to the @",
    ),
    ("https://example.com/v1?key=1", "must end with its path; leave out everything from the ? or # on"),
    (
        "https://example.com/a b",
        "holds a space or a character outside ASCII; remove it, or percent-encode it",
    ),
    ("https://exa mple.com/", "holds a space or a character outside ASCII; remove it, or percent-encode it"),
    ("https://-x.example", "has no valid host; write a host name or an IP address"),
    ("https://x.example:70000", "has a port that is not between 1 and 65535"),
    (
        "http://api.example.com/v1",
        'would send your code and key to "api.example.com" unencrypted; use https:// (http:// is taken for'
        " loopback and private names only)",
    ),
    (
        "http://169.254.169.254",
        'would send your code and key to "169.254.169.254" unencrypted; use https:// (http:// is taken for'
        " loopback and private names only)",
    ),
]


@pytest.mark.parametrize(("text", "fault"), URLS)
def test_invalid_base_url_is_an_error_without_the_value(text: str, fault: str) -> None:
    assert faults_of(provider_base_url=text, model="m") == [f'Input "provider-base-url" {fault}.']


@pytest.mark.parametrize("host", ["models", "models.internal", "10.0.0.8", "[fd00::1]"])
def test_unencrypted_private_provider_is_a_warning(host: str) -> None:
    inputs = read_inputs(environ(provider_base_url=f"http://{host}:8000/v1", model="m"))
    assert inputs.provider is not None
    assert inputs.provider.base_url == f"http://{host}:8000/v1"
    assert inputs.warnings == (
        f'Input "provider-base-url" sends your code and key to "{host.strip("[]")}" unencrypted;'
        " use https:// where you can.",
    )


@pytest.mark.parametrize("host", ["localhost:8000", "x.localhost", "127.0.0.2", "[::1]"])
def test_unencrypted_loopback_is_accepted(host: str) -> None:
    inputs = read_inputs(environ(provider_base_url=f"http://{host}/v1", model="m"))
    assert inputs.provider == Provider("openai", f"http://{host}/v1")
    assert (inputs.warnings, inputs.secrets) == ((), (TOKEN,))


def test_public_copilot_url_is_a_warning() -> None:
    assert read_inputs(environ(copilot_url="cli.example.com:4321")).warnings == (
        'Input "copilot-url": the connection to cli.example.com:4321 is not encrypted;'
        " use it within a private network only.",
    )


OWN = {"provider_base_url": "https://x.example", "model": "m"}
CLASSIC = (
    ' (ghp_…), which Copilot does not accept; use a fine-grained one with the permission "Copilot Requests", or'
    ' give the job "permissions: copilot-requests: write" and leave the input out.'
)


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        (
            {"provider_base_url": "https://x.example"},
            'Input "provider-base-url" needs "model"; set it to the id of a model of that provider.',
        ),
        (
            {"provider_api_key": "k"},
            'Input "provider-api-key" needs "provider-base-url"; set it to your provider\'s URL, or leave'
            ' "provider-api-key" out.',
        ),
        (
            {**OWN, "provider_azure_api_version": "2024-10-21"},
            'Input "provider-azure-api-version" is for Azure only; set "provider-type" to azure, or leave it out.',
        ),
        (
            {**OWN, "provider_type": "azure", "provider_azure_api_version": "a b"},
            'Input "provider-azure-api-version" must be a version such as 2024-10-21 or 2025-01-01-preview,'
            ' not "a b".',
        ),
        (
            {**OWN, "provider_type": "anthropic", "provider_wire_api": "responses"},
            'Input "provider-wire-api" is not for anthropic, which has one API only; leave it out.',
        ),
        (
            {**OWN, "provider_type": "open-ai"},
            'Input "provider-type" must be openai, azure or anthropic, not "open-ai"; did you mean "openai"?',
        ),
        (
            {"copilot_connection_token": "c"},
            'Input "copilot-connection-token" is for a CLI that already runs; set "copilot-url" to its'
            " host:port, or leave the token out (a CLI started here gets a random one).",
        ),
        ({"copilot_token": "ghp_abc"}, f'Input "copilot-token" is a classic personal access token{CLASSIC}'),
        (
            {"github_token": "ghp_abc"},
            f'Input "copilot-token" is not set, and "github-token" is a classic personal access token{CLASSIC}',
        ),
        (
            {"copilot_token": "two words"},
            'Input "copilot-token" holds a space, a line break or a character outside ASCII (value not shown);'
            " set it to the bare token.",
        ),
    ],
)
def test_conflicting_inputs_have_one_error(inputs: dict[str, str], fault: str) -> None:
    assert faults_of(**inputs) == [fault]


@pytest.mark.parametrize(
    "inputs",
    [{"copilot_url": "cli:1"}, OWN],
)
def test_classic_token_is_accepted_without_copilot(inputs: dict[str, str]) -> None:
    assert read_inputs(environ(copilot_token="ghp_abc", **inputs)).copilot_token == "ghp_abc"


def test_publishing_needs_no_model_or_copilot_token() -> None:
    inputs = read_inputs(environ(github_token="ghp_abc", publish="reports/report.json", fail_on="high"))
    assert inputs.publish_report == Path("reports/report.json")
    assert inputs.overrides() == {"fail_on": Severity.HIGH}
    assert inputs.warnings == ()


def test_review_inputs_are_reported_when_publishing() -> None:
    inputs = read_inputs(
        environ(
            publish="report.json",
            copilot_token="github_pat_abc",
            model="m",
            provider_base_url="https://x.example",
            full_review="true",
        )
    )
    assert inputs.warnings == tuple(
        f'Input "{name}" is not used: "publish" asks no model; leave it out.'
        for name in ("copilot-token", "provider-base-url", "model", "full-review")
    )


@pytest.mark.parametrize("text", ["true", "False", "a\x1bb"])
def test_publish_input_must_be_a_path(text: str) -> None:
    (fault,) = faults_of(publish=text)
    assert fault.startswith(
        'Input "publish" must be the path of a JSON report that another workflow made, such'
    )
    assert fault.isprintable()


AUDIT_PLAN = "the path of the file that the step with audit: plan has written"
AUDIT_PARTS = "the paths of the parts that the steps with audit: run have written, or of their folder"
AUDIT_SHARD = "the number of a shard, such as ${{ matrix.shard }}"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, AuditInputs()),
        ({"audit": "all"}, AuditInputs(AuditStage.ALL)),
        ({"audit": "plan"}, AuditInputs(AuditStage.PLAN)),
        ({"audit": "plan", "shards": "256"}, AuditInputs(AuditStage.PLAN, shards=256)),
        (
            {"audit": "run", "shard": "3", "plan": "p/plan.json"},
            AuditInputs(AuditStage.RUN, shard=3, plan=Path("p/plan.json")),
        ),
        (
            {"audit": "merge", "plan": "plan.json", "parts": "parts\n a.json \n\nparts"},
            AuditInputs(AuditStage.MERGE, plan=Path("plan.json"), parts=(Path("parts"), Path("a.json"))),
        ),
    ],
)
def test_audit_inputs_are_parsed(texts: dict[str, str], expected: AuditInputs) -> None:
    inputs = read_inputs(environ(**texts))
    assert (inputs.audit, inputs.warnings) == (expected, ())
    assert inputs.asks_model is (expected.stage in (None, AuditStage.ALL, AuditStage.RUN))


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        (
            {"audit": "plam"},
            'Input "audit" must be all, plan, run or merge, not "plam"; did you mean "plan"?',
        ),
        ({"shard": "1"}, 'Input "shard" needs "audit" to be run; set that too, or leave "shard" out.'),
        ({"shards": "4"}, 'Input "shards" needs "audit" to be plan; set that too, or leave "shards" out.'),
        ({"plan": "p"}, 'Input "plan" needs "audit" to be run or merge; set that too, or leave "plan" out.'),
        (
            {"audit": "all", "parts": "p"},
            'Input "parts" needs "audit" to be merge; set that too, or leave "parts" out.',
        ),
        (
            {"audit": "run", "shard": "1"},
            f'Input "plan" is missing, and "audit: run" needs it; set it to {AUDIT_PLAN}.',
        ),
        (
            {"audit": "run", "plan": "p"},
            f'Input "shard" is missing, and "audit: run" needs it; set it to {AUDIT_SHARD}.',
        ),
        (
            {"audit": "merge", "plan": "p"},
            f'Input "parts" is missing, and "audit: merge" needs it; set it to {AUDIT_PARTS}.',
        ),
        (
            {"audit": "plan", "shards": "257"},
            'Input "shards" must be a whole number from 1 to 256, not "257".',
        ),
        (
            {"audit": "run", "plan": "p", "shard": "0"},
            'Input "shard" must be a whole number from 1 to 256, not "0".',
        ),
        (
            {"audit": "merge", "plan": "a\nb", "parts": "p"},
            'Input "plan" must be the path of a plan\'s file, such as hunkwise-plan/plan.json, not 2 lines.',
        ),
        (
            {"audit": "merge", "plan": "a", "parts": "a\ntrue"},
            'Input "parts" must be the paths of parts or of their folder, one a line, such as hunkwise-parts, not'
            ' "true".',
        ),
        *(
            (
                {"audit": "all", name: text},
                f'Input "{name.replace("_", "-")}" is for reviews of pull requests, and "audit" is set, too; leave'
                " one of the two out.",
            )
            for name, text in [("publish", "r.json"), ("pull_request", "7"), ("full_review", "true")]
        ),
    ],
)
def test_inputs_that_do_not_fit_the_audit_stage_have_one_error(inputs: dict[str, str], fault: str) -> None:
    assert faults_of(**inputs) == [fault]


def test_audit_stage_without_model_needs_no_copilot_token() -> None:
    inputs = read_inputs(environ(github_token="ghp_abc", audit="plan", model="m", prompts="review"))
    assert (inputs.asks_model, inputs.warnings) == (False, ())
    texts = {"audit": "merge", "plan": "p", "parts": "p", "copilot_token": "github_pat_a"}
    assert read_inputs(environ(**texts)).warnings == (
        'Input "copilot-token" is not used: "audit: merge" asks no model; leave it out.',
    )
    assert faults_of(github_token="ghp_abc", audit="all") == [
        f'Input "copilot-token" is not set, and "github-token" is a classic personal access token{CLASSIC}'
    ]


def test_all_faults_are_reported_together() -> None:
    assert faults_of(github_token="", fail_on="x", max_comments="y", config="/", copilot_url="z") == [
        'Input "github-token" is missing; leave it at its default ${{ github.token }}, or set it to a token'
        " that may read the pull request and write reviews.",
        'Input "copilot-url": "z" has no port; write host:port, such as 127.0.0.1:4321.',
        'Input "config" must be the path of a file in the repository, relative to its root, with slashes and'
        ' without .., such as .github/hunkwise.yml, not "/".',
        'Input "fail-on" must be none, low, medium, high or critical, not "x".',
        'Input "max-comments" must be a whole number from 0 to 500, not "y".',
    ]


@pytest.mark.parametrize("misplaced", [TOKEN, f"x{TOKEN}", "ghp_abc", "github_pat_x", "sk-abc"])
def test_misplaced_token_is_not_shown(misplaced: str) -> None:
    assert faults_of(fail_on=misplaced) == [
        'Input "fail-on" must be none, low, medium, high or critical, not a value that looks like a token'
        " (not shown)."
    ]


def test_unknown_inputs_are_warnings() -> None:
    warnings = read_inputs(environ(fail_one="high", who_to_greet="Mona", **{"x\n": "1"})).warnings
    assert warnings == (
        'Input "fail-one" is unknown; did you mean "fail-on"?',
        'Input "who-to-greet" is unknown; it is not used.',
        'Input "x\\x0a" is unknown; it is not used.',
    )


@pytest.mark.parametrize(
    ("given", "beginnings"),
    [
        ({"copilot_url": "cli"}, ['Input "copilot-url": "cli" has no port']),
        (
            {"copilot_ulr": "cli:4321"},
            [
                'Input "copilot-token" is missing',
                'Input "copilot-ulr" is unknown; did you mean "copilot-url"?',
            ],
        ),
        ({"who_to_greet": "Mona"}, ['Input "copilot-token" is missing']),
    ],
)
def test_a_misspelt_way_to_a_model_is_reported_as_such(given: dict[str, str], beginnings: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_inputs({**environ(**given), "GITHUB_SERVER_URL": "https://git.example.com"})
    faults = caught.value.faults
    assert [fault[: len(start)] for fault, start in zip(faults, beginnings, strict=True)] == beginnings


@settings(deadline=None)  # the first example imports pydantic
@given(st.dictionaries(st.sampled_from(KNOWN_INPUTS), st.text()))
def test_any_inputs_are_parsed_or_faults_without_secrets(texts: dict[str, str]) -> None:
    canary = "c4n4ryc4n4ry"
    variables = {f"INPUT_{name.upper()}": text for name, text in texts.items()}
    for name in ("GITHUB-TOKEN", "PROVIDER-API-KEY"):
        variables[f"INPUT_{name}"] = canary
    faults: tuple[str, ...] = ()
    try:
        read_inputs(variables).overrides()
    except SettingsError as error:
        faults = error.faults
    assert not [fault for fault in faults if canary in fault or not fault.isprintable()]
    assert all(fault.endswith((".", "?")) for fault in faults)


def test_inputs_are_read_without_slow_imports() -> None:
    script = (
        "import sys, hunkwise.settings.inputs, hunkwise.settings.github_context;"
        "print(sorted({'pydantic', 'yaml', 'jinja2', 'github', 'copilot', 'asyncio', 'difflib', 'tempfile',"
        " 'urllib.request'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("name", KNOWN_INPUTS)
def test_too_long_input_is_an_error_without_the_value(name: str) -> None:
    assert faults_of(**{name: "z" * (MAX_INPUT + 1)}) == [
        f'Input "{name}" has 10,001 characters, and at most 10,000 are taken; shorten it.'
    ]


def test_input_of_maximum_length_is_parsed() -> None:
    assert read_inputs(environ(config="c" * MAX_INPUT)).config_path == "c" * MAX_INPUT


def test_unused_prompts_and_addresses_are_counted() -> None:
    prompts = "\n".join(f"p{number}" for number in range(33))
    addresses = ",".join(f"127.0.0.1:{number}" for number in range(1, 12))
    assert faults_of(prompts=prompts) == [
        'Input "prompts" names 33 prompts, and at most 32 are run; name fewer.'
    ]
    assert faults_of(copilot_url=addresses) == [
        'Input "copilot-url" names 11 addresses, and at most 10 are tried; name fewer.'
    ]


def test_further_unknown_inputs_are_counted() -> None:
    warnings = read_inputs(environ() | {f"INPUT_LEAKED_{number:03}": "x" for number in range(500)}).warnings
    assert len(warnings) == MAX_UNKNOWN + 1
    assert warnings[-1] == "490 more inputs are unknown."


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("", "github.com"),
        ("https://github.com", "github.com"),
        ("https://github.com/", "github.com"),
        ("HTTPS://GitHub.com:443", "github.com"),
        ("https://octo-corp.ghe.com", "octo-corp.ghe.com"),
        ("https://Octo.GHE.com:443/", "octo.ghe.com"),
        ("http://github.com", None),
        ("https://github.com:8443", None),
        ("https://github.com.", None),
        ("https://github.com.evil.example", None),
        ("https://github.com@evil.example", None),
        ("https://github.com:443@evil.example", None),
        ("https://evil.example/github.com", None),
        ("https://evil.example#github.com", None),
        ("https://evilgithub.com", None),
        ("https://api.github.com", None),
        ("https://ghe.com", None),
        ("https://evilghe.com", None),
        ("https://octo.ghe.com.evil.example", None),
        ("https://evil.example/.ghe.com", None),
        ("https://evil.example\n.ghe.com", None),
        ("https://.ghe.com", None),
        ("https://ghes.corp.example", None),
        ("https://10.0.0.1", None),
        ("github.com", None),
        (" https://github.com", None),
        ("https://github.com\n", None),
    ],
)
def test_server_token_is_only_for_copilot_of_that_server(server: str, host: str | None) -> None:
    runner = {"GITHUB_SERVER_URL": server}
    assert copilot_host(runner) == host
    refused = []
    try:
        read_inputs(environ() | runner)
    except SettingsError as error:
        refused = list(error.faults)
    assert [fault.partition(":")[0] for fault in refused] == (
        [] if host else ['Input "copilot-token" is missing']
    )


@pytest.mark.parametrize(
    "inputs",
    [
        {"copilot_token": "github_pat_abc"},
        {"copilot_url": "127.0.0.1:4321"},
        {"provider_base_url": "https://models.example", "model": "m"},
        {"publish": "report.json"},
    ],
)
def test_any_server_is_accepted_without_a_model(inputs: dict[str, str]) -> None:
    assert read_inputs(environ(**inputs) | {"GITHUB_SERVER_URL": "https://ghes.corp.example"})


def test_a_merge_queue_needs_no_model() -> None:
    server = {"GITHUB_SERVER_URL": "https://ghes.corp.example", "GITHUB_EVENT_NAME": "merge_group"}
    assert not read_inputs(environ() | server).asks_model

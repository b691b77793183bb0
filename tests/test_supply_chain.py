"""Checks pinned dependencies, lock files, workflows of the project, SBOMs and Renovate's configuration."""

from __future__ import annotations

import json
import operator
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts import rehearsal, release, sbom

from hunkwise import __version__
from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ALL_WORKFLOWS = [*WORKFLOWS, *sorted((ROOT / "examples" / "workflows").glob("*.yml"))]
LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT["dependency-groups"]
COMPILED = "uv pip compile --universal --python-version=3.11 --generate-hashes --no-strip-extras"
PACKAGE = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
NPM_LOCK = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
RENOVATE = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
WRITES_OF_THE_RELEASE = {
    "build": {"packages"},
    "sign": {"packages", "id-token", "attestations"},
    "publish": {"contents"},
}
PINNED = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$")
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def relative_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def workflow(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = workflow(path)["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job.get("steps", [])]


def writes(job: dict[str, Any]) -> set[str]:
    return {scope for scope, access in job["permissions"].items() if access == "write"}


def locked(name: str) -> dict[str, list[str]]:
    """Returns the pins of a lock with their hashes."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith((" ", "#")):
            pinned = line.removesuffix(" \\")
            found[pinned] = []
        elif not line.startswith("#"):
            found[pinned].append(line.strip().removesuffix(" \\"))
    return found


def versions(name: str) -> dict[str, str]:
    """Returns the version of each package in a lock, by its name without extras."""
    pins = (line.partition(";")[0].strip().partition("==") for line in locked(name))
    return {package.partition("[")[0]: version for package, _, version in pins}


def group(name: str) -> list[str]:
    """Returns the requirements of a group in pyproject.toml, with those of included groups."""
    return [
        one
        for entry in GROUPS[name]
        for one in (group(entry["include-group"]) if isinstance(entry, dict) else [entry])
    ]


def asked_for(name: str) -> list[str]:
    """Returns the requirements of a lock: the project's dependencies, a group, or both."""
    own = PROJECT["project"]["dependencies"] if name in {"runtime", "service", "dev"} else []
    extra = PROJECT["project"]["optional-dependencies"]["service"] if name in {"service", "dev"} else []
    return [*own, *extra, *(group(name) if name in GROUPS else [])]


def accepted(version: str, requirement: str) -> bool:
    """Returns whether a version is within the bounds of a requirement like `atheris>=3.0,<3.1`."""
    compare = {">=": operator.ge, "==": operator.eq, "<": operator.lt}
    found = re.findall(r"(>=|==|<)([0-9.]+)", requirement)
    return all(compare[sign](numbers(version), numbers(bound)) for sign, bound in found)


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_lists_all_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "fuzz.yml", "nightly.yml", "release.yml"]


@pytest.mark.parametrize("path", ALL_WORKFLOWS, ids=relative_path)
def test_permissions_are_per_job_and_actions_pinned(path: Path) -> None:
    assert workflow(path)["permissions"] == {}
    assert all("permissions" in job for job in jobs(path).values())
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.search(line) and "uses: $/" not in line] == []


def test_action_has_one_commit() -> None:
    pins: dict[str, set[str]] = {}
    for path in ALL_WORKFLOWS:
        for line in path.read_text(encoding="utf-8").splitlines():
            if used := PINNED.search(line):
                pins.setdefault(used[1], set()).add(line.partition("@")[2])
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=relative_path)
def test_workflow_has_limits_and_no_write_token_for_untrusted_authors(path: Path) -> None:
    assert "concurrency" in workflow(path)
    assert all("timeout-minutes" in job or "uses" in job for job in jobs(path).values())
    checkouts = [step for step in steps(path) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []
    events = workflow(path)[True]  # YAML 1.1 reads the key `on` as true
    assert {"pull_request_target", "workflow_run", "issue_comment"}.isdisjoint(events)
    if path.name != "release.yml":
        assert [name for name, job in jobs(path).items() if writes(job)] == []
        assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=relative_path)
def test_make_targets_of_workflow_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE)
    made = [
        name for step in steps(path) for name in re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.M)
    ]
    assert {name: targets.count(name) for name in made} == dict.fromkeys(made, 1)


def test_release_writes_after_approval_only() -> None:
    found = jobs(ROOT / ".github" / "workflows" / "release.yml")
    assert {name: writes(job) for name, job in found.items() if writes(job)} == WRITES_OF_THE_RELEASE
    assert found["approve"]["environment"] == "release"
    assert {"check", "ci"} <= set(found["approve"]["needs"])
    assert [name for name in WRITES_OF_THE_RELEASE if "approve" not in waits_for(name, found)] == []


def waits_for(name: str, found: dict[str, dict[str, Any]]) -> Iterator[str]:
    needs = found[name].get("needs", [])
    for need in [needs] if isinstance(needs, str) else needs:
        yield need
        yield from waits_for(need, found)


def test_release_starts_from_tag_without_cache() -> None:
    path = ROOT / ".github" / "workflows" / "release.yml"
    assert workflow(path)[True] == {"push": {"tags": ["source/v*"]}}
    assert [step for step in steps(path) if "actions/cache" in step.get("uses", "")] == []
    assert [step for step in steps(path) if "run-id" in step.get("with", {})] == []


def test_release_builds_with_the_commands_of_the_rehearsal() -> None:
    scripts = [step["run"] for step in steps(WORKFLOWS[-1]) if "run" in step]
    for command in (*rehearsal.BUILD_FILES, rehearsal.BUILD_IMAGE, rehearsal.COMPLETE):
        line = " ".join(command).replace(sys.executable, "python3")
        assert len([script for script in scripts if line in script]) == 1, line
    assert not [step for step in steps(WORKFLOWS[-1]) if "build-push-action" in step.get("uses", "")]


_DOCKER = """#!/bin/sh
[ "$1" = version ] && exit
for argument in "$@"; do printf '%s\\n' "$argument"; done >"$ARGUMENTS"
while [ "$1" != --metadata-file ]; do shift; done
echo '{"containerimage.config.digest": "sha256:11", "containerimage.digest": "sha256:22"}' >"$2"
"""
"""In the place of docker: writes its arguments to a file, and a digest as docker does."""


def test_release_pushes_by_digest_with_all_labels_and_without_cache(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(_DOCKER, encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    given = {"ENGINE": "docker", "SOURCE": "https://example.com/octo/hunkwise", "REVISION": "0a1b"}
    done = subprocess.run(
        [ROOT / "scripts/image/build.sh", "ghcr.io/octo/hunkwise", "--push"],
        env={
            **given,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "ARGUMENTS": str(tmp_path / "arguments"),
            "SOURCE_DATE_EPOCH": "1700000000",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "sha256:22\n"
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8").splitlines()
    assert arguments[:2] == ["buildx", "build"]
    assert {"--no-cache", "--provenance=false", "--sbom=false"} <= set(arguments)
    output = arguments[arguments.index("--output") + 1].split(",")
    assert {"name=ghcr.io/octo/hunkwise", "push-by-digest=true", "push=true"} <= set(output)
    build_arguments = dict(
        value.split("=", 1) for option, value in pairwise(arguments) if option == "--build-arg"
    )
    assert build_arguments == {
        "VERSION": __version__,
        "CLI_VERSION": CLI_VERSION,
        "SDK_VERSION": SDK_VERSION,
        "REVISION": "0a1b",
        "SOURCE": "https://example.com/octo/hunkwise",
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    labels = set(re.findall(r"^ARG (\w+)=unknown$", DOCKERFILE, re.MULTILINE))
    assert labels == build_arguments.keys() - {"SOURCE_DATE_EPOCH"}


@pytest.mark.parametrize(
    ("engine", "arguments", "words"),
    [
        ("docker", ["name", "--archive", "a.tar"], "set ENGINE=podman"),
        ("podman", ["name", "--push"], "set ENGINE=docker"),
        ("podman", ["name", "--archive"], "how it is called"),
        ("podman", ["name", "--pusch"], "how it is called"),
        ("podman", ["name", "--push", "more"], "how it is called"),
    ],
)
def test_image_build_refuses_wrong_options(
    tmp_path: Path, engine: str, arguments: list[str], words: str
) -> None:
    (tmp_path / engine).symlink_to("/bin/true")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ENGINE": engine}
    command = [str(ROOT / "scripts/image/build.sh"), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_cli_and_sdk_have_one_version() -> None:
    assert PACKAGE["dependencies"] == {"@github/copilot": CLI_VERSION}
    entries = {
        path: entry["version"] for path, entry in NPM_LOCK["packages"].items() if "@github/copilot" in path
    }
    assert len(entries) > 1
    assert set(entries.values()) == {CLI_VERSION}
    assert release.read_version() == __version__
    assert f"github-copilot-sdk=={SDK_VERSION}" in PROJECT["project"]["dependencies"]
    assert f"github-copilot-sdk=={SDK_VERSION}" in locked("runtime")


def test_texts_name_the_same_versions() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ALL_WORKFLOWS,
        *ROOT.glob("*.toml"),
        ROOT / "Dockerfile",
    ]
    wrong = []
    for path in texts:
        text = path.read_text(encoding="utf-8")
        wrong += [
            (path.name, found)
            for found in re.findall(r"(?:CLI|@github/copilot) v?(\d+\.\d+\.\d+)", text)
            if found != CLI_VERSION
        ]
        wrong += [
            (path.name, found) for found in re.findall(r"SDK v?(\d+\.\d+\.\d+)", text) if found != SDK_VERSION
        ]
    assert wrong == []


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes_and_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert locked(name)
    for pinned, hashes in locked(name).items():
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9, -]+\])?==\S+", pinned), pinned
        assert hashes, pinned
        assert [one for one in hashes if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one)] == []


def test_each_group_has_a_lock() -> None:
    names = sorted(f"{name}.txt" for name in ("runtime", "service", *GROUPS))
    assert sorted(path.name for path in (ROOT / "requirements").iterdir()) == names
    assert GROUPS["build"] == PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_fulfil_requirements(name: str) -> None:
    pinned = versions(name)
    wanted = [line.partition(";")[0] for line in asked_for(name)]
    packages = {line: re.split(r"[<>=[]", line)[0].strip().lower() for line in wanted}
    assert [line for line, package in packages.items() if package not in pinned] == []
    assert [line for line, package in packages.items() if not accepted(pinned[package], line)] == []


def hashes_by_pin(name: str) -> dict[str, list[str]]:
    """Returns the hashes of a lock by package and version, without extras and conditions."""
    pins = (line.partition(";")[0].strip() for line in locked(name))
    return dict(zip((re.sub(r"\[.*\]", "", pin) for pin in pins), locked(name).values(), strict=True))


def test_runtime_lock_is_part_of_service_lock_and_this_of_dev_lock() -> None:
    """Including the hashes of each file: the tests prove nothing about any other."""
    assert hashes_by_pin("runtime").items() <= hashes_by_pin("service").items()
    assert hashes_by_pin("service").items() <= hashes_by_pin("dev").items()


@pytest.mark.parametrize("name", ["build", "fuzz", "lock"])
def test_other_locks_agree_with_dev_lock(name: str) -> None:
    beside, ours = versions(name), versions("dev")
    assert {package for package in beside.keys() & ours.keys() if beside[package] != ours[package]} == set()


def test_lock_has_required_extra() -> None:
    """Otherwise pip before 23.3 resolves it separately, and finds a newer release."""
    assert [line.partition("==")[0] for line in locked("dev") if line.startswith("coverage")] == [
        "coverage[toml]"
    ]


def test_npm_packages_have_exact_versions_and_hashes_and_no_registry() -> None:
    assert NPM_LOCK["lockfileVersion"] == 3
    entries = {path: entry for path, entry in NPM_LOCK["packages"].items() if path}
    assert entries
    assert [path for path, entry in entries.items() if not entry["integrity"].startswith("sha512-")] == []
    assert [path for path, entry in entries.items() if "resolved" in entry] == []
    assert "://" not in json.dumps({path: {**entry, "funding": None} for path, entry in entries.items()})
    asked = {**PACKAGE["dependencies"], **PACKAGE["devDependencies"]}
    exact = re.compile(r"\d+\.\d+\.\d+[\w.-]*")
    assert [name for name, version in asked.items() if not exact.fullmatch(version)] == []


def test_images_are_pinned_by_digest() -> None:
    defaults = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert [name for name, image in defaults.items() if not DIGEST.search(image)] == []
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) - stages
    assert bases == {f"${{{name}}}" for name in defaults}
    builders = [
        step["with"] for step in steps(WORKFLOWS[-1]) if "setup-buildx-action" in step.get("uses", "")
    ]
    assert [DIGEST.search(options["driver-opts"]) is not None for options in builders] == [True]


@pytest.fixture(scope="module")
def of_python() -> sbom.Bom:
    return sbom.of_python()


def test_python_sbom_has_locked_packages_and_hashes(of_python: sbom.Bom) -> None:
    bom = of_python
    listed = {
        f"{component['name']}=={component['version']}": {
            f"--hash=sha256:{one['content']}"
            for reference in component["externalReferences"]
            for one in reference["hashes"]
        }
        for component in bom["components"]
    }
    pins = versions("runtime")
    hashes = dict(zip(pins, locked("runtime").values(), strict=True))
    assert listed == {f"{name}=={version}": set(hashes[name]) for name, version in pins.items()}
    about = bom["metadata"]["component"]
    assert (about["name"], about["version"]) == ("hunkwise", __version__)
    assert bom["bomFormat"] == "CycloneDX"


def test_npm_sbom_has_cli_of_each_platform() -> None:
    bom = sbom.of_npm("1700000000")
    wanted = {
        path.rpartition("node_modules/")[2]: entry for path, entry in NPM_LOCK["packages"].items() if path
    }
    listed = {component["name"]: component for component in bom["components"]}
    assert listed.keys() == {name for name, entry in wanted.items() if not entry.get("dev")}
    assert {"@github/copilot", "@github/copilot-linux-x64", "@github/copilot-linux-arm64"} <= listed.keys()
    for name, component in listed.items():
        assert component["version"] == wanted[name]["version"]
        assert [one["alg"] for one in component["hashes"]] == ["SHA-512"]
    about = bom["metadata"]["component"]
    assert (about["name"], about["version"]) == ("hunkwise", __version__)
    assert bom["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_sboms_are_valid_and_reproducible(of_python: sbom.Bom) -> None:
    assert sbom.fault(of_python) is None
    assert sbom.fault(sbom.of_npm("1700000000")) is None
    assert "components" in (sbom.fault({**of_python, "components": {}}) or "")
    assert sbom.of_npm() == sbom.of_npm()
    assert "serialNumber" not in of_python
    assert "timestamp" not in of_python["metadata"]


def test_renovate_updates_sdk_and_cli_together_without_automerge() -> None:
    (rule,) = (
        rule for rule in RENOVATE["packageRules"] if "@github/copilot" in rule.get("matchPackageNames", [])
    )
    assert rule["matchPackageNames"] == ["github-copilot-sdk", "@github/copilot"]
    assert rule["separateMajorMinor"] is False
    canary = re.search(r"tests/redteam/\w+\.py", rule["prBodyNotes"][0])
    assert canary is not None
    assert (ROOT / canary[0]).is_file()
    assert RENOVATE["automerge"] is False
    assert "automerge" not in json.dumps(RENOVATE["packageRules"])


def versions_found(manager: dict[str, Any], pattern: str) -> set[str]:
    """Returns the versions that a custom manager of Renovate finds in the files of a pattern."""
    file = re.compile(pattern.strip("/").replace("\\/", "/"))
    texts = [path.read_text(encoding="utf-8") for path in files() if file.search(relative_path(path))]
    wanted = [re.compile(string.replace("(?<", "(?P<")) for string in manager["matchStrings"]]
    return {found["currentValue"] for text in texts for one in wanted for found in one.finditer(text)}


def files() -> Iterator[Path]:
    for folder in ("src", "tests", "examples", ".github"):
        yield from (path for path in (ROOT / folder).rglob("*.*") if path.suffix in {".py", ".yml", ".j2"})
    yield from ROOT.glob("*.toml")


@pytest.mark.parametrize("pattern", RENOVATE["customManagers"][0]["managerFilePatterns"])
def test_renovate_finds_cli_version(pattern: str) -> None:
    assert versions_found(RENOVATE["customManagers"][0], pattern) == {CLI_VERSION}


def test_renovate_finds_builder_of_release() -> None:
    (pattern,) = RENOVATE["customManagers"][1]["managerFilePatterns"]
    assert len(versions_found(RENOVATE["customManagers"][1], pattern)) == 1


def test_renovate_finds_actions_of_templates() -> None:
    (pattern,) = RENOVATE["customManagers"][2]["managerFilePatterns"]
    versions = set(re.findall(r"actions/\S+ # (v[0-9.]+)", "".join(map(Path.read_text, ALL_WORKFLOWS))))
    assert versions_found(RENOVATE["customManagers"][2], pattern) <= versions
    assert len(versions_found(RENOVATE["customManagers"][2], pattern)) > 1


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_its_command(name: str) -> None:
    found = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1]
    constraint = " --constraint=requirements/dev.txt"
    options = {
        "dev": " --all-extras --group=dev",
        "runtime": f" --extra=otel{constraint}",
        "service": f" --extra=otel --extra=service{constraint}",
    }.get(name, f"{constraint} --group=pyproject.toml:{name}")
    source = " pyproject.toml" if name in {"dev", "runtime", "service"} else ""
    assert found == f"#    {COMPILED}{options} --output-file=requirements/{name}.txt{source}"


def test_renovate_updates_locks_of_the_project() -> None:
    """Renovate knows these options only, with equals signs, and reads the locks in alphabetical order."""
    (pattern,) = RENOVATE["pip-compile"]["managerFilePatterns"]
    files = [name for name in LOCKS if re.search(pattern.strip("/"), f"requirements/{name}.txt")]
    assert files == ["dev", "runtime", "service"]
    assert RENOVATE["pep621"]["enabled"] is RENOVATE["pip_requirements"]["enabled"] is False

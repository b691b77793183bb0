"""Lists what a release is made of, as CycloneDX: a file of the locked Python packages, one of the locked npm packages.

Reads the locks only: no network, and nothing of what is installed here. The same locks give the same bytes, where
SOURCE_DATE_EPOCH is the same too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "dist"
LOCK = Path("requirements/runtime.txt")

Bom = dict[str, Any]


def version() -> str:
    """The version that src/hunkwise/__init__.py names, without importing it."""
    text = (ROOT / "src" / "hunkwise" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def _printed(command: list[str], folder: Path) -> Bom:
    """What a tool prints as JSON; raises SystemExit with its own words where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stderr}")
    printed: Bom = json.loads(done.stdout)
    return printed


def _settled(bom: Bom, epoch: str | None) -> Bom:
    """The list without what differs from run to run."""
    bom.pop("serialNumber", None)
    bom["metadata"].pop("timestamp", None)
    if epoch:
        bom["metadata"]["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    return bom


def of_python(epoch: str | None = None) -> Bom:
    """The Python packages of requirements/runtime.txt, each with the hashes of its files."""
    tool = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
    told = [
        "--no-validate",
        "--pyproject",
        str(ROOT / "pyproject.toml"),
    ]  # what becomes of it is validated below
    bom = _printed([*tool, *told, LOCK.as_posix()], ROOT)
    for component in bom["components"]:
        del component["description"]  # the line of the lock, with all of its hashes once more
    root = bom["metadata"]["component"]
    root["version"] = version()
    needed = sorted(component["bom-ref"] for component in bom["components"])
    for dependency in bom["dependencies"]:
        if dependency["ref"] == root["bom-ref"]:
            dependency["dependsOn"] = needed  # the lock does not say who needs whom
    return _settled(bom, epoch)


def of_npm(epoch: str | None = None) -> Bom:
    """The npm packages that a review needs: the Copilot CLI of every platform."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "hunkwise"  # npm names the list after the folder
        folder.mkdir()
        shutil.copy(ROOT / "package-lock.json", folder)
        package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
        package["version"] = version()  # npm lists nothing without one
        (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")
        tool = ["npm", "sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"]
        return _settled(_printed([*tool, "--omit=dev", "--loglevel=error"], folder), epoch)


def fault(bom: Bom) -> str | None:
    """What the schema of the list's own version of CycloneDX says against it."""
    validator = JsonStrictValidator(SchemaVersion.from_version(bom["specVersion"]))
    error = validator.validate_str(json.dumps(bom))
    return None if error is None else str(error)


def main() -> int:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    OUT.mkdir(exist_ok=True)
    for name, bom in (("python", of_python(epoch)), ("npm", of_npm(epoch))):
        if said := fault(bom):
            sys.exit(f"the list of {name} packages is no CycloneDX: {said}")
        path = OUT / f"sbom-{name}.cdx.json"
        path.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(bom['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())

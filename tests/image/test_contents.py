"""Checks the image's labels, licences, bytecode and size."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

from hunkwise import __version__
from hunkwise.copilot.find_cli import CLI_VERSION, platform_name
from tests.end_to_end.step import ROOT
from tests.image.engine import IMAGE, Engine

_MAX_BYTES = 450_000_000
"""The limit of the layers after the base image, unpacked."""
_PARTS = {
    "the Copilot CLI's package": "/opt/hunkwise/sidecar/copilot",
    "the C library and certificates beside it": "/opt/hunkwise/sidecar/usr /opt/hunkwise/sidecar/etc",
    "hunkwise": "/opt/hunkwise/lib/python3.13/site-packages/hunkwise",
    "the Python packages": "/opt/hunkwise/lib",
}
_SIZES = """
import os, sys
def size(top):
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(top) for name in names)
print([sum(map(size, tops.split())) for tops in {tops!r}])
"""
_STALE = """
import importlib.util, os, sys
# Some templates and examples of packages are not valid Python.
for top in ("/opt/hunkwise/lib", "/usr/lib/python3.13"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            cached = importlib.util.cache_from_source(path) if name.endswith(".py") else ""
            if cached and os.path.exists(cached):
                with open(cached, "rb") as file:
                    if file.read(8)[4:] != b"\\1\\0\\0\\0":
                        print(path, "is compared with its bytecode at each import")
            elif cached and "/tests/" not in path:
                print(path, "has no bytecode")
"""
_HASHES = """
import hashlib, json, os
top = "/opt/hunkwise/sidecar/copilot"
found = {}
for folder, _, names in os.walk(top):
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            found[os.path.relpath(path, top)] = hashlib.file_digest(file, "sha256").hexdigest()
print(json.dumps(found))
"""


def test_size(engine: Engine, figures: list[str]) -> None:
    whole, beyond = engine.beyond_base()
    sizes = json.loads(engine.python(_SIZES.format(tops=list(_PARTS.values()))))
    parts = dict(zip(_PARTS, sizes, strict=True))
    parts["the Python packages"] -= parts["hunkwise"]
    parts["Debian's Python and Git, with what they need"] = beyond - sum(parts.values())
    figures += [f"Size: {whole / 1e6:.0f} MB unpacked, of which {beyond / 1e6:.0f} MB beyond the base image:"]
    figures += [f"  {size / 1e6:5.1f} MB  {name}" for name, size in parts.items()]
    assert beyond <= _MAX_BYTES


def test_labels_have_versions(engine: Engine) -> None:
    inspected = json.loads(engine.ask("image", "inspect", IMAGE))[0]
    labels = (inspected.get("Config") or inspected)["Labels"]
    ours = {name: text for name, text in labels.items() if "hunkwise" in name or "opencontainers" in name}
    assert ours["org.opencontainers.image.title"] == "hunkwise"
    assert ours["org.opencontainers.image.version"] == __version__
    assert ours["io.github.hunkwise.cli"] == CLI_VERSION
    assert f"github-copilot-sdk=={ours['io.github.hunkwise.sdk']}" in (
        ROOT / "requirements" / "runtime.txt"
    ).read_text(encoding="utf-8")
    assert ours["io.github.hunkwise.python"] == engine.python(
        "import sys; print('.'.join(map(str, sys.version_info[:2])), end='')"
    )
    for name in ("description", "licenses", "source", "revision"):
        assert ours[f"org.opencontainers.image.{name}"]


def test_cli_package_is_complete_and_unmodified(engine: Engine, tmp_path: Path) -> None:
    """Compared with the package from npm, unpacked here: its licence requires that.

    Not with the checkout's own cache: a CLI that was killed leaves its `inuse.*` files there.
    """
    program = ROOT / "node_modules" / "@github" / f"copilot-{platform_name()}" / "copilot"
    unpack = {
        "PATH": os.defpath,
        "HOME": str(tmp_path / "home"),
        "COPILOT_PKG_CACHE_HOME": str(tmp_path / "cache"),
    }
    subprocess.run([program, "--version"], env=unpack, check=True, capture_output=True, timeout=60)
    outside = {
        str(path.relative_to(tmp_path / "cache")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "cache" / "pkg").rglob("*")
        if path.is_file()
    }
    inside = json.loads(engine.python(_HASHES))
    assert inside == outside
    assert f"pkg/{platform_name()}/{CLI_VERSION}/LICENSE.md" in inside


def test_modules_have_unchecked_bytecode(engine: Engine) -> None:
    assert engine.python(_STALE) == ""


def test_has_no_unneeded_programs(engine: Engine) -> None:
    unwanted = "pip setuptools pytest /build /own /etc/pip.conf node npm curl wget git-shell scalar".split()
    code = """
import importlib.util, os, shutil
print([one for one in {names!r} if os.path.exists(one) or shutil.which(one) or (
    one.isidentifier() and importlib.util.find_spec(one))])
"""
    assert engine.python(code.format(names=unwanted)) == "[]\n"


def test_entrypoint_equals_checkout(engine: Engine) -> None:
    code = "print(open('/opt/hunkwise/entrypoint.py').read(), end='')"
    assert engine.python(code) == (ROOT / "entrypoint.py").read_text(encoding="utf-8")

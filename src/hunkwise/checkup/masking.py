"""No secret leaves a checkup, and no foreign text moves a terminal: every text passes here before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from hunkwise.checkup.check import Check, Section
from hunkwise.publish.characters import cut, one_line
from hunkwise.publish.secrets import SecretScan
from hunkwise.settings.reading import SECRET_INPUTS, set_inputs

_VARIABLES = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "COPILOT_GITHUB_TOKEN",
    "COPILOT_CONNECTION_TOKEN",
    "COPILOT_PROVIDER_API_KEY",
    "COPILOT_PROVIDER_BEARER_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
_LONGEST = 700
_SHORTEST = 4
_HIDDEN = "***"
_WITHHELD = "not shown: it holds one of this run's secrets"


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret value that the environment is known to hold, once each, whether or not the settings are right."""
    held = [*set_inputs(environ, SECRET_INPUTS).values(), *(environ.get(name, "") for name in _VARIABLES)]
    held += [_password(environ.get(name, "")) for name in _PROXIES]
    return tuple(dict.fromkeys(secret.strip() for secret in held if len(secret.strip()) >= _SHORTEST))


class Mask:
    """Hides the secrets in what is shown."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)  # one may be a part of another
        self._scan = SecretScan(self._secrets)

    def section(self, section: Section) -> Section:
        """The section as it may be shown."""
        return replace(section, checks=tuple(self._check(check) for check in section.checks))

    def _check(self, check: Check) -> Check:
        said, remedy = self.text(check.said), self.text(check.remedy)
        return Check(self.text(check.name), check.state, said, remedy)

    def text(self, text: str) -> str:
        """One line of bounded length without a secret, in whatever encoding we know of."""
        shown = one_line(text)
        for secret in self._secrets:
            shown = shown.replace(secret, _HIDDEN)
        # Looked for in the whole text: one that is cut would no longer be found, and half of it would stand there.
        return _WITHHELD if self._scan.found_in(shown) else cut(shown, _LONGEST)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""

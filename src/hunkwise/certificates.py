"""The certificate authorities that the environment names: OpenSSL's, Node's and Git's variables, for every program."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Final

OWN_AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""Variables that name certificates. The last one is added to those of the system, the others replace them."""
BUNDLE: Final = "REQUESTS_CA_BUNDLE"
"""The variable that the HTTP library below PyGithub reads by itself."""


def tls_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Returns a context with the certificates that the CLI uses. Raises OSError if their file cannot be read."""
    context = ssl.create_default_context()  # uses SSL_CERT_FILE and SSL_CERT_DIR
    more = environ.get("NODE_EXTRA_CA_CERTS")
    if more and os.path.isfile(more):  # noqa: PTH113  # Node ignores one that is missing, and so do we
        context.load_verify_locations(more)
    return context


def git_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns Git's variables for the authorities that the others name; Git has one for a file, one for a folder."""
    files = [environ[name] for name in ("SSL_CERT_FILE", BUNDLE, "NODE_EXTRA_CA_CERTS") if environ.get(name)]
    folder = environ.get("SSL_CERT_DIR")
    return {
        **({"GIT_SSL_CAINFO": files[0]} if files else {}),
        **({"GIT_SSL_CAPATH": folder} if folder else {}),
    }

"""A model provider of the user's own: whether something answers at its address. Its key is never sent."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, Any
from urllib.parse import urlsplit

from hunkwise.checkup.check import Check, fault, ok, unchecked, warning
from hunkwise.settings.provider import Provider

_PROVIDER_SECONDS = 10.0
_OF_A_PROXY = (407, 502, 503, 504)
_CHECK_ADDRESS = "Check provider-base-url, the proxy settings and the network."
_CHECK_CERTIFICATES = "Set NODE_EXTRA_CA_CERTS to the file of your certificate authority."


def provider_checks(provider: Provider, model: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """An HTTP request without key or text, which costs nothing, and what was left untried."""
    yield _reached(provider.base_url, environ)
    key = (
        "was not tried"
        if provider.api_key
        else "is not set, which a provider in your own network may not mind"
    )
    yield unchecked("Key", f"it {key}")
    yield unchecked("Model", f"{model or 'the model'} is asked for by its name in a review only")


def _reached(base_url: str, environ: Mapping[str, str]) -> Check:
    parts = urlsplit(base_url)
    address = f"{parts.scheme}://{parts.netloc}"
    try:
        status = _status(base_url, environ)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            said = f"{address} has a certificate that could not be verified: {error.reason.reason or error.reason}."
            return fault("Provider", said, _CHECK_CERTIFICATES)
        return fault("Provider", f"{address} could not be reached: {_words(error.reason)}.", _CHECK_ADDRESS)
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = f"{address} gave no answer that is HTTP: {type(error).__name__}."
        return fault("Provider", said, _CHECK_ADDRESS)
    if status in _OF_A_PROXY:
        said = f"{address} answered {status}, which can be a proxy's word."
        return warning("Provider", said, "Look whether the provider is up, and at the proxy settings.")
    return ok("Provider", f"{address} answers")


def _words(reason: object) -> str:
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)


def _status(base_url: str, environ: Mapping[str, str]) -> int:
    """The status, whichever it is; redirects are not followed. Raises URLError and what the socket raises."""
    request = urllib.request.Request(base_url, method="HEAD", headers={"User-Agent": "hunkwise"})  # noqa: S310  # http or https: settings.addresses
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=_trusted(environ)))
    try:
        with opener.open(request, timeout=_PROVIDER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _trusted(environ: Mapping[str, str]) -> ssl.SSLContext:
    """The certificates that the CLI goes by. Raises OSError where a file that is named cannot be read."""
    context = ssl.create_default_context()  # heeds SSL_CERT_FILE and SSL_CERT_DIR
    more = environ.get("NODE_EXTRA_CA_CERTS")
    if more and os.path.isfile(more):  # noqa: PTH113  # Node ignores one that is missing, and so do we
        context.load_verify_locations(more)
    return context


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as it is: an answer of the address that was asked."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """None: not followed."""

"""What the payment provider tells us, signed by it.

A cancelled conference makes thousands of these messages. None has a session, a language, a form or
a page, so `MessageDoor` takes them in before Flask makes all of that ready for each. What is not
plain (a body of unknown length, a foreign host, anything that fails) goes on to the route below.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import SecurityError
from werkzeug.wsgi import get_content_length, get_host

from meet2be.bootstrap import Services
from meet2be.language import SOURCE_LANGUAGE, speak
from meet2be.payments.errors import BadProviderSignature
from meet2be.payments.inbox import receive_tx
from meet2be.web.security import public, services, standing_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

blueprint = Blueprint("hooks", __name__)
log = logging.getLogger(__name__)
LARGEST_MESSAGE = 512 * 1024
PATH: Final = "/hooks/stripe"
_FAILURE: Final = "meet2be.message_failure"
"""Where the door leaves an error for the route; no client can set it, it is no header."""
_STATUS_LINES: Final = {200: "200 OK", 400: "400 BAD REQUEST"}


@blueprint.post(PATH)
@public
def stripe() -> ResponseReturnValue:
    """Keep a message of the provider; a repeat is thanked for and causes nothing."""
    failure: Exception | None = request.environ.get(_FAILURE)
    if failure is not None:
        raise failure  # the pages' handlers know what to answer, and log it
    request.max_content_length = LARGEST_MESSAGE
    signature = request.headers.get("Stripe-Signature", "")
    answer, status = _take_in(services(), request.get_data(), signature)
    return jsonify(answer), status


class MessageDoor:
    """A WSGI application that takes in the provider's messages, and hands on everything else."""

    def __init__(self, pages: WSGIApplication, platform: Services) -> None:
        """Stand before ``pages``."""
        self._pages, self._platform = pages, platform
        web = platform.settings.web
        self._hosts = list(web.trusted_hosts)
        self._headers = [
            ("Content-Type", "application/json"),
            *standing_headers(is_https=web.is_https),
            ("Cache-Control", "no-store"),
        ]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        length = self._plain_length(environ) if environ.get("PATH_INFO") == PATH else None
        if length is None:
            return self._pages(environ, start_response)
        speak(SOURCE_LANGUAGE)  # not what this thread spoke last
        payload = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(payload)
        if len(payload) != length:
            return self._pages(environ, start_response)
        try:
            signature = environ.get("HTTP_STRIPE_SIGNATURE", "")
            answer, status = _take_in(self._platform, payload, signature)
        except Exception as error:  # noqa: BLE001 -- raised again by the route
            environ[_FAILURE] = error
            return self._pages(environ, start_response)
        body = f"{json.dumps(answer, sort_keys=True, separators=(',', ':'))}\n".encode()
        start_response(_STATUS_LINES[status], [*self._headers, ("Content-Length", str(len(body)))])
        return [body]

    def _plain_length(self, environ: WSGIEnvironment) -> int | None:
        """Return the length of a POST to a host of ours, in bytes; None for what is not plain.

        A length that cannot be read counts as none, so nothing is read of such a request here.
        """
        length = get_content_length(environ)
        if environ["REQUEST_METHOD"] != "POST" or not length or length > LARGEST_MESSAGE:
            return None
        try:
            get_host(environ, self._hosts)
        except SecurityError:
            return None
        return length


def _take_in(
    platform: Services, payload: bytes, signature: str
) -> tuple[dict[str, str | bool], int]:
    """Keep a message; return what is answered, and the status."""
    try:
        received = receive_tx(platform.database, platform.payments, payload, signature)
    except BadProviderSignature as error:
        log.warning("provider message refused: %s", error.why)
        return {"error": "the signature does not fit this message"}, 400
    return {"received": True, "new": received.is_new}, 200

"""What the payment provider tells us, signed by it."""

from __future__ import annotations

import logging

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from meet2be.payments.errors import BadProviderSignature
from meet2be.payments.inbox import receive_tx
from meet2be.web.security import public, services

blueprint = Blueprint("hooks", __name__)
log = logging.getLogger(__name__)
LARGEST_MESSAGE = 512 * 1024


@blueprint.post("/hooks/stripe")
@public
def stripe() -> ResponseReturnValue:
    """Keep a message of the provider; a repeat is thanked for and causes nothing."""
    request.max_content_length = LARGEST_MESSAGE
    payload, signature = request.get_data(), request.headers.get("Stripe-Signature", "")
    platform = services()
    try:
        received = receive_tx(platform.database, platform.payments, payload, signature)
    except BadProviderSignature as error:
        log.warning("provider message refused: %s", error.why)
        return jsonify(error="the signature does not fit this message"), 400
    return jsonify(received=True, new=received.is_new)

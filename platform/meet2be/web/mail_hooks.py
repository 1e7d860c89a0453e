"""What mail providers tell us, signed by them, and what readers ask for from inside a mail."""

from __future__ import annotations

import logging

from flask import Blueprint, abort, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from meet2be.integrations.sns_messages import ForgedMessage, SnsReader
from meet2be.mailings import unsubscribing
from meet2be.mailings.errors import ForgedNews
from meet2be.mailings.news import News, take_in
from meet2be.mailings.news_readers import of_ses, of_signed_form
from meet2be.mailings.unsubscribing import BadLink, Leaving
from meet2be.web.security import public, services

blueprint = Blueprint("mail_hooks", __name__)
pages = Blueprint("unsubscribing", __name__)
log = logging.getLogger(__name__)
LARGEST_MESSAGE = 512 * 1024
SNS_READER = "meet2be_sns_reader"


@blueprint.post("/hooks/mail/ses")
@public
def ses() -> ResponseReturnValue:
    """Take in a message of Amazon SNS about mails sent through SES."""
    request.max_content_length = LARGEST_MESSAGE
    reader = sns_reader()
    try:
        message = reader.read(request.get_data())
        if message.type == "SubscriptionConfirmation":
            reader.confirm(message)
            return jsonify(received=True, confirmed=True)
        news = of_ses(message.text, message.id, services().clock.now())
    except (ForgedMessage, ForgedNews, KeyError, TypeError) as error:
        return _refused("ses", error)
    return _taken_in(news)


@blueprint.post("/hooks/mail/generic")
@public
def generic() -> ResponseReturnValue:
    """Take in a signed message of any other provider, in our own plain form."""
    request.max_content_length = LARGEST_MESSAGE
    secret = services().settings.mail.hook_secret
    if secret is None:
        abort(404)
    try:
        signature = request.headers.get("X-Meet2Be-Signature", "")
        news = of_signed_form(request.get_data(), signature, secret, services().clock.now())
    except ForgedNews as error:
        return _refused("generic", error)
    return _taken_in(news)


# Mail programs post here by themselves: without a page, a cookie or a token of ours (RFC 8058).
@blueprint.post("/unsubscribe/<token>")
@public
def leave(token: str) -> ResponseReturnValue:
    """Send this reader no more news."""
    leaving = _leaving(token)
    with services().database.system_session("a reader leaves an organisation's news") as session:
        unsubscribing.leave(session, leaving, services().clock.now())
        session.commit()
    return render_template("unsubscribe.html", leaving=leaving, is_done=True)


@pages.get("/unsubscribe/<token>")
@public
def ask(token: str) -> ResponseReturnValue:
    """Ask whether to send no more news: programs that look at links must change nothing."""
    return render_template("unsubscribe.html", leaving=_leaving(token), is_done=False, token=token)


def sns_reader() -> SnsReader:
    """Return what reads messages of SNS; tests put one of their own into the application."""
    reader: SnsReader | None = current_app.extensions.get(SNS_READER)
    if reader is None:
        reader = SnsReader(services().settings.mail.sns_topics)
        current_app.extensions[SNS_READER] = reader
    return reader


def _leaving(token: str) -> Leaving:
    settings = services().settings
    try:
        return unsubscribing.read_token((settings.app_key, *settings.previous_app_keys), token)
    except BadLink:
        abort(404)


def _taken_in(news: list[News]) -> ResponseReturnValue:
    platform = services()
    with platform.database.system_session("news of mails from a provider") as session:
        results = [take_in(session, each, platform.clock.now()) for each in news]
        session.commit()
    return jsonify(received=True, results=results)


def _refused(provider: str, error: Exception) -> ResponseReturnValue:
    log.warning("message of %s about mails refused: %s", provider, error)
    return jsonify(error="the message or its signature is not right"), 400

"""Putting the web application together: blueprints, security and presentation."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from meet2be.bootstrap import Services
from meet2be.web import (
    account,
    alerts,
    api_tokens,
    attendees,
    audit,
    auth,
    cancellations,
    cancelling,
    checkout,
    delivery,
    errors,
    event_editing,
    events,
    export_schedules,
    exports,
    figures,
    health,
    hooks,
    imports,
    invitation,
    languages,
    mail_hooks,
    mails,
    members,
    notifications,
    operators,
    operators_messages,
    orders,
    passwords,
    presentation,
    refunds,
    security,
    settings,
    signup,
    suppressions,
    templates_pages,
    ticket_types,
    webhooks,
)
from meet2be.web.api import application as api
from onqueue.bus import AfterResponse

LARGEST_REQUEST = 2 * 1024 * 1024
LARGEST_FORM = 512 * 1024
FORM_PARTS = 200

PAGES = (
    auth, languages, account, passwords, invitation, signup, operators, operators_messages, members,
    settings, delivery,
    events, event_editing, ticket_types, attendees, export_schedules, exports, imports,
    cancelling, cancellations,
    refunds, mails, templates_pages, suppressions, notifications, alerts, api_tokens, audit,
    webhooks, checkout, orders, figures,
)  # fmt: skip


def create_app(services: Services) -> Flask:
    """Return the application on these services; raises when a page declares no permission."""
    app = Flask(__name__)
    web = services.settings.web
    app.config.update(
        SECRET_KEY=_derived_key(services.settings.app_key, "web-session"),
        SESSION_COOKIE_NAME="m2b_form",
        SESSION_COOKIE_SECURE=web.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
        MAX_FORM_PARTS=FORM_PARTS,
        TRUSTED_HOSTS=list(web.trusted_hosts),
    )
    app.extensions["meet2be"] = services
    # Behind the proxy's words, which say whose host and address a request is for.
    app.wsgi_app = hooks.MessageDoor(app.wsgi_app, services)  # type: ignore[method-assign]
    if web.proxy_hops:
        hops = web.proxy_hops
        proxied = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # Flask documents it so
    app.wsgi_app = AfterResponse(app.wsgi_app)  # type: ignore[method-assign]
    security.begin(app)
    csrf = CSRFProtect(app)
    csrf.exempt(mail_hooks.blueprint)  # as do theirs; readers click inside mail programs
    csrf.exempt(hooks.blueprint)  # the provider signs its calls instead
    presentation.install(app)
    errors.install(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(hooks.blueprint)
    app.register_blueprint(mail_hooks.blueprint)
    app.register_blueprint(mail_hooks.pages)
    for area in PAGES:
        app.register_blueprint(area.blueprint)
    api.install(app, services, _derived_key(services.settings.app_key, "api-cursors"))
    csrf.exempt(api.blueprint)  # programs show a token that no browser sends by itself
    security.install(app)
    return app


def _derived_key(app_key: str, purpose: str) -> str:
    """Return a key for one purpose, so that none of them opens what another one closes."""
    return hashlib.blake2b(purpose.encode(), key=app_key.encode()[:64]).hexdigest()

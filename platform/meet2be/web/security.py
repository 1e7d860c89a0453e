"""Who may see what: sessions, permissions, and the headers every answer carries.

A page without a declared permission stops the application from starting. What belongs to another
organisation does not exist for a request (404), because every page reads through a session bound to
the request's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, cast
from urllib.parse import urlsplit

from flask import (
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from meet2be.accounts.services import (
    SEEN_EVERY,
    Browser,
    Identity,
    SessionLifetime,
    identify,
    note_seen,
)
from meet2be.bootstrap import Services
from meet2be.language import LANGUAGES, SOURCE_LANGUAGE, _, speak
from meet2be.web.lost import came_from, page_of_what_was_typed

P = ParamSpec("P")

READ, PREVIEW, CANCEL = "read", "preview", "cancel"
WORK, ADMINISTER = "work", "administer"
"""``WORK``: exports, imports, orders, an event's data. ``ADMINISTER``: people, tokens, senders,
webhooks, templates."""
PUBLIC, SIGNED_IN = "public", "signed in"
OPERATE = "operate"
"""The platform's operators only; no role in an organisation holds it."""
CHANGES: Final = frozenset({WORK, PREVIEW, CANCEL, ADMINISTER})
"""What a suspended organisation's people may use for looking only."""
ROLE_PERMISSIONS: Final = {
    "viewer": frozenset({READ}),
    "organiser": frozenset({READ, PREVIEW, WORK}),
    "admin": frozenset({READ, PREVIEW, WORK, CANCEL, ADMINISTER}),
    "owner": frozenset({READ, PREVIEW, WORK, CANCEL, ADMINISTER}),
}
POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
A_YEAR: Final = 31_536_000
LANGUAGE_COOKIE: Final = "m2b_language"
"""Which language somebody chose who is not logged in."""


class UndeclaredPermissionError(RuntimeError):
    """A page says nothing about who may see it."""

    def __init__(self, endpoints: list[str]) -> None:
        self.endpoints = endpoints
        super().__init__(
            f"these pages declare no permission: {', '.join(endpoints)}. "
            "Put @requires(…) or @public below their route."
        )


def page_of_ours(address: str) -> str | None:
    """Return an address that was given to go on to, None unless it is a page of ours."""
    if not address.startswith("/") or address.startswith(("//", "/\\")):
        return None
    if not address.isprintable():
        return None  # browsers drop control characters, and no header may hold them
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if not parts.scheme and not parts.netloc else None


def services() -> Services:
    """Return what the application was put together with."""
    return cast("Services", current_app.extensions["meet2be"])


def identity() -> Identity:
    """Return who makes this request; only for pages that require somebody."""
    return cast("Identity", g.identity)


def may(permission: str) -> bool:
    """Tell whether the person of this request holds a permission in their present organisation."""
    person: Identity | None = g.get("identity")
    if person is None:
        return permission == PUBLIC
    if permission in {PUBLIC, SIGNED_IN}:
        return True
    if person.is_operator:
        return True
    return permission in ROLE_PERMISSIONS.get(person.role or "", frozenset())


def requires(permission: str) -> Callable[[Callable[P, Any]], Callable[P, ResponseReturnValue]]:
    """Let only people in who hold ``permission``: others are sent to the log-in or get 403."""

    def decorate(view: Callable[P, Any]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if g.identity is None:
                return _to_the_log_in()
            if permission not in {SIGNED_IN, OPERATE} and g.identity.tenant_id is None:
                abort(403)
            if not may(permission):
                abort(403)
            if permission in CHANGES and _is_refused(g.identity):
                return render_template("suspended.html"), 409
            return cast("ResponseReturnValue", view(*args, **kwargs))

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: Callable[P, Any]) -> Callable[P, Any]:
    """Declare a page that anybody may see."""
    view.permission = PUBLIC  # type: ignore[attr-defined]
    return view


def tenant_session(*, read_only: bool = False) -> Session:
    """Return this request's database session, bound to the person's organisation."""
    tenant_id = identity().tenant_id
    if tenant_id is None:
        abort(403)
    name = "read_session" if read_only else "write_session"
    if name not in g:
        setattr(g, name, services().database.tenant_session(tenant_id, read_only=read_only))
    return cast("Session", getattr(g, name))


def read_until_sent(response: Response) -> None:
    """Leave the request's session for reading to a response that reads while it is sent.

    Flask ends the request before the first line is asked for. A session that is used after that is
    closed by nobody, and one that stays open keeps SQLite's journal growing.
    """
    session: Session | None = None if request.method == "HEAD" else g.pop("read_session", None)
    if session is not None:
        response.call_on_close(session.close)


def browser() -> Browser:
    """Return where this request comes from."""
    return Browser(request.remote_addr, request.headers.get("User-Agent"))


def lifetime() -> SessionLifetime:
    """Return how long a log-in lasts here."""
    web = services().settings.web
    return SessionLifetime(web.session_idle, web.session_absolute)


def cookie_name() -> str:
    """The session cookie's name; with https it is bound to this host (RFC 6265bis §4.1.3)."""
    return "__Host-m2b" if services().settings.web.is_https else "m2b_session"


def remember(response: AnyResponse, secret: str) -> AnyResponse:
    """Put a session's secret into the browser."""
    response.set_cookie(
        cookie_name(),
        secret,
        max_age=int(lifetime().absolute.total_seconds()),
        secure=services().settings.web.is_https,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def begin(app: Flask) -> None:
    """Find out who asks, and in which language, before anything can be refused.

    Before the check of forms: the page that refuses one speaks the language of its reader, not the
    one that this thread spoke last.
    """
    app.before_request(_find_identity)


def install(app: Flask) -> None:
    """Register the rest of this module; raises ``UndeclaredPermissionError``."""
    app.after_request(_add_headers)
    app.teardown_request(_close_sessions)
    app.context_processor(lambda: {"may": may, "me": g.get("identity")})
    undeclared = [
        endpoint
        for endpoint, view in app.view_functions.items()
        if endpoint != "static" and not hasattr(view, "permission")
    ]
    if undeclared:
        raise UndeclaredPermissionError(sorted(undeclared))


def _find_identity() -> None:
    g.identity = None
    speak(_language_of_the_browser())
    secret = request.cookies.get(cookie_name())
    if not secret or request.endpoint == "static" or request.blueprint == "api":
        return  # programs show a token; a cookie says nothing there
    database, now = services().database, services().clock.now()
    with database.system_session("find out who makes a request", read_only=True) as session:
        g.identity = identify(session, secret, now, lifetime())
    if g.identity is not None:
        speak(g.identity.user_locale)
    if g.identity is not None and now - g.identity.last_seen_at > SEEN_EVERY:
        with database.system_session("put the end of an idle log-in off") as session:
            note_seen(session, g.identity, now)


def _language_of_the_browser() -> str:
    """Return the language that was chosen in this browser, else the first it asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or SOURCE_LANGUAGE


def _is_refused(person: Identity) -> bool:
    """Tell whether this would change something in a suspended organisation; operators may."""
    return request.method not in {"GET", "HEAD"} and person.is_suspended and not person.is_operator


def _to_the_log_in() -> ResponseReturnValue:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    target = url_for("auth.login", next=wanted or came_from() or None)
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": target})
    if request.method == "POST":
        page = page_of_what_was_typed(needs_login=True)
        if page is not None:
            return page
        if request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":  # no script reads it
            flash(_("Your log-in has ended, so nothing was done. Log in and try again."), "warning")
    return redirect(target)


def standing_headers(*, is_https: bool) -> list[tuple[str, str]]:
    """Return the headers that every answer carries."""
    https_only = [("Strict-Transport-Security", f"max-age={A_YEAR}")] if is_https else []
    return [*HEADERS.items(), *https_only]


def _add_headers(response: Response) -> Response:
    for name, value in standing_headers(is_https=services().settings.web.is_https):
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _close_sessions(_error: BaseException | None) -> None:
    for name in ("read_session", "write_session"):
        session: Session | None = g.pop(name, None)
        if session is not None:
            session.close()

"""Addresses that people give us to be called: one written form of each, or a refusal in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

import idna

from meet2be.errors import Meet2BeError
from meet2be.integrations.guarded_addresses import parse_address
from meet2be.language import Message

LONGEST: Final = 2000
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SAFE: Final = "/?:@!$&'()*+,;=-._~%"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class RefusedUrl(Meet2BeError):
    """An address that must not be called; the message is for whoever gave it."""


@dataclass(frozen=True, slots=True)
class UrlRules:
    """What may be called at all: schemes and ports; no ports means any."""

    allow_http: bool = False
    ports: frozenset[int] = frozenset((443,))

    def port_is_allowed(self, scheme: str, port: int) -> bool:
        """Tell whether a port may be called; a scheme's own is always meant by allowing it."""
        if not self.ports:
            return True
        return port in self.ports or (self.allow_http and (scheme, port) == ("http", 80))


@dataclass(frozen=True, slots=True)
class Target:
    """What is called: the whole address in its one form, and its parts."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        """The address without its query, for logs: people put tokens there."""
        return self.url.partition("?")[0]


def target_of(text: str, rules: UrlRules) -> Target:
    """Return the one form of an address; raises ``RefusedUrl``.

    Only what no two parsers can read differently passes: no white space, no backslash, no
    credentials, no fragment, a host of plain labels or an address in its usual form.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise RefusedUrl(
            Message("Give an address of up to %(most)s characters.", {"most": LONGEST})
        )
    if any(not character.isprintable() or character.isspace() for character in text):
        raise RefusedUrl(Message("The address must not contain blanks or control characters."))
    if "\\" in text:
        raise RefusedUrl(Message("The address must not contain a backslash."))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise RefusedUrl(Message("This is not an address that can be called.")) from None
    scheme = parts.scheme.lower()
    _check_scheme(scheme, rules)
    if "@" in parts.netloc:
        raise RefusedUrl(
            Message("The address must not contain a user or password. Use your own headers.")
        )
    if "#" in text:
        raise RefusedUrl(Message("The address must not contain a fragment (#)."))
    host = _host(parts.hostname or "")
    port = _DEFAULT_PORTS[scheme] if port is None else port
    if not rules.port_is_allowed(scheme, port):
        raise RefusedUrl(Message("Port %(port)s must not be called. Use port 443.", {"port": port}))
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    path = quote(parts.path or "/", safe=_SAFE)
    query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    return Target(f"{scheme}://{shown_host}{shown_port}{path}{query}", scheme, host, port)


def _check_scheme(scheme: str, rules: UrlRules) -> None:
    if scheme == "https" or (scheme == "http" and rules.allow_http):
        return
    raise RefusedUrl(Message("The address must begin with https://."))


def _host(host: str) -> str:
    """Return a host in the form that is looked up: an address, or a name of ASCII labels."""
    literal = parse_address(host)
    if literal is not None:
        if "%" in host:
            raise RefusedUrl(Message("The address must not contain a zone (%%)."))
        return str(literal)
    name = _in_ascii(host.removesuffix("."))
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise RefusedUrl(Message("'%(host)s' is not a valid host name.", {"host": host}))
    # 127.1, 0x7f000001 and 2130706433 are addresses to the resolver, and nobody's names.
    if _NUMBER.fullmatch(labels[-1]):
        raise RefusedUrl(Message("'%(host)s' is not a valid host name.", {"host": host}))
    return name


def _in_ascii(name: str) -> str:
    try:
        return name.lower() if name.isascii() else idna.encode(name, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        raise RefusedUrl(Message("'%(host)s' is not a valid host name.", {"host": name})) from None

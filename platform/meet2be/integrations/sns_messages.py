"""Messages of Amazon SNS, checked: what they are signed with, by whom, and for which topic.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_OF_AMAZON: Final = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?")
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_HASHES: Final = {"1": hashes.SHA1, "2": hashes.SHA256}
_LARGEST_CERTIFICATE: Final = 64 * 1024

Fetch = Callable[[str], bytes]


class ForgedMessage(Exception):
    """A message is not what it says it is; the text is for the log."""


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """A genuine message: ``type`` is ``Notification`` or ``SubscriptionConfirmation``."""

    type: str
    id: str
    topic: str
    text: str
    subscribe_url: str | None = None


def fetch(url: str) -> bytes:
    """Return what stands at an address of Amazon's: never of anybody else's."""
    if not is_of_amazon(url):
        raise ForgedMessage(f"'{url[:200]}' is not an address of Amazon SNS")
    answer = requests.get(url, timeout=10, allow_redirects=False, stream=True)
    with answer:
        if answer.status_code != requests.codes.ok:
            raise ForgedMessage(f"'{url[:200]}' answered {answer.status_code}")
        return bytes(answer.raw.read(_LARGEST_CERTIFICATE, decode_content=True))


def is_of_amazon(url: str) -> bool:
    """Tell whether an address is SNS's own, by https."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and parts.port in {None, 443}
            and parts.username is None
            and _OF_AMAZON.fullmatch(parts.hostname or "") is not None
        )
    except ValueError:
        return False


class SnsReader:
    """Reads messages for the topics that are ours."""

    def __init__(self, topics: Collection[str], fetched: Fetch = fetch) -> None:
        """Take the topics' ARNs; ``fetched`` returns what stands at an address of Amazon's."""
        self._topics = frozenset(topics)
        self._fetch = fetched
        self._key_at = lru_cache(maxsize=8)(self._key)

    def read(self, body: bytes) -> SnsMessage:
        """Return a message; raises ``ForgedMessage``."""
        try:
            given = json.loads(body)
        except ValueError as error:
            raise ForgedMessage("it is no JSON") from error
        if not isinstance(given, dict):
            raise ForgedMessage("it is no object")
        signed = _SIGNED.get(str(given.get("Type")))
        if signed is None:
            raise ForgedMessage(f"type {str(given.get('Type'))[:60]!r} is not known")
        if given.get("TopicArn") not in self._topics:
            raise ForgedMessage(f"topic {str(given.get('TopicArn'))[:200]!r} is not ours")
        self._check(given, signed)
        return SnsMessage(
            str(given["Type"]),
            str(given["MessageId"]),
            str(given["TopicArn"]),
            str(given["Message"]),
            given.get("SubscribeURL"),
        )

    def confirm(self, message: SnsMessage) -> None:
        """Take up a subscription that was asked for; raises ``ForgedMessage``."""
        self._fetch(message.subscribe_url or "")

    def _check(self, given: dict[str, Any], signed: tuple[str, ...]) -> None:
        url = str(given.get("SigningCertURL", ""))
        if not is_of_amazon(url) or not urlsplit(url).path.endswith(".pem"):
            raise ForgedMessage(f"its certificate is at '{url[:200]}', not at Amazon's")
        kind = _HASHES.get(str(given.get("SignatureVersion")))
        if kind is None:
            raise ForgedMessage("its signature has no version that is known")
        lines = [f"{name}\n{given[name]}\n" for name in signed if given.get(name) is not None]
        try:
            signature = base64.b64decode(str(given.get("Signature", "")), validate=True)
            self._key_at(url).verify(signature, "".join(lines).encode(), PKCS1v15(), kind())
        except (binascii.Error, InvalidSignature) as error:
            raise ForgedMessage("its signature does not fit") from error

    def _key(self, url: str) -> RSAPublicKey:
        try:
            key = x509.load_pem_x509_certificate(self._fetch(url)).public_key()
        except ValueError as error:
            raise ForgedMessage("its certificate cannot be read") from error
        if not isinstance(key, RSAPublicKey):
            raise ForgedMessage("its certificate holds no RSA key")
        return key

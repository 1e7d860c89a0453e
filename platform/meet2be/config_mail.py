"""The settings of mail: what carries it, from whom it comes, who may tell of bounces."""

from __future__ import annotations

from dataclasses import dataclass, field

from meet2be.config_values import EnvironmentReader
from meet2be.config_variables import (
    MAIL_FROM,
    MAIL_HOOK_SECRET,
    MAIL_RATE,
    MAIL_SNS_TOPICS,
    MAIL_TRANSPORT,
    SES_ACCESS_KEY_ID,
    SES_CONFIGURATION_SET,
    SES_ENDPOINT,
    SES_REGION,
    SES_SECRET_ACCESS_KEY,
    SMTP_HOST,
    SMTP_PASSWORD,
    SMTP_PORT,
    SMTP_STARTTLS,
    SMTP_USERNAME,
)


@dataclass(frozen=True, slots=True)
class SesAccount:
    """Amazon SES; without keys the machine's own role signs."""

    region: str
    endpoint: str | None
    access_key_id: str | None = field(repr=False)
    secret_access_key: str | None = field(repr=False)
    configuration_set: str | None


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The mail server (or SES in its place), the sender, and who may tell of bounces."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    starttls: bool
    sender: str
    ses: SesAccount | None = None
    sns_topics: tuple[str, ...] = ()
    hook_secret: str | None = field(default=None, repr=False)
    rate: int = 0
    """Mails in a second, all workers together; 0: as many as the server takes."""


def mail_settings(reader: EnvironmentReader) -> MailSettings:
    """Read them; what is wrong is noted on the reader."""
    if reader.is_set(SMTP_USERNAME) != reader.is_set(SMTP_PASSWORD):
        lacking = SMTP_PASSWORD if reader.is_set(SMTP_USERNAME) else SMTP_USERNAME
        reader.refuse(lacking, "SMTP_USERNAME and SMTP_PASSWORD go together: set both or none.")
    sender = reader.read(MAIL_FROM)
    if "@" not in sender:
        reader.refuse(MAIL_FROM, "Allowed: a mail address.")
    return MailSettings(
        host=reader.read(SMTP_HOST),
        port=reader.read(SMTP_PORT),
        username=reader.read(SMTP_USERNAME),
        password=reader.read(SMTP_PASSWORD),
        starttls=reader.read(SMTP_STARTTLS),
        sender=sender,
        ses=_ses(reader),
        sns_topics=reader.read(MAIL_SNS_TOPICS),
        hook_secret=reader.read(MAIL_HOOK_SECRET),
        rate=reader.read(MAIL_RATE),
    )


def _ses(reader: EnvironmentReader) -> SesAccount | None:
    if reader.is_set(SES_ACCESS_KEY_ID) != reader.is_set(SES_SECRET_ACCESS_KEY):
        lacking = SES_SECRET_ACCESS_KEY if reader.is_set(SES_ACCESS_KEY_ID) else SES_ACCESS_KEY_ID
        words = "SES_ACCESS_KEY_ID and SES_SECRET_ACCESS_KEY go together: set both or none."
        reader.refuse(lacking, words)
    account = SesAccount(
        region=reader.read(SES_REGION),
        endpoint=reader.read(SES_ENDPOINT),
        access_key_id=reader.read(SES_ACCESS_KEY_ID),
        secret_access_key=reader.read(SES_SECRET_ACCESS_KEY),
        configuration_set=reader.read(SES_CONFIGURATION_SET),
    )
    return account if reader.read(MAIL_TRANSPORT) == "ses" else None

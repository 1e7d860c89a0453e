"""What can be wrong with a mail, or with a template, before it is on its way."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class UnknownTemplate(Meet2BeError):
    """No template of this name exists."""

    def __init__(self, key: str, known: list[str]) -> None:
        self.key, self.known = key, known
        super().__init__(f"mail template '{key}' does not exist (known: {', '.join(known)})")


class BadTemplate(Meet2BeError):
    """A text of an organisation cannot be used; ``part`` is subject, text or html."""

    def __init__(self, part: str, problem: Message) -> None:
        self.part, self.problem = part, problem
        super().__init__(
            Message(
                "The %(part)s cannot be used: %(problem)s",
                {"part": part, "problem": problem},
            )
        )


class MailNotFound(Meet2BeError):
    """No mail of this tenant has that name."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            Message("There is no mail '%(uid)s' here. Open it from the list of mails", {"uid": uid})
        )


class MailNotInState(Meet2BeError):
    """What was asked cannot be done with a mail in this state."""

    def __init__(self, uid: str, status: str, verb: Message) -> None:
        self.uid, self.status = uid, status
        super().__init__(
            Message(
                "This mail is '%(status)s' and cannot be %(verb)s. Reload its page",
                {"status": status, "verb": verb},
            )
        )


class BodyGone(Meet2BeError):
    """The text of a mail is not kept any more, or must not be sent a second time."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            Message("The text of this mail is not kept, so it cannot be sent once more")
        )


class BadAddress(Meet2BeError):
    """What was typed is not one mail address."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            Message(
                "'%(address)s' is not one mail address. Write it as in ada@example.org",
                {
                    "address": address[:120],
                },
            )
        )


class ForgedNews(Meet2BeError):
    """A message about a mail is not from who it says; ``why`` is for the log only."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the message was refused: {why}")

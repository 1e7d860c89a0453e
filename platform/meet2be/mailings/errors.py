"""What can be wrong with a mail before it is on its way."""

from meet2be.errors import Meet2BeError


class UnknownTemplate(Meet2BeError):
    """No template of this name exists."""

    def __init__(self, key: str, known: list[str]) -> None:
        self.key, self.known = key, known
        super().__init__(f"mail template '{key}' does not exist (known: {', '.join(known)})")

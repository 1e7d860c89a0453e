"""One decorator makes an operation: its route, its checks and its description come from it.

The function's own signature says what it takes and gives: parameters of the address are strings
named like in the rule, ``query`` and ``body`` are models, ``file`` is an upload, and the return
annotation is the answer's model (None: 204).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import BaseModel

from meet2be.web.api.files import Download, UploadedFile

F = TypeVar("F", bound=Callable[..., Any])
_PARAMETER: Final = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address; ``problems`` are the codes it answers beyond those all have."""

    method: str
    rule: str
    scope: str | None
    handler: Callable[..., Any]
    summary: str
    details: str
    group: str
    path_names: tuple[str, ...]
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    takes_file: bool
    answer: type[BaseModel] | None
    gives_file: bool
    status: int
    problems: tuple[str, ...]
    file_types: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in the URL map and the description."""
        return self.handler.__name__

    @property
    def path(self) -> str:
        """The address as OpenAPI writes it."""
        return _PARAMETER.sub(r"{\1}", self.rule)

    @property
    def is_safe(self) -> bool:
        """Whether it only reads."""
        return self.method == "GET"


OPERATIONS: Final[list[Operation]] = []


def operation(
    method: str,
    rule: str,
    scope: str | None,
    *,
    status: int = 0,
    problems: tuple[str, ...] = (),
    file_types: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Make the function below an operation of the API; it is called with a ``Call`` first."""

    def register(handler: F) -> F:
        hints = get_type_hints(handler)
        answer, query, body = hints.get("return"), hints.get("query"), hints.get("body")
        paragraphs = inspect.cleandoc(handler.__doc__ or "").split("\n\n", 1)
        gives = answer is Download
        model = None if gives or answer is None or answer is type(None) else answer
        OPERATIONS.append(
            Operation(
                method=method,
                rule=rule,
                scope=scope,
                handler=handler,
                summary=" ".join(paragraphs[0].split()).rstrip("."),
                details=" ".join(paragraphs[1].split()) if len(paragraphs) > 1 else "",
                group=handler.__module__.rpartition(".")[2],
                path_names=tuple(_PARAMETER.findall(rule)),
                query=query,
                body=body,
                takes_file=hints.get("file") is UploadedFile,
                answer=model,
                gives_file=gives,
                status=status or (200 if gives or model else 204),
                problems=problems,
                file_types=file_types,
            )
        )
        return handler

    return register

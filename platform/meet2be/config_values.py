"""How the text of an environment variable becomes a value; each reader says what it allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Parser(Generic[Value]):
    """Turns text into a value (`read` raises ValueError), and says in words what it `allows`."""

    read: Callable[[str], Value]
    allows: str


@dataclass(frozen=True, slots=True)
class Variable(Generic[Value]):
    """One environment variable: its reader, what it is when unset, and what it is for."""

    name: str
    parser: Parser[Value]
    default: Value
    about: str
    shown_default: str = ""
    is_secret: bool = False


@dataclass(slots=True)
class EnvironmentReader:
    """Reads variables and gathers every problem, the first of each variable, by its name."""

    environ: Mapping[str, str]
    problems: dict[str, str] = field(default_factory=dict)

    def is_set(self, variable: Variable[Value]) -> bool:
        """Tell whether it holds anything; an empty value counts as unset."""
        return bool(self.environ.get(variable.name, "").strip())

    def read(self, variable: Variable[Value]) -> Value:
        """Return its value, or the default when it is unset or cannot be read (then noted)."""
        text = self.environ.get(variable.name, "").strip()
        if not text:
            return variable.default
        try:
            return variable.parser.read(text)
        except ValueError:
            self.refuse(variable, f"Allowed: {variable.parser.allows}.")
            return variable.default

    def refuse(self, variable: Variable[Value], why: str) -> None:
        """Note a problem with a variable and its value, which is masked when it is a secret."""
        text = self.environ.get(variable.name, "").strip()
        shown = f"'{masked(text) if variable.is_secret else without_password(text)}'"
        problem = f"{variable.name} is {shown if text else 'not set'}. {why}"
        self.problems.setdefault(variable.name, problem)


def masked(secret: str) -> str:
    """Return what may be shown of a secret: its length."""
    return f"*** ({len(secret)} characters)"


def without_password(text: str) -> str:
    """Return the text with the password of an address in it starred out."""
    try:
        parts = urlsplit(text)
        password = parts.password
    except ValueError:
        return "***" if "@" in text else text
    if password is None:
        return text
    user, _, host = parts.netloc.rpartition("@")
    user = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))


def text() -> Parser[str]:
    """Anything on one line."""

    def read(value: str) -> str:
        if not value.isprintable():
            raise ValueError(value)
        return value

    return Parser(read, "text on one line")


def one_of(*words: str) -> Parser[str]:
    """One of some words, in any case."""

    def read(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(value)
        return value.lower()

    return Parser(read, ", ".join(words))


def whole_number(least: int, most: int) -> Parser[int]:
    """A whole number between two, both included."""

    def read(value: str) -> int:
        number = int(value)
        if not least <= number <= most:
            raise ValueError(value)
        return number

    return Parser(read, f"a whole number from {least} to {most}")


def seconds(least: float, most: float) -> Parser[float]:
    """A number of seconds between two, both included."""

    def read(value: str) -> float:
        number = float(value)
        if not least <= number <= most:  # also false for nan
            raise ValueError(value)
        return number

    return Parser(read, f"seconds from {least:g} to {most:g}")


def yes_or_no() -> Parser[bool]:
    """A switch."""
    meanings = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

    def read(value: str) -> bool:
        try:
            return meanings[value.lower()]
        except KeyError:
            raise ValueError(value) from None

    return Parser(read, "yes or no (also true, false, 1, 0)")


def words() -> Parser[tuple[str, ...]]:
    """A list with commas between."""

    def read(value: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in value.split(",") if word.strip())

    return Parser(read, "words with commas between")


def networks() -> Parser[tuple[str, ...]]:
    """A list of networks; one that holds the metadata service of clouds is not allowed."""
    metadata = ip_network("169.254.0.0/16")

    def read(value: str) -> tuple[str, ...]:
        found = [ip_network(word.strip()) for word in value.split(",") if word.strip()]
        if any(each.version == 4 and each.overlaps(metadata) for each in found):
            raise ValueError(value)
        return tuple(map(str, found))

    return Parser(read, "networks such as 10.1.0.0/16 with commas between, without 169.254.0.0/16")


def ports() -> Parser[frozenset[int]]:
    """A list of ports, or any."""

    def read(value: str) -> frozenset[int]:
        if value.lower() == "any":
            return frozenset()
        found = frozenset(int(word) for word in value.split(","))
        if not all(1 <= port <= 65535 for port in found):
            raise ValueError(value)
        return found

    return Parser(read, "ports from 1 to 65535 with commas between, or any")


def directory() -> Parser[Path]:
    """A directory's path; made absolute from the directory the program runs in."""

    def read(value: str) -> Path:
        return Path(value).expanduser().absolute()

    return Parser(read, "a directory's path")


def address(*schemes: str, root_only: bool = False) -> Parser[str]:
    """A URL of one of the schemes with a host, without a final slash."""

    def read(value: str) -> str:
        parts = urlsplit(value)
        has_path = parts.path not in {"", "/"} or parts.query or parts.fragment
        if parts.scheme not in schemes or not parts.hostname or (root_only and has_path):
            raise ValueError(value)
        _ = parts.port  # raises ValueError when it is no port
        return value.rstrip("/")

    ways = " or ".join(f"{scheme}://" for scheme in schemes)
    return Parser(read, f"an address that begins with {ways}{', no path' if root_only else ''}")


def broker_url() -> Parser[str]:
    """The address of a Redis or Valkey."""

    def read(value: str) -> str:
        parts = urlsplit(value)
        whole = parts.path if parts.scheme == "unix" else parts.hostname
        if parts.scheme not in {"redis", "rediss", "unix"} or not whole:
            raise ValueError(value)
        _ = parts.port  # raises ValueError when it is no port
        return value

    return Parser(read, "redis://, rediss:// or unix:// and where the server is")


def database_url() -> Parser[str]:
    """The address of an SQLite file or a PostgreSQL database, as SQLAlchemy spells it."""

    def read(value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or not rest.strip("/"):
            raise ValueError(value)
        if scheme in {"postgres", "postgresql"}:
            return f"postgresql+psycopg://{rest}"
        if scheme not in {"postgresql+psycopg", "sqlite"}:
            raise ValueError(value)
        return value

    return Parser(read, "sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def prefixed(*prefixes: str) -> Parser[str]:
    """A word that begins with one of the prefixes and goes on."""

    def read(value: str) -> str:
        if not any(value.startswith(prefix) and value != prefix for prefix in prefixes):
            raise ValueError(value)
        return value

    return Parser(read, " or ".join(f"'{prefix}…'" for prefix in prefixes))


def optional(parser: Parser[Value]) -> Parser[Value | None]:
    """The same, for a variable that may stay unset."""
    return Parser(parser.read, parser.allows)

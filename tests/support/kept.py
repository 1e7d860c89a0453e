"""What is compiled once a run and kept for all its tests: each of them makes its own application.

Without this a quarter of a second of most tests of a page went into compiling the same things:

- templates: Jinja asks `TEMPLATES`, which the application of a test is given, for their bytecode;
- statements: SQLAlchemy looks into the cache that `keep_statements` gives a test's database;
- the 300 addresses: Werkzeug compiles a rule when it is added to an application, and offers no
  cache; importing this module gives it one, for the whole process.
"""

from pathlib import Path
from types import MethodType
from typing import Any

from jinja2 import BytecodeCache, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from meet2be.db import Database

# ---- templates ----


class KeptTemplates(BytecodeCache):
    """Compiled templates that every application of the run uses."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._shared: FileSystemBytecodeCache | None = None

    def share(self, folder: Path) -> None:
        """Use a folder together with the run's other processes."""
        folder.mkdir(exist_ok=True)
        self._shared = FileSystemBytecodeCache(str(folder))

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])
        elif self._shared is not None:
            self._shared.load_bytecode(bucket)
            if bucket.code is not None:
                self._kept[bucket.key] = bucket.bytecode_to_string()

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()
        if self._shared is not None:
            self._shared.dump_bytecode(bucket)


TEMPLATES = KeptTemplates()


# ---- statements ----

_DIALECTS: tuple[type[Dialect], ...] = (SQLiteDialect_pysqlite, PGDialect_psycopg)
_STATEMENTS: dict[type[Dialect], LRUCache[Any, Any]] = {}
_MOST_STATEMENTS = 2_000


def keep_statements(database: Database) -> None:
    """Let a database of a test use what SQLAlchemy compiled for those before it."""
    engine = database.engine
    kept = _STATEMENTS.setdefault(type(engine.dialect), LRUCache(_MOST_STATEMENTS))
    for each in (engine, database._reading):
        each._compiled_cache = kept


# What SQLAlchemy compiled is kept under the statement and its dialect, and each test has an engine,
# and so a dialect, of its own: those of a kind have to count as one.
def _same_dialect(one: Dialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_dialect(one: Dialect) -> int:
    return hash(type(one))


def _keep_dialects() -> None:
    """Let SQLAlchemy take the dialects of all engines of a kind, set up alike, for one."""
    for dialect in _DIALECTS:
        for name, method in (("__eq__", _same_dialect), ("__hash__", _hash_of_dialect)):
            setattr(dialect, name, method)


# ---- addresses ----


def _keep_addresses() -> None:
    """Let a rule use what was made of an equal rule of another application."""
    kept: dict[tuple[object, ...], Rule] = {}
    compile_anew = Rule.compile

    def compile_once(self: Rule) -> None:
        assert self.map is not None
        if self.subdomain or self.host or self.defaults:
            compile_anew(self)
            return
        kinds = frozenset(self.map.converters.items())
        key = (self.rule, self.strict_slashes, self.merge_slashes, kinds)
        equal = kept.setdefault(key, self)
        if equal is self:
            compile_anew(self)
        else:
            _take_over(self, equal)

    Rule.compile = compile_once  # type: ignore[method-assign]


def _take_over(rule: Rule, equal: Rule) -> None:
    """Give a rule all that compiling it would."""
    rule.arguments |= equal.arguments
    rule._parts, rule._trace = equal._parts, equal._trace
    rule._converters = equal._converters
    for name in ("_build", "_build_unknown"):
        setattr(rule, name, MethodType(getattr(equal, name).__func__, rule))


_keep_dialects()
_keep_addresses()

"""What is compiled once a run and kept for all its tests: each of them makes its own application.

Without this a quarter of a second of most tests of a page went into compiling the same 300
addresses, the same templates and the same statements.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from werkzeug.routing import Rule

from meet2be.db import Database

_DIALECTS: tuple[type[Dialect], ...] = (SQLiteDialect_pysqlite, PGDialect_psycopg)
_STATEMENTS: dict[type[Dialect], Any] = {}
_MOST_STATEMENTS = 2_000


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


def keep_statements(database: Database) -> None:
    """Let a database of a test use what SQLAlchemy compiled for those before it."""
    engine = database.engine
    kept = _STATEMENTS.setdefault(type(engine.dialect), engine._compiled_cache)
    kept.capacity = _MOST_STATEMENTS
    for each in (engine, database._reading):
        each._compiled_cache = kept


def _same_dialect(one: Dialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_dialect(one: Dialect) -> int:
    return hash(type(one))


def _keep_dialects() -> None:
    """Let SQLAlchemy take the dialects of all engines of a kind, set up alike, for one."""
    for dialect in _DIALECTS:
        for name, method in (("__eq__", _same_dialect), ("__hash__", _hash_of_dialect)):
            setattr(dialect, name, method)


def _keep_addresses() -> None:
    """Let a rule use the code that builds addresses of an equal rule of another application."""
    kept: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}
    compile_anew = Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if rule.defaults:  # their values go through the rule's own converters
            return compile_anew(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in kept:
            kept[key] = compile_anew(rule, append_unknown)
        return kept[key]

    Rule._compile_builder = compile_once  # type: ignore[method-assign]


_keep_dialects()
_keep_addresses()

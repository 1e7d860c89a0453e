"""Every script says in one form what it takes, takes nothing else, and is used."""

import re
from importlib.resources import files

import pytest

from onqueue.drivers.redis import scripts
from onqueue.drivers.redis.limit_scripts import LimitScripts
from onqueue.drivers.redis.scripts import Scripts, script
from onqueue.drivers.redis.tied_scripts import TiedScripts

FOLDER = files("onqueue.drivers.redis") / "lua"
TEXTS = {
    entry.name.removesuffix(".lua"): entry.read_text(encoding="utf-8")
    for entry in FOLDER.iterdir()
    if entry.name.endswith(".lua")
}
NAMES = sorted(name for name in TEXTS if not name.startswith("_"))
FRAGMENTS = sorted(name for name in TEXTS if name.startswith("_"))
MODULES = ("scripts.py", "tied_scripts.py", "limit_scripts.py")
MOST_LINES = 40

DESCRIBED = re.compile(r"^-- (KEYS|ARGV)\[(\d+)(\.\.)?\] +[\w-]+ +\S.*$")
NUMBERED = re.compile(r"\b(KEYS|ARGV)\[(\d+)\]")
COMPUTED = re.compile(r"\b(KEYS|ARGV)\[[^\]]*[a-z][^\]]*\]|#(KEYS|ARGV)\b|unpack\((ARGV|KEYS)")


def head_and_body(name: str) -> tuple[list[str], str]:
    """Return the lines of the head and the rest."""
    lines = TEXTS[name].splitlines()
    length = next(at for at, line in enumerate(lines) if not line.startswith("--"))
    return lines[:length], "\n".join(lines[length:])


def described(name: str) -> tuple[set[tuple[str, int]], dict[str, int]]:
    """Return the indices the head tells of, and from which on it tells of all."""
    single, open_ended = set(), {}
    for line in head_and_body(name)[0]:
        if found := DESCRIBED.match(line):
            kind, index = found[1], int(found[2])
            if found[3]:
                open_ended[kind] = index
            else:
                single.add((kind, index))
    return single, open_ended


@pytest.mark.parametrize("name", NAMES)
def test_a_head_says_purpose_returns_flags_and_includes(name: str) -> None:
    head, _ = head_and_body(name)
    assert re.match(r"^-- [A-Z].*\.$", head[0])
    for word in ("Returns", "Flags", "Includes"):
        assert sum(line.startswith(f"-- {word} ") for line in head) == 1
    for line in head:
        if "KEYS[" in line or "ARGV[" in line:
            assert DESCRIBED.match(line), line


@pytest.mark.parametrize("name", NAMES)
def test_a_head_tells_of_each_key_and_argument_the_body_takes_and_of_no_other(name: str) -> None:
    _, body = head_and_body(name)
    single, open_ended = described(name)
    taken = {(kind, int(index)) for kind, index in NUMBERED.findall(body)}
    untold = {one for one in taken - single if one[1] < open_ended.get(one[0], 10**9)}
    assert untold == set()
    in_loops = {kind for found in COMPUTED.findall(body) for kind in found if kind}
    untaken = {one for one in single - taken if one[0] not in in_loops}
    assert untaken == set()


@pytest.mark.parametrize("name", NAMES)
def test_indices_in_a_head_have_no_gap(name: str) -> None:
    single, open_ended = described(name)
    for kind in ("KEYS", "ARGV"):
        indices = sorted(index for of, index in single if of == kind)
        indices += [open_ended[kind]] if kind in open_ended else []
        assert indices == list(range(1, len(indices) + 1))


@pytest.mark.parametrize("name", [*NAMES, *FRAGMENTS])
def test_a_script_is_short_and_neither_searches_nor_builds_keys(name: str) -> None:
    _, body = head_and_body(name) if name in NAMES else ([], TEXTS[name])
    assert len(body.splitlines()) <= MOST_LINES
    assert not re.search(r"'(KEYS|SCAN|HSCAN|SSCAN|ZSCAN)'", body)
    assert not re.search(r"'[^']*:[^']*' *\.\.|\.\. *'[^']*:", body)
    assert not re.search(r"redis\.call\('\w+', '(?!~)", body)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_includes_exactly_the_fragments_it_needs(name: str) -> None:
    loaded = re.sub(r"'[^']*'", "''", script(name).source[0].decode())
    defined = set(re.findall(r"^local function (\w+)", loaded, re.MULTILINE))
    called = set(re.findall(r"(?<![.:\w])(\w+)\(", loaded)) - {"function"}
    builtins = {"tonumber", "ipairs", "unpack", "type", "setmetatable"}
    keywords = {"if", "and", "or", "not", "return", "while", "for"}
    assert called - defined - builtins - keywords == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_script_includes_no_fragment_in_vain(name: str) -> None:
    parts: dict[str, str] = {}
    scripts._gather(name, parts)
    for part, text in parts.items():
        defined = re.findall(r"^local function (\w+)", text, re.MULTILINE)
        others = " ".join(other for at, other in parts.items() if at != part)
        used = [one for one in defined if re.search(rf"\b{one}\b", others)]
        assert used or part == name or not defined, part


def test_every_script_is_used_and_every_fragment_included() -> None:
    folder = files("onqueue.drivers.redis")
    sources = [(folder / name).read_text(encoding="utf-8") for name in MODULES]
    called = set(re.findall(r'call\(\s*"(\w+)"', "".join(sources)))
    assert called == set(NAMES)
    included = {
        part
        for name in [*NAMES, *FRAGMENTS]
        for line in TEXTS[name].splitlines()
        if line.strip().startswith(("-- Includes ", "-- Here "))
        for part in line.split()[2:]
    }
    assert included - {"none"} == set(FRAGMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_only_what_adds_jobs_is_refused_by_a_full_server(name: str) -> None:
    plain, flagged = script(name).source
    if name in {"push", "later", "note", "tick", "receive", "stage", "start", "add"}:
        assert flagged == plain
    else:
        assert flagged == b"#!lua flags=allow-oom\n" + plain


def test_each_method_names_what_its_script_takes() -> None:
    methods = {
        name
        for of in (Scripts, TiedScripts, LimitScripts)
        for name, method in vars(of).items()
        if callable(method) and not name.startswith("_")
    }
    assert set(NAMES) == methods


def test_a_delay_is_never_shortened_by_rounding() -> None:
    assert scripts.milliseconds(0.0011) == b"$1\r\n2\r\n"
    assert scripts.milliseconds(0) == b"$1\r\n0\r\n"
    assert scripts.milliseconds(1.5) == b"$4\r\n1500\r\n"

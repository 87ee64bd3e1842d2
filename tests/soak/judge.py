"""Whether a command took a damaged input as it should: by success, or by one clear refusal."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.soak.cases import GIVEN, OUT, Case
from tests.soak.worker import SECONDS, Result

MEMORY = 200 << 20  # bytes beyond the size of what was given
MOST_LINES = 110  # a spec tells up to 100 of its mistakes at once
LONGEST_LINE = 6000  # the longest path there can be, and more
# All of C0 but the line feed, DEL, C1, and what turns or ends lines.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What a name (damage.MARKUP) has become where it acts on the page that it is on.
ACTING = {**dict.fromkeys((".html", ".svg", ".md"), b"<b onclick"), ".tex": b"\\input{x}"}
# What only a program says, not one who wrote a message.
UNCLEAR = re.compile(
    r"Traceback|\b[A-Z]\w+Error\b|object at 0x|<class |NoneType|Errno|Warning:|standard output:|"
    r"' object (is|has|does)|__init__\(|recursion|not iterable|unhashable|could not convert"
)

# What a reader left out or changed, told beside the result; how a run goes on in spite of damage.
NOTE = re.compile(
    r"(nncli: )?(/.*|standard input): \w.{8}|"
    r"nncli: (--trace: the training has |going on (after|before) |all \d+ epochs were done )|"
    r"nncli: .*: .{8}.*; (the checkpoint before it is used|it is written again)$",
    re.MULTILINE,
)
# What ends in status 1: a training that did not converge, a check, a run that cannot be written to.
FAILED = re.compile(
    "diverged|the cost is (nan|inf)|see the proof|step overflows|its end is not saved|"
    "nncli: found: |expectations? failed|nncli: break at step|is the first that is wrong"
)

ROOT = Path(__file__).parents[2]
Tree = dict[str, tuple[int, ...]]


def tree(folder: Path) -> Tree:
    """All there is in a folder, with what changes when it is written to."""
    found: Tree = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(top, name)
            state = os.lstat(path)
            # A folder's times change with its entries, and those are here themselves.
            times = () if name in folders else (state.st_size, state.st_mtime_ns)
            found[os.path.relpath(path, folder)] = (state.st_mode, state.st_ino, *times)
    return found


class Seen(NamedTuple):
    """A case's folder before and after."""

    before: Tree
    after: Tree
    given: int
    """Bytes that the command was given."""
    acting: list[str]
    """Pages on which a name is markup."""


def acting(folder: Path) -> list[str]:
    """The pages in a folder on which a name is markup."""
    return sorted(
        path.name
        for path in (folder / OUT).iterdir()
        if path.suffix in ACTING and ACTING[path.suffix] in path.read_bytes()
    )


def complaints(case: Case, result: Result, seen: Seen, seconds: float = SECONDS) -> list[str]:
    """All that is wrong with how it went; nothing where it went well."""
    made = [f"a name is markup in {page}" for page in seen.acting]
    made += [
        *_end(case, result),
        *_cost(case, result, seen, seconds),
        *_writings(case, result, seen),
    ]
    out = "" if "npy" in case.argv else result.out  # those are bytes, and asked for
    for name, text in (("output", out), ("error", result.err)):
        found = CONTROL.search(text)
        if found is not None:
            around = text[max(0, found.start() - 40) : found.end() + 20]
            made.append(f"a control character on standard {name}: {around!r}")
    return made


def _end(case: Case, result: Result) -> list[str]:
    if result.crash:
        own = re.findall(rf'"{re.escape(str(ROOT))}/([^"]*)", line (\d+)', result.crash)
        way = " > ".join(f"{file}:{line}" for file, line in own[-6:])
        lines = result.crash.strip().splitlines()
        return [f"it crashed: {lines[0]}: {lines[-1]} ({way})"]
    found = UNCLEAR.search(result.err)
    if found is not None:
        return [f"{found.group()!r} in what it says: {result.err[-600:]!r}"]
    match result.status:
        case 0 if case.is_refused:
            return ["it took what must be refused"]
        case 0:
            strange = result.err and not NOTE.match(result.err)
            return [f"it said something although all went well: {result.err!r}"] * bool(strange)
        case 1 if FAILED.search(result.err):
            return []
        case 2:
            return _refusal(case, result)
    return [f"exit status {result.status}: {result.err[-600:]!r}"]


def _refusal(case: Case, result: Result) -> list[str]:
    lines = result.err.splitlines()
    made = []
    # Predictions go out while rows still come in.
    if result.out and case.argv[0] != "predict":
        made.append(f"it printed before it refused: {result.out[:200]!r}")
    if not lines:
        made.append("it refused without a word")
    if len(lines) > MOST_LINES or any(len(line) > LONGEST_LINE for line in lines):
        longest = max(map(len, lines))
        made.append(f"a message of {len(lines)} lines, the longest of {longest} characters")
    strange = [x for x in lines if not (re.match(r"nncli: .{8}", x) or NOTE.match(x))]
    if strange:
        made.append(f"not a line of a message: {strange[0][:300]!r}")
    return made


def _cost(case: Case, result: Result, seen: Seen, seconds: float) -> list[str]:
    made = []
    if result.seconds > seconds:
        made.append(f"it took {result.seconds:.1f} s")
    # All of a page is as long as the file: a line for each of its.
    page = 100 * seen.given if "--full" in case.argv else 0
    if result.memory > MEMORY + seen.given + page:
        made.append(f"it took {result.memory >> 20} MiB for {seen.given:,} bytes")
    return made


def _writings(case: Case, result: Result, seen: Seen) -> list[str]:
    changed = {
        name
        for name in seen.before.keys() | seen.after.keys()
        if seen.before.get(name) != seen.after.get(name)
    }
    own = [OUT, *([f"{GIVEN}/run"] if "--resume" in case.argv else [])]  # a run that goes on
    outside = sorted(x for x in changed if not x.startswith(tuple(f"{name}/" for name in own)))
    made = [f"it wrote outside of its folder: {outside}"] if outside else []
    if result.status == 2 and "--resume" not in case.argv and len(outside) < len(changed):
        made.append(f"it refused, and wrote: {sorted(changed)}")
    return made


def size_of(folder: Path) -> int:
    """Bytes of all that is given."""
    return sum(
        os.lstat(os.path.join(top, name)).st_size
        for top, _, names in os.walk(folder / GIVEN)
        for name in names
    )

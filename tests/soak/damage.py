"""Ways to damage an input, each by its name.

A damage that no reader may take for whole is marked: what it did must be refused. The others may
leave something that is as good as any other input.
"""

import gzip
import io
import json
import os
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from tests.soak import whole

# What a file may hold that wants to be more than text.
TRAPS = [
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "\x9b31mC1\x85next",
    "\rover\bwritten\x7f",
    "[bold red]markup[/bold red] [/] :smile:",
    "<script>alert(1)</script>&lt;",
    MARKUP := "<b onclick=x>&lt;$x$ \\input{x} % [a](b)",
    "\\input{/etc/passwd} $x$ %d",
    "\u202eright to left\u2028line\u200b\ufeff",
    "{0.__class__} %s%n ${HOME}",
    "../../../../../../tmp/elsewhere",
    "/dev/zero",
    "~root",
    "=1+1",
    "\ud7ff\ue000\U0010ffff",
    "é" * 300,
    "x" * 5000,
    "",
    " ",
]
NUMBERS = ["9" * 400, "9" * 5000, "1e400", "-1e-400", "0x" + "f" * 40, "1e999999999", "-0"]
NUMBERS += [str(n) for n in (2**31, 2**32, 2**53 + 1, 2**63, 2**64, 2**127, -1, -(2**63) - 1)]
NUMBERS += ["nan", ".nan", "inf", "-.inf", "1_000", "１", "٣", "0.1.2", "1,5", "+1", "1e5"]
BYTES = [
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x1b[31m",
    b"\x85",
    b"\r",
    b'"',
    b"'",
    b"#",
]
BYTES += [b",", b"\t", b"\n\n", b"\x0b", b"\x1c", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\x1f\x8b"]
LONG = 3_000_000  # characters of a very long line

# Any bytes


def truncated(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) or 1)]


def flipped(content: bytes, random: Random) -> bytes:
    made = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 8])):
        if made:
            made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    return bytes(made)


def head_flipped(content: bytes, random: Random) -> bytes:
    """Where the format says what is to come."""
    head = min(len(content), 96)
    return flipped(content[:head], random) + content[head:]


def cut_out(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) or 1)
    return content[:start] + content[start + random.choice([1, 2, 7, 64]) :]


def doubled(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) or 1)
    part = content[start : start + random.choice([1, 8, 100])]
    return content[:start] + part * random.choice([2, 3, 50]) + content[start:]


def inserted(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(BYTES) * random.choice([1, 1, 3]) + content[at:]


def overwritten(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) or 1)
    stop = start + random.choice([1, 4, 16])
    return content[:start] + random.choice([b"\0", b"\xff", b"9", b" "]) * 8 + content[stop:]


def appended(content: bytes, random: Random) -> bytes:
    return content + random.choice([b"\0", b"\n", b"junk", b"1,2", b"\x1b[31m", content])


def trap_inserted(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(TRAPS).encode() + content[at:]


def emptied(content: bytes, random: Random) -> bytes:
    return random.choice([b"", b"\n", b" ", b"\0", b"\xef\xbb\xbf", b"#", b"---", b'"'])


def of_another_kind(content: bytes, random: Random) -> bytes:
    return random.choice(
        [
            whole.npy(whole.labels()),
            whole.npz({"x": whole.inputs()}),
            whole.idx(whole.labels().astype("u1")),
            whole.image(whole.MATRIX, "PNG"),
            whole.gz(b"1,2\n3,4\n"),
            b"%PDF-1.4\n",
            b"\x7fELF" + bytes(60),
            b"{}",
            b"<html>",
            gzip.compress(content),
        ]
    )


# Text


def line_ends(content: bytes, random: Random) -> bytes:
    return content.replace(b"\n", random.choice([b"\r\n", b"\r", b"\n\r", b"\n\n", b"\x0b", b""]))


def other_encoding(content: bytes, random: Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = random.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"])
    return text.encode(encoding, "replace")


def long_line(content: bytes, random: Random) -> bytes:
    unit = random.choice([b"1,", b"12 ", b"x", b"[", b" ", b'"', b"1\t", b"- ", b"#", b"a: "])
    line = unit * (LONG // len(unit))
    at = random.choice([0, content.find(b"\n") + 1, len(content)])
    return content[:at] + line + random.choice([b"", b"\n"]) + content[at:]


def huge_number(content: bytes, random: Random) -> bytes:
    found = list(re.finditer(rb"\d+(\.\d+)?", content))
    if not found:
        return content + random.choice(NUMBERS).encode()
    place = random.choice(found)
    return content[: place.start()] + random.choice(NUMBERS).encode() + content[place.end() :]


def nested(content: bytes, random: Random) -> bytes:
    depth = random.choice([70, 1000, 100_000])
    opening = random.choice([b"[", b"{", b"{a: ", b"- ", b"(", b"? ", b'"', b"&a ["])
    found = list(re.finditer(rb"[^\s,:]+", content))
    at = random.choice(found).start() if found else 0
    return content[:at] + opening * depth + content[at:]


# Tables


def uneven_label(content: bytes, random: Random) -> bytes:
    """One label as long as a cell may be, among thousands of short ones."""
    lines = [line for line in content.splitlines() if line] or [b"1,a"]
    return b"\n".join([*lines * (5000 // len(lines)), lines[-1] + b"x" * 100_000])


def many_rows(content: bytes, random: Random) -> bytes:
    """Rows by the megabyte, and a mistake in the last, or in each."""
    wrong = random.choice([b"x", b",,,", b"1\n" * 50_000, b'"', b""])
    lines = content if content.endswith(b"\n") else content + b"\n"
    return lines * (2_000_000 // len(lines)) + wrong


# Specs


def billion_laughs(content: bytes, random: Random) -> bytes:
    """Aliases of aliases: values beyond all number from a few lines."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]
    return "\n".join(lines).encode() + b"\n" + content


def tagged(content: bytes, random: Random) -> bytes:
    tag = random.choice(
        [
            b"!!python/object/apply:os.system ['touch code-was-run']",
            b"!!python/object/new:os.system ['touch code-was-run']",
            b"!!python/name:os.system",
            b"!!binary aGVsbG8=",
            b"!!set {a, b}",
            b"!include /etc/passwd",
            b"!!timestamp 2001-01-01",
        ]
    )
    found = list(re.finditer(rb": [^\n{\[]+", content))
    if not found:
        return b"data: " + tag
    place = random.choice(found)
    return content[: place.start()] + b": " + tag + b"\n" + content[place.end() :]


def anchors(content: bytes, random: Random) -> bytes:
    return random.choice(
        [
            b"data: &a {train: *a}\n",
            b"data: *nothing\n",
            b"network: &a [*a]\n",
            b"<<: {data: 1}\n" + content,
            content + b"\n---\n" + content,
            content + b"\n...\n%YAML 9.9\n---\n",
            b"%TAG ! tag:x,1:\n---\n" + content,
            b"? [a, b]\n: 1\n" + content,
        ]
    )


def values_of(spec: Any) -> list[tuple[Any, Any]]:
    """Every value of nested dicts and lists, as its container and its key."""
    places: list[tuple[Any, Any]] = []
    todo = [spec]
    while todo:
        container = todo.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            places.append((container, key))
            if isinstance(container[key], dict | list):
                todo.append(container[key])
    return places


def odd_value(random: Random) -> Any:
    kind = random.choice(["trap", "number", "plain", "deep", "many"])
    match kind:
        case "trap":
            return random.choice(TRAPS).encode("utf-8", "replace").decode()
        case "number":
            return random.choice([10**9, 10**12, 2**63, 10**400, -1, 0, 0.5, -0.0, 1e308, 5e-324])
        case "plain":
            return random.choice([None, True, False, [], {}, [[]], "none", "yes", "same", "x.npy"])
        case "deep":
            value: Any = 1
            for _ in range(random.choice([5, 70, 120])):
                value = [value] if random.random() < 0.9 else {"a": value}
            return value
    if random.random() < 0.2:
        return {f"k{i}": i for i in range(20_000)}
    item = random.choice([1, "a", None, [1, 2], {"type": "dense"}])
    return [item] * random.choice([100, 20_000])


def odd_key(random: Random) -> str:
    known = ["eta", "η", "units", "weights", "bias", "classes", "target", "header", "test", "init"]
    return random.choice([*known, *TRAPS[:10], "epoch", "__class__", "<dense>", "<path>"])


def change_spec(spec: Any, random: Random) -> None:
    """Changes one value or key of a spec, in place."""
    container, key = random.choice(values_of(spec))
    match random.choice(["replace", "replace", "delete", "rename", "add", "wrap"]):
        case "replace":
            container[key] = odd_value(random)
        case "delete":
            del container[key]
        case "rename" if isinstance(container, dict):
            container[odd_key(random)] = container.pop(key)
        case "add" if isinstance(container, dict):
            container[odd_key(random)] = odd_value(random)
        case _:
            container[key] = [container[key]] * random.choice([1, 2, 50])


SIZES = r"units|filters|kernel|size|padding|stride|dilation|batch_size|shape|classes|epochs"


def asks_for_much(text: str) -> bool:
    """Whether sizes were changed into some that are large, but that a machine might well take.

    A spec with a million units is valid, only slow: that is no damage.
    """
    return any(
        re.search(r"(?<![\d.])\d{4,9}(?!\d)", part) is not None
        for part in re.findall(rf"(?:{SIZES})[^a-z]*", text)
    )


# IDX


def idx_head(content: bytes, random: Random) -> bytes:
    """A header that claims what the file does not hold."""
    dimensions = random.choice([1, 2, 3, 4, 5, 255])
    lengths = [random.choice([0, 1, 12, 2**16, 2**31, 2**32 - 1]) for _ in range(dimensions)]
    if np.prod(lengths, dtype=object) <= 4096:
        lengths[0] = 2**32 - 1
        lengths[-1] = lengths[-1] or 7
    code = random.choice([8, 9, 11, 12, 13, 14])
    return struct.pack(f">BBBB{dimensions}I", 0, 0, code, dimensions, *lengths) + content[12:]


# NumPy's files


class Payload:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> Any:
        return os.system, ("touch code-was-run",)


def pickled(content: bytes, random: Random) -> bytes:
    return whole.npy(np.array([Payload(), 1], object), pickled=True)


DESCRS = ["'<f8'", "'<f4'", "'|O'", "'|V8'", "'<U999999'", "[('a', '<f8')]", "'<M8[s]'", "'<c16'"]
DESCRS += ["'\\d'", "'\\x1b[31m'", "'<f8' * 3", "b'<f8'", "None", "'" + "x" * 5000 + "'", "1 is 1"]
SHAPES = ["(99999999999,)", "(2**40,)", "(4294967296, 4294967296)", "(-1,)", "(1e9,)", "(True, 99)"]
SHAPES += ["(" + "1," * 200 + ")", f"({'9' * 5000},)", "(12,", "'abc'", "(0, 99999999999999999999)"]
SHAPES += ["(" * 150 + ")" * 150, "-" * 3000 + "1", "{}", "(12.0,)", "[12, 4]", "1if 0else 2"]


def npy_head(content: bytes, random: Random) -> bytes:
    """A header that claims what the file does not hold, or that makes no sense."""
    descr = random.choice(DESCRS)
    shape = random.choice(SHAPES)
    order = random.choice(["True", "False", "0", "'C'"])
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    version = random.choice([(1, "<H"), (2, "<I"), (3, "<I"), (9, "<I")])
    length = len(text) if random.random() < 0.8 else random.choice([0, 65535])
    head = b"\x93NUMPY" + bytes([version[0], 0]) + struct.pack(version[1], length)
    return head + text + content[128:]


def rezipped(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """An .npz with each member changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return made.getvalue()


def npz_member(content: bytes, random: Random) -> bytes:
    wrong = random.choice([pickled, npy_head])
    return rezipped(content, lambda name, member: wrong(member, random))


def npz_record(content: bytes, random: Random) -> bytes:
    """A change in what the archive says of its first member."""
    at = content.rfind(b"PK\x01\x02")
    made = bytearray(content)
    place, form = random.choice(
        [(8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (42, "<I")]
    )
    values = [0, 1, 8, 12, 14, 99, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1]
    limit = 256 ** struct.calcsize(form) - 1
    value = random.choice([v for v in values if v <= limit])
    struct.pack_into(form, made, at + place, value)
    return bytes(made)


def npz_names(content: bytes, random: Random) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for k in range(random.choice([1, 30, 20_000])):
            archive.writestr(f"{random.choice(TRAPS[:8])}{k}", b"")
    return made.getvalue()


MEBIBYTE = bytes(1 << 20)
BOMB = 300  # MiB of zeros


def deflated(unit: bytes, times: int) -> bytes:
    """`unit` so many times as a raw DEFLATE stream, made of one part that is repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)
    return part * times + b"\x03\0"  # an empty block, and the last


_BOMBS: dict[str, bytes] = {}


def bomb(kind: str, make: Callable[[], bytes]) -> bytes:
    """Made once."""
    if kind not in _BOMBS:
        _BOMBS[kind] = make()
    return _BOMBS[kind]


def text_bomb(unit: bytes) -> bytes:
    """As many members of a gzip file as make a bomb."""
    return gzip.compress(unit * ((1 << 20) // len(unit)), mtime=0) * BOMB


def gzip_bomb(content: bytes, random: Random) -> bytes:
    unit = random.choice([b"0,", b"12\n", b"0 ", b"\n", b"0,0,0,0,0\n", b"a,b\n", b"\0"])
    return bomb(f"gzip {unit!r}", lambda: text_bomb(unit))


def idx_bomb(content: bytes, random: Random) -> bytes:
    """Gzip whose IDX header promises what it does hold."""

    def make() -> bytes:
        head = struct.pack(">BBBBII", 0, 0, 8, 2, BOMB, 1 << 20)
        return gzip.compress(head, mtime=0) + text_bomb(b"\0")

    return bomb("idx", make)


def zip_bomb(content: bytes, random: Random) -> bytes:
    """An .npz that holds far more than its size; half of them lie about it."""
    if random.random() < 0.5:
        return bomb("zip", lambda: zipped_zeros(BOMB))
    return bomb("lying zip", lambda: zipped_zeros(BOMB, claim=BOMB << 20, filler=1 << 19))


def zipped_zeros(mebibytes: int, *, claim: int | None = None, filler: int = 0) -> bytes:
    """An .npz of zeros.

    claim: how many bytes they are said to take in the archive. filler: bytes of no use, for a
    reader that believes it to go on with.
    """
    rows = mebibytes << 17
    head = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (rows, 1)}
    np.lib.format.write_array_header_1_0(head, header)
    parts = b""
    entries = b""
    for name in (b"x.npy", b"y.npy"):
        stream = deflated(MEBIBYTE, mebibytes)
        # A stored block of DEFLATE in front of the others: not the last, its length, its content.
        first = head.getvalue()
        stored = struct.pack("<BHH", 0, len(first), len(first) ^ 0xFFFF) + first
        packed = stored + stream
        crc = zlib.crc32(first)
        for _ in range(mebibytes):
            crc = zlib.crc32(MEBIBYTE, crc)
        expanded = len(first) + (mebibytes << 20)
        said = claim or len(packed)
        fields = (20, 0, 8, 0, 0x21, crc, said, expanded, len(name), 0)
        entries += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHH", 20, *fields)
        entries += struct.pack("<HHHII", 0, 0, 0, 0, len(parts)) + name
        parts += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields) + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, 2, 2, len(entries), len(parts), 0)
    parts += bytes(filler)
    return parts + entries + b"PK\x05\x06" + end


# Images


def png_chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png_head(content: bytes, random: Random) -> bytes:
    """A PNG that claims another size than it has, and is otherwise in order."""
    width, height = random.choice([(2**31 - 1, 1), (60_000, 60_000), (0, 5), (10**9, 10**9)])
    depth = random.choice([1, 8, 16, 3])
    head = struct.pack(">IIBBBBB", width, height, depth, random.choice([0, 2, 3, 4, 6]), 0, 0, 0)
    return content[:8] + png_chunk(b"IHDR", head) + content[33:]


def png_bomb(content: bytes, random: Random) -> bytes:
    def make() -> bytes:
        side = 9000
        rows = bytes(30 * (1 + 3 * side))
        check = 1
        for _ in range(side // 30):
            check = zlib.adler32(rows, check)
        packed = b"\x78\x9c" + deflated(rows, side // 30) + struct.pack(">I", check)
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = (b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)

    return bomb("png", make)


# Checkpoints


def sealed(content: bytes) -> bytes:
    """With the checksum that belongs to it, so that readers look further than that."""
    found = re.search(rb'"checksum": "([0-9a-f]{8})"', content)
    if found is None:
        return content
    start, stop = found.span(1)
    crc = zlib.crc32(content[:start] + b"0" * 8 + content[stop:])
    return content[:start] + f"{crc:08x}".encode() + content[stop:]


HEADERS = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[]",
    b"1",
    b"\xff",
    b"{}",
    b'{"a": NaN}',
    b'{"a": 1}',
]
HEADERS += [b'{"__metadata__": []}', b'{"__metadata__": {"format": 1}}', b'{"a": {"shape": [' * 9]
HEADERS += [b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b"]}}", b"[]," * 100_000]
ENTRIES: list[Any] = [None, [], {}, "F64", "F128", TRAPS[0], -1, 0.5, 2**70, [2**70, 0], [1] * 100]
ENTRIES += [[0, 2**63], [-8, 8], [0], "ab", True, [[1]], {"dtype": "F32"}, 1e400, "x" * 100_000]


def checkpoint_head(content: bytes, random: Random) -> bytes:
    """Another header, with the checksum that belongs to it."""
    header, numbers = whole.checkpoint_parts(content)
    match random.choice(["value", "value", "value", "metadata", "place", "bytes", "length"]):
        case "bytes":
            return whole.checkpoint(random.choice(HEADERS), numbers)
        case "length":
            length = random.choice([0, 7, len(content), 2**31, 2**63, 2**64 - 1])
            return length.to_bytes(8, "little") + content[8:]
        case "metadata":
            header["__metadata__"] = random.choice(
                [[], "x", 1, None, {}, {"format": "nncli.checkpoint/99"}, {"format": TRAPS[0]}]
            )
        case "place":
            metadata = header["__metadata__"]
            key = random.choice(list(metadata))
            metadata[key] = random.choice(
                ["{}", "[]", "1", "null", "[" * 5000, "{", "NaN", TRAPS[0]]
                + [metadata[key].replace(":", ": -", 1), metadata[key].replace("0", "1e400")]
                + [re.sub(r"\d+(\.\d+)?", word, metadata[key]) for word in ("1e300", "0.5", '"x"')]
                + [re.sub(r"\d+(\.\d+)?", word, metadata[key]) for word in ("true", "-1", "NaN")]
                + [re.sub(r"\b\d+\b(?!\.)", word, metadata[key]) for word in ("7", str(10**15))]
            )
        case _:
            container, key = random.choice(values_of(header))
            container[key] = random.choice(ENTRIES)
    return sealed(whole.checkpoint(header, numbers))


def weights_changed(content: bytes, random: Random) -> bytes:
    """Numbers that no training leaves behind, with the checksum that belongs to them."""
    header, numbers = whole.checkpoint_parts(content)
    wrong = random.choice([b"\xff", b"\x7f", b"\0", b"\x80"]) * 64
    return sealed(whole.checkpoint(header, wrong[: len(numbers)] + numbers[64:]))


def metrics_line(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b"{}\n"]
    line = random.choice(
        [b"{}\n", b"[]\n", b"null\n", b"1\n", b'"x"\n', b"{\n", b"[" * 100_000 + b"\n", b"NaN\n"]
        + [json.dumps({"epoch": value}).encode() + b"\n" for value in (0, -1, 10**400, "1", TRAPS)]
        + [re.sub(rb"\d+(\.\d+)?", b"1e400", lines[0]), re.sub(rb":[^,]+", b": null", lines[0])]
    )
    at = random.randrange(len(lines) + 1)
    return b"".join([*lines[:at], line, *lines[at:]])


# What stands in a file's place


def missing(path: Path, random: Random) -> None:
    path.unlink()


def folder(path: Path, random: Random) -> None:
    path.unlink()
    path.mkdir()


def link_to_itself(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def link_to_device(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to(random.choice(["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem", "/"]))


def link_to_file(path: Path, random: Random) -> None:
    """A link to the very file, which is as good."""
    kept = path.with_name(f"kept.{path.name}")
    path.rename(kept)
    path.symlink_to(kept.name)


def fifo(path: Path, random: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def unix_socket(path: Path, random: Random) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


# The tables


class Damage(NamedTuple):
    """A change of bytes; `refused`: whether no reader may take what it leaves."""

    change: Callable[[bytes, Random], bytes]
    refused: bool = False

    @property
    def name(self) -> str:
        return self.change.__name__


ANY = [Damage(f) for f in (truncated, flipped, head_flipped, cut_out, doubled, inserted)]
ANY += [Damage(f) for f in (overwritten, appended, trap_inserted, emptied, of_another_kind)]
TEXT = [Damage(f) for f in (line_ends, other_encoding, long_line, huge_number, nested)]
TABLE = [Damage(uneven_label), Damage(many_rows)]
SPEC = [Damage(billion_laughs, refused=True), Damage(tagged), Damage(anchors)]
IDX = [Damage(idx_head, refused=True)]
NPY = [Damage(pickled, refused=True), Damage(npy_head)]
NPZ = [Damage(npz_member), Damage(npz_record), Damage(npz_names), Damage(zip_bomb, refused=True)]
PNG = [Damage(png_head, refused=True), Damage(png_bomb, refused=True)]
GZIP = [Damage(gzip_bomb, refused=True)]
IDX_GZIP = [Damage(idx_bomb, refused=True)]
CHECKPOINT = [Damage(checkpoint_head), Damage(weights_changed)]
METRICS = [Damage(metrics_line)]
PLACES = [missing, folder, link_to_itself, link_to_device, link_to_file, fifo, unix_socket]


def damages_of(name: str) -> list[Damage]:
    """What can be done to a file of this name."""
    plain = name.removesuffix(".gz")
    gzipped = name.endswith(".gz")
    own: list[Damage] = []
    if plain.endswith((".csv", ".tsv", ".txt")):
        own = GZIP if gzipped else TEXT + TABLE
    elif plain.endswith((".yaml", ".yml")):
        own = TEXT + SPEC
    elif plain.endswith(".idx"):
        own = IDX_GZIP if gzipped else IDX
    elif plain.endswith(".npy"):
        own = [] if gzipped else NPY
    elif plain.endswith(".npz"):
        own = NPZ
    elif plain.endswith(".png"):
        own = PNG
    elif plain.endswith(".safetensors"):
        own = CHECKPOINT
    elif plain.endswith(".jsonl"):
        own = TEXT + METRICS
    # A file's own ways to break are as frequent as all the others.
    return ANY + own * max(1, len(ANY) // max(1, len(own)))


def damage_inside(content: bytes, random: Random, name: str) -> bytes:
    """A gzip file whose content is damaged, and packed again."""
    inner = random.choice(damages_of(name.removesuffix(".gz")))
    return whole.gz(inner.change(gzip.decompress(content), random))

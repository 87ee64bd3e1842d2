"""Specs as YAML text: a Spec dumped, a new one composed, and in what dumped ones differ.

What is dumped reads back as an equal spec, wherever the copy is put. A composed one is for a
reader: sections of keys, and behind each key why it has its value.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from nncli.core.errors import SpecError
from nncli.core.text import printable
from nncli.spec.models import Spec
from nncli.spec.schema import POINTER
from nncli.spec.words import KeyPath, utf8
from nncli.spec.yaml12 import resolve

# Words that need no quotes, in YAML 1.1 readers neither: those take `yes`, `1:30` otherwise.
_PLAIN = re.compile(r"[A-Za-z_./][\w./ -]*(?<! )", re.ASCII)
_YAML11 = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

_CONSTANTS = {None: "null", True: "true", False: "false"}

Line = tuple[str, KeyPath | None]


def dump_spec(spec: Spec) -> str:
    """The spec with every default filled in and every path absolute.

    Raises SpecError for a path that is not UTF-8: YAML has no way to write it.
    """
    return dump_values(spec.absolute())


def dump_values(values: dict[str, Any]) -> str:
    """That, of what `Spec.absolute` gives."""
    return "".join(f"{line}\n" for line, _ in _mapping(values, ()))


def dump_portable(spec: Spec) -> str:
    """The spec with every default filled in, and of each path its last part alone."""

    def without_folders(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_folders(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(without_folders(item) for item in value)
        return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value

    lines = _mapping(without_folders(spec.absolute()), ())
    return "".join(f"{line}\n" for line, _ in lines)


def spec_lines(spec: Spec) -> Iterator[Line]:
    """The lines of that, each with the path of the value that begins in it.

    A mapping's own line and the rows of a list have none.
    """
    return _mapping(spec.absolute(), ())


def _mapping(mapping: dict[str, Any], path: KeyPath) -> Iterator[Line]:
    for key, value in mapping.items():
        place = (*path, key)
        if not _is_block(value):
            yield f"{flow(key)}: {flow(value)}", place
            continue
        is_mapping = isinstance(value, dict)
        has_parts = is_mapping or isinstance(value[0], dict)
        yield f"{flow(key)}:", None if has_parts else place
        lines = _mapping(value, place) if is_mapping else _items(value, place)
        yield from ((f"  {line}", where) for line, where in lines)


def _items(items: tuple[Any, ...], path: KeyPath) -> Iterator[Line]:
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            yield f"- {flow(item)}", None
            continue
        for i, (line, where) in enumerate(_mapping(item, (*path, index))):
            yield f"{'  ' if i else '- '}{line}", where


def _is_block(value: Any) -> bool:
    """Mappings, and lists of those or of lists; a row of numbers stays in one line."""
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], dict | tuple)
    return isinstance(value, dict)


def flow(value: Any) -> str:
    """A value as it is written in one line of YAML."""
    # What there is most of comes first: to ask whether it is a Mapping takes longest.
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, int | float):
        # YAML 1.1 takes 1e-05 for text and 1.0e-05 for a number; 1.2 takes both for a number.
        text = repr(value)
        return re.sub(r"^(-?\d+)e", r"\1.0e", text) if "e" in text else text
    if isinstance(value, tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, Mapping):
        parts = (f"{flow(key)}: {flow(entry)}" for key, entry in value.items())
        return f"{{{', '.join(parts)}}}"
    return repr(value)


@lru_cache(1024)  # keys are the same in all specs
def _text(text: str) -> str:
    written = utf8(text)
    if written is None:
        message = "this path is not UTF-8, so no spec can hold it; rename the file or folder"
        raise SpecError([f"{printable(text, 4096)}: {message}"])
    text = written
    # Other programs may read the file too, by YAML 1.1.
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML11 and resolve(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    """YAML has no place for some of these, and a terminal would act on others."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# In what dumped specs differ


ABSENT = ...  # what a spec has no place for: the third layer of a network of two


def differences(
    values: Sequence[Any], path: KeyPath = ()
) -> Iterator[tuple[KeyPath, tuple[Any, ...]]]:
    """The paths at which dumped specs are not all equal, as far down as they are alike."""
    first = values[0]
    if all(value == first for value in values):
        return
    if all(isinstance(value, dict) for value in values):
        if "type" in first and len({v.get("type") for v in values}) > 1:
            yield path, tuple(values)
            return
        for key in dict.fromkeys(key for value in values for key in value):
            yield from differences([value.get(key, ABSENT) for value in values], (*path, key))
    elif all(isinstance(v, tuple) and v and isinstance(v[0], dict) for v in values):
        for index in range(max(map(len, values))):
            there = [value[index] if index < len(value) else ABSENT for value in values]
            yield from differences(there, (*path, index))
    else:
        yield path, tuple(values)


# A spec for a reader


COMPOSED_WIDTH = 96  # of a line with its comment
SHORT_LINE = 60  # a line that may have one behind it


class Entry(NamedTuple):
    """A key with its value; without a key, an item of a list. `off`: as a comment, to be tried.

    A value that is a list of entries is the mapping of these, each with its own comment.
    """

    key: str
    value: Any
    why: str = ""
    off: bool = False


class Section(NamedTuple):
    """The keys below one key; without a key, those of the whole file."""

    key: str
    entries: Sequence[Entry]


def compose(heading: Sequence[str], sections: Sequence[Section]) -> str:
    """The text of a spec: where editors find its schema, a heading, the sections."""
    lines = [POINTER]
    lines += [f"# {line}" for text in heading for line in wrap(text, COMPOSED_WIDTH - 2)]
    for k, section in enumerate(sections):
        lines += ["", *_section_lines(section)] if k else _section_lines(section)
    return "".join(f"{line}\n" for line in lines)


def _section_lines(section: Section, width: int = COMPOSED_WIDTH) -> Iterator[str]:
    """A comment follows its key, where there is room; else, and on items, above it."""
    indent = "  " if section.key else ""
    if section.key:
        yield f"{section.key}:"
    written = [[indent + line for line in _entry_lines(entry)] for entry in section.entries]
    short = [len(lines[0]) for lines in written if len(lines) == 1]
    at = max((length for length in short if length < SHORT_LINE), default=0) + 2
    for lines, entry in zip(written, section.entries, strict=True):
        if isinstance(entry.value, list):
            inner = _section_lines(Section(entry.key, entry.value), width - len(indent))
            yield from (indent + line for line in inner)
        elif not entry.why:
            yield from lines
        elif (
            entry.key
            and len(lines) == 1
            and len(lines[0]) <= at - 2
            and at + len(entry.why) + 2 <= width
        ):
            yield f"{lines[0]:<{at}}# {entry.why}"
        else:
            yield from (f"{indent}# {part}" for part in wrap(entry.why, width - 2 - len(indent)))
            yield from lines


def _entry_lines(entry: Entry) -> list[str]:
    if isinstance(entry.value, list):
        return []
    value = flow(entry.value)
    line = f"{flow(entry.key)}: {value}" if entry.key else f"- {value}"
    if entry.key and isinstance(entry.value, dict) and len(line) > SHORT_LINE:
        parts = (f"  {key}: {flow(value)}" for key, value in entry.value.items())
        return [f"{entry.key}:", *parts]
    return [f"# {line}" if entry.off else line]

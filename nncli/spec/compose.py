"""A spec written for a reader: sections of keys, and behind each key why it has its value."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from nncli.spec.dump import flow
from nncli.spec.schema import POINTER

WIDTH = 96  # of a line with its comment
SHORT = 60  # a line that may have one behind it


class Entry(NamedTuple):
    """A key with its value; without a key, an item of a list. `off`: as a comment, to be tried."""

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
    lines += [f"# {line}" for text in heading for line in wrap(text, WIDTH - 2)]
    for k, section in enumerate(sections):
        lines += ["", *_section(section)] if k else _section(section)
    return "".join(f"{line}\n" for line in lines)


def _section(section: Section) -> Iterator[str]:
    """A comment stands behind its key, where there is room; else, and on items, above it."""
    indent = "  " if section.key else ""
    if section.key:
        yield f"{section.key}:"
    written = [[indent + line for line in _lines(entry)] for entry in section.entries]
    short = [len(lines[0]) for lines in written if len(lines) == 1]
    at = max((length for length in short if length < SHORT), default=0) + 2
    for lines, entry in zip(written, section.entries, strict=True):
        if not entry.why:
            yield from lines
        elif (
            entry.key
            and len(lines) == 1
            and len(lines[0]) <= at - 2
            and at + len(entry.why) + 2 <= WIDTH
        ):
            yield f"{lines[0]:<{at}}# {entry.why}"
        else:
            yield from (f"{indent}# {part}" for part in wrap(entry.why, WIDTH - 2 - len(indent)))
            yield from lines


def _lines(entry: Entry) -> list[str]:
    value = _mapping(entry.value) if isinstance(entry.value, dict) else flow(entry.value)
    line = f"{entry.key}: {value}" if entry.key else f"- {value}"
    if entry.key and isinstance(entry.value, dict) and len(line) > SHORT:
        parts = (f"  {key}: {flow(value)}" for key, value in entry.value.items())
        return [f"{entry.key}:", *parts]
    return [f"# {line}" if entry.off else line]


def _mapping(mapping: dict[str, Any]) -> str:
    parts = (
        f"{key}: {_mapping(value) if isinstance(value, dict) else flow(value)}"
        for key, value in mapping.items()
    )
    return f"{{{', '.join(parts)}}}"

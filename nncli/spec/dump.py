"""A Spec as YAML that reads back as an equal spec, wherever the copy is put."""

import json
import re
from collections.abc import Iterator
from typing import Any

from nncli.core.errors import SpecError
from nncli.core.text import printable
from nncli.spec.models import Spec
from nncli.spec.words import KeyPath, utf8
from nncli.spec.yaml12 import resolve

# Words that need no quotes, in YAML 1.1 readers neither: those take `yes`, `1:30` otherwise.
_PLAIN = re.compile(r"[A-Za-z_./][\w./ -]*(?<! )", re.ASCII)
_YAML11 = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

Line = tuple[str, KeyPath | None]


def dump_spec(spec: Spec) -> str:
    """The spec with every default filled in and every path absolute.

    Raises SpecError for a path that is not UTF-8: YAML has no way to write it.
    """
    return "".join(f"{line}\n" for line, _ in lines_of(spec))


def lines_of(spec: Spec) -> Iterator[Line]:
    """The lines of that, each with the path of the value that begins in it.

    A mapping's own line and the rows of a list have none.
    """
    return _mapping(spec.absolute(), ())


def _mapping(mapping: dict[str, Any], path: KeyPath) -> Iterator[Line]:
    for key, value in mapping.items():
        place = (*path, key)
        if not _is_block(value):
            yield f"{key}: {flow(value)}", place
            continue
        is_mapping = isinstance(value, dict)
        has_parts = is_mapping or isinstance(value[0], dict)
        yield f"{key}:", None if has_parts else place
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
    """A scalar, or a list, as it stands in one line of YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    # YAML 1.1 takes 1e-05 for text and 1.0e-05 for a number; 1.2 takes both for a number.
    return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))


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

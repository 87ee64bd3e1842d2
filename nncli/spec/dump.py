"""A Spec as YAML that reads back as an equal spec, wherever the copy is put."""

import json
import re
from collections.abc import Iterator
from typing import Any

from nncli.errors import SpecError
from nncli.spec.models import Spec
from nncli.spec.words import clean, utf8
from nncli.spec.yaml12 import resolve

# Words that need no quotes, in YAML 1.1 readers neither: those take `yes`, `1:30` otherwise.
_PLAIN = re.compile(r"[A-Za-z_./][\w./ -]*(?<! )", re.ASCII)
_YAML11 = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
# JSON leaves these as they are, YAML does not allow or does not keep them.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def dump_spec(spec: Spec) -> str:
    """The spec with every default filled in and every path absolute.

    Raises SpecError for a path that is not UTF-8: YAML has no way to write it.
    """
    return "".join(f"{line}\n" for line in _mapping(spec.absolute()))


def _mapping(mapping: dict[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if not _is_block(value):
            yield f"{key}: {_flow(value)}"
            continue
        yield f"{key}:"
        lines = _mapping(value) if isinstance(value, dict) else _items(value)
        yield from (f"  {line}" for line in lines)


def _items(items: tuple[Any, ...]) -> Iterator[str]:
    for item in items:
        if not isinstance(item, dict):
            yield f"- {_flow(item)}"
            continue
        for i, line in enumerate(_mapping(item)):
            yield f"{'  ' if i else '- '}{line}"


def _is_block(value: Any) -> bool:
    """Mappings, and lists of those or of lists; a row of numbers stays in one line."""
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], dict | tuple)
    return isinstance(value, dict)


def _flow(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_flow, value))}]"
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
        raise SpecError([f"{clean(text, 4096)}: {message}"])
    text = written
    # Other programs may read the file too, by YAML 1.1.
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML11 and resolve(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)

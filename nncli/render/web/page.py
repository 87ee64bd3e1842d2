"""One self-contained HTML file: its frame, its policy, and the escaping that everything shares."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from nncli.core.text import printable
from nncli.nn.arrays import Array
from nncli.render.web.record import embed

TEXT = re.compile("[`'/]")
STRING = re.compile(r'("(?:[^"\\]|\\.)*")')
# A page loads nothing: no request leaves it, whatever a name in it says.
POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
    "style-src 'sha256-{style}'; script-src {script}"
)


def escape(text: object) -> str:
    """Text in which nothing is markup, in content as in a quoted attribute.

    Control characters and those that turn the direction of writing are spelled out.
    """
    made = printable(str(text))
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        made = made.replace(sign, entity)
    return made


def write_page(
    title: str,
    body: str,
    *,
    scripts: Iterable[str] = (),
    styles: Iterable[str] = (),
    start: str = "",
    record: Mapping[str, Any] | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> bytes:
    """A whole document.

    Args:
        title: plain text; escaped here.
        body: HTML, whose parts were escaped where they were made.
        scripts: names in `assets`, without `.js`, in the order in which they are joined.
        styles: names in `assets`, without `.css`, beside that of every page.
        start: the function of them that is called with the document when all is read.
        record: what the scripts read by `readRecord`, plain data.
        arrays: what they find in `record.arrays`, by name.
    """
    style = "\n".join(asset(f"{name}.css") for name in ("page", *styles))
    code = joined(scripts, start) if start else ""
    embedded = "" if record is None else embed(record, arrays or {})
    policy = POLICY.format(
        style=_digest(style), script=f"'sha256-{_digest(code)}'" if code else "'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
{embedded}
{f"<script>{code}</script>" if code else ""}
</body>
</html>
""".encode()


def joined(scripts: Iterable[str], start: str) -> str:
    """Scripts as one, in a scope of their own, which ends in a call of `start`."""
    code = "\n".join(asset(f"{name}.js") for name in scripts)
    return f'(() => {{\n"use strict";\n{code}\n{start}(document);\n}})();'


@cache
def asset(name: str) -> str:
    """A file of `assets`; of scripts without indentation, and lines that are comments."""
    text = (files("nncli.render.web") / "assets" / name).read_text(encoding="utf-8")
    if name.endswith(".js"):
        lines = (line.strip() for line in text.splitlines())
        return "\n".join(map(_closed, (x for x in lines if x and not x.startswith("//"))))
    return "".join(line.strip() for line in text.splitlines())


def _closed(line: str) -> str:
    """A line of a script without the blanks that only a reader needs.

    Those in strings stay; a line with a template or a slash, which may begin a regular expression,
    is left as it is.
    """
    if TEXT.search(line):
        return line
    pieces = STRING.split(line)
    pieces[::2] = [re.sub(r" ?([{}()\[\],;:=<>?&|*]+) ?", r"\1", code) for code in pieces[::2]]
    return "".join(pieces)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

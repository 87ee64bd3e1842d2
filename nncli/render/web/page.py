"""One self-contained HTML file: its frame, its policy, and the escaping that everything shares."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from nncli.core.text import printable
from nncli.nn.arrays import Array
from nncli.render.web.record import embed
from nncli.render.web.scripts import asset, joined

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


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

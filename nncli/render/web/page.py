"""One self-contained HTML file: its frame, its policy, and the escaping that everything shares."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nncli.core.text import printable
from nncli.nn.arrays import Array
from nncli.render.web.record import embed
from nncli.render.web.scripts import asset, code, joined

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


class WebPage(NamedTuple):
    """A page before it is written.

    Attributes:
        title: plain text.
        body: HTML, whose parts were escaped where they were made.
        scripts: names in `assets`, without `.js`, in the order in which they are joined.
        styles: names in `assets`, without `.css`, beside that of every page.
        start: the function of them that is called with the root of the page when all is read: the
            document, or a shadow root.
        record: what the scripts read by `readRecord`, plain data.
        arrays: what they find in `record.arrays`, by name.
    """

    title: str
    body: str
    scripts: Iterable[str] = ()
    styles: Iterable[str] = ()
    start: str = ""
    record: Mapping[str, Any] | None = None
    arrays: Mapping[str, Array] | None = None

    def document(self) -> bytes:
        """A whole document."""
        script = joined(self.scripts, self.start) if self.start else ""
        style = self.style()
        policy = POLICY.format(
            style=_digest(style), script=f"'sha256-{_digest(script)}'" if script else "'none'"
        )
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(self.title)}</title>
<style>{style}</style>
</head>
<body>
{self.content()}
{f"<script>{script}</script>" if script else ""}
</body>
</html>
""".encode()

    def fragment(self, text: str) -> str:
        """The page for within another one, such as a notebook.

        Its script puts it into a shadow root of its own, so that two know nothing of each other;
        where scripts do not run, `text` stands there.
        """
        style = f"<style>{self.style()}</style>"
        content = _script_text(f'{style}<div class="page">{self.content()}</div>')
        name = f"nncli-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        start = f"{self.start}(root);" if self.start else ""
        return f"""<div class="{name}"><pre>{escape_lines(text)}</pre></div>
<script>(() => {{
"use strict";
{code(self.scripts)}
for (const host of document.querySelectorAll(".{name}")) {{
if (host.shadowRoot) continue;
const root = host.attachShadow({{mode: "open"}});
root.innerHTML = {content};
{start}
}}
}})();</script>"""

    def style(self) -> str:
        return "\n".join(asset(f"{name}.css") for name in ("page", *self.styles))

    def content(self) -> str:
        """The body, and the record behind it."""
        if self.record is None:
            return self.body
        return f"{self.body}\n{embed(self.record, self.arrays or {})}"


def write_page(title: str, body: str, **parts: Any) -> bytes:
    """A whole document; its parts are those of `WebPage`."""
    return WebPage(title, body, **parts).document()


def escape_lines(text: str) -> str:
    """`escape` of text that keeps its lines."""
    return "\n".join(map(escape, text.split("\n")))


def _script_text(text: str) -> str:
    """Text as a literal of a script, in which no `<` can end the script."""
    return json.dumps(text).replace("<", "\\u003c")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

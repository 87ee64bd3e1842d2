"""A page as a picture of a terminal, in SVG, with fonts that the reader has: nothing is fetched."""

from nncli.core.text import printable
from nncli.render.document import Page
from nncli.render.terminal import recorded

# As `Console.export_svg` fills it in. Every piece of text has its length, so that columns are
# aligned in whatever font there is.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: Menlo, 'DejaVu Sans Mono', Consolas, 'Courier New', monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
        font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{
        font-size: 18px;
        font-weight: bold;
        font-family: Arial, sans-serif;
    }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
       clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""


def to_svg(page: Page, title: str) -> str:
    return recorded(page).export_svg(title=printable(title), code_format=TEMPLATE)

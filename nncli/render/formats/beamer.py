"""A page as beamer slides: a frame a part, its lines and matrices one after the other."""

import re
from collections.abc import Iterable, Iterator

from nncli.render.document import Block, Equation, Grid, Heading, HeatMap, Lines, Page, Paragraph
from nncli.render.formats.latex import PACKAGES, block_tex, tex

PREAMBLE = rf"""\documentclass[aspectratio=169]{{beamer}}
\usepackage[T1]{{fontenc}}
\usepackage[utf8]{{inputenc}}
{PACKAGES}
\newcommand{{\fit}}[1]{{\resizebox{{\ifdim\width>\textwidth\textwidth\else\width\fi}}{{!}}{{#1}}}}
\setbeamertemplate{{navigation symbols}}{{}}
\setbeamertemplate{{footline}}[frame number]
\begin{{document}}
"""
END = "\\end{document}\n"
MOST_LINES = 14  # of a frame, as `lines_of` counts them
WORDS_A_LINE = 100  # characters
WIDE = 8  # columns of an equation that beamer sets in one line

DISPLAY = re.compile(r"\\\[ (.*?) \\\]")

Part = tuple[list[str], list[Block]]  # the headings over some blocks, and these


def to_beamer(page: Page) -> str:
    frames = [frame for part in parts(page) for frame in _frames(*part)]
    return PREAMBLE + "\n".join(frames) + "\n" + END


def parts(page: Page) -> Iterator[Part]:
    """The blocks between headings, with the headings that they are under."""
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for block in page:
        if isinstance(block, Heading):
            if blocks:
                yield [text for _, text in headings], blocks
            blocks = []
            headings = [*((n, text) for n, text in headings if n < block.level)]
            headings.append((block.level, block.text))
        elif not (isinstance(block, Paragraph) and block.note):
            blocks.append(block)
    if blocks:
        yield [text for _, text in headings], blocks


def _frames(headings: list[str], blocks: Iterable[Block]) -> Iterator[str]:
    """One or more frames; what does not fit on one goes on on the next."""
    shown: list[Block] = []
    used = 0
    for group in _groups(blocks):
        needed = sum(map(lines_of, group))
        if shown and used + needed > MOST_LINES:
            yield _frame(headings, shown)
            shown, used = [], 0
        shown += group
        used += needed
    if shown:
        yield _frame(headings, shown)


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks each with the words before it that end in a colon."""
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        if not (isinstance(block, Paragraph) and block.text.endswith(":")):
            yield group
            group = []
    if group:
        yield group


def lines_of(block: Block) -> int:
    """How many lines a block takes on a slide, about."""
    match block:
        case Equation():
            lines = max(len(term.rows) for term in block.terms) + 2
            if sum(len(term.columns) for term in block.terms) <= WIDE:
                return lines
            return sum(len(term.rows) + 1 for term in block.terms) + 2
        case HeatMap():
            return len(block.rows) + 2
        case Grid(_, rows, _):
            return len(rows) + 2
        case Lines(lines_):
            return sum(1 + len(line) // WORDS_A_LINE for line in lines_)
        case Paragraph(text, _):
            return 1 + len(text) // WORDS_A_LINE
        case Heading():
            return 1


def _fitted(block: Block) -> str:
    """A block in which nothing is wider than the slide."""
    made = DISPLAY.sub(r"\\[ \\fit{$\\displaystyle \1$} \\]", block_tex(block, is_slide=True))
    return f"\\fit{{{made}}}\\par" if isinstance(block, Grid) else made


def _frame(headings: list[str], blocks: list[Block]) -> str:
    """Blocks that appear one after the other; what is taller than the slide is made smaller."""
    title = ": ".join(headings[-2:]) if len(headings) > 2 else headings[-1] if headings else ""
    body = "\n\\pause\n".join(map(_fitted, blocks))
    lines = sum(map(lines_of, blocks))
    size = r"\small" if lines <= MOST_LINES * 2 // 3 else r"\footnotesize"
    shrink = "[shrink]" if lines > MOST_LINES else ""
    return f"\\begin{{frame}}{shrink}\n\\frametitle{{{tex(title)}}}\n{size}\n{body}\n\\end{{frame}}"

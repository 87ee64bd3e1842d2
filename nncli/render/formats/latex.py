"""A page in LaTeX: a document that compiles as it is, or a fragment for one's own."""

import re
from itertools import chain, zip_longest

from nncli.core.text import printable
from nncli.render.document import (
    Block,
    Equation,
    Grid,
    Heading,
    HeatMap,
    Lines,
    MatrixTerm,
    Page,
    Paragraph,
)
from nncli.render.notation import TERMS
from nncli.render.text import GAP, cells

PACKAGES = r"""\usepackage{amsmath}
\usepackage{longtable}
\setcounter{MaxMatrixCols}{64}"""
PREAMBLE = rf"""\documentclass[a4paper]{{article}}
\usepackage[T1]{{fontenc}}
\usepackage[utf8]{{inputenc}}
\usepackage[margin=2cm]{{geometry}}
{PACKAGES}
\setlength{{\parindent}}{{0pt}}
\setlength{{\parskip}}{{1ex}}
\begin{{document}}
"""
END = "\\end{document}\n"

SECTION = {0: "section", 1: "section", 2: "subsection", 3: "subsubsection"}
SIGNS = {
    "·": r"\cdot",
    "⊙": r"\odot",
    "⊗": r"\otimes",
    "⊘": r"\oslash",
    "→": r"\mapsto",
    "−": "-",
    "+": "+",
    "=": "=",
}

# Symbols in running text; each as mathematics.
MATHEMATICS = {
    "∂": r"\partial ", "δ": r"\delta ", "Δ": r"\Delta ", "σ": r"\sigma ", "η": r"\eta ",
    "λ": r"\lambda ", "μ": r"\mu ", "Σ": r"\Sigma ", "⊙": r"\odot ", "⊗": r"\otimes ",
    "⊘": r"\oslash ",
    "·": r"\cdot ", "×": r"\times ", "→": r"\to ", "−": "-", "′": "'", "‖": r"\| ",
    "α": r"\alpha ", "φ": r"\varphi ", "Φ": r"\Phi ",
    "β": r"\beta ", "γ": r"\gamma ", "ε": r"\varepsilon ", "√": r"\surd ",
    "₁": "_{1}", "₂": "_{2}", "ᵗ": "^{t}",
    "∇": r"\nabla ", "ᵀ": r"^{T}", "½": r"\tfrac{1}{2}",
    "²": "^{2}", "≤": r"\le ", "≥": r"\ge ", "★": r"\star ",
}  # fmt: skip
HAT = "\u0302"  # over the letter before it
LETTER_WITH_HAT = rf"(\w){HAT}"  # splits a text so that every second part is such a letter
INDICES = r"[\dijklx](?:[\dijklx,]*[\dijklx])?"  # 0, j, 1,12 or 6j
INDEXED = rf"(?<![^\W_])(?<!_)([A-Za-zδΣ])_({INDICES})(?!\w)"  # z_j, splits a text in threes
WORDS = {"…": r"\ldots{}", "–": "--", "—": "---"}
ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "-": "{-}",  # or two in a row would become a dash
    "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
WIDEST = 8  # columns of matrices that are set in one line


def to_latex(page: Page) -> str:
    """A document that compiles as it is."""
    return PREAMBLE + _body(page) + END


def to_fragment(page: Page) -> str:
    """What can be read into a document of one's own, whose preamble it names."""
    needs = "".join(f"% {line}\n" for line in ("Needs in the preamble:", *PACKAGES.splitlines()))
    return needs + _body(page)


def _body(page: Page) -> str:
    return "\n".join(map(block_tex, page)) + "\n"


def tex(text: str) -> str:
    """Text in which nothing is markup and every symbol is set."""
    # A hyphen before a number is a minus.
    text = re.sub(r"(?<![\w-])-(?=\d)", "−", printable(text))
    return "".join(
        rf"$\hat{{{part}}}$" if k % 2 else _plain(part)
        for k, part in enumerate(re.split(LETTER_WITH_HAT, text))
    )


def _plain(text: str) -> str:
    """Text without hats, in which a letter's indices are set below it."""
    parts = re.split(INDEXED, text)  # of each three, a text, a letter and its indices
    texts = ("".join(map(_character, part)) for part in parts[::3])
    letters = (
        rf"${MATHEMATICS.get(letter, letter).strip()}_{{{index}}}$"
        for letter, index in zip(parts[1::3], parts[2::3], strict=True)
    )
    return "".join(chain.from_iterable(zip_longest(texts, letters, fillvalue="")))


def _character(c: str) -> str:
    if c in MATHEMATICS:
        return f"${MATHEMATICS[c].strip()}$"
    if c in ESCAPES:
        return ESCAPES[c]
    if c in WORDS:
        return WORDS[c]
    # What the fonts at hand may lack is named rather than lost: no name from a spec stops a page.
    return c if c.isascii() else f"(U+{ord(c):04X})"


def block_tex(block: Block, *, is_slide: bool = False) -> str:
    """A block; on a slide a table stays in one piece."""
    match block:
        case Heading(text, level):
            return f"\\{SECTION[level]}*{{{tex(text)}}}"
        case Paragraph(text, note):
            return f"{{\\small {tex(text)}}}\n" if note else f"{tex(text)}\n"
        case Lines(lines):
            # A line must not begin with [, which would be read as the argument of the break before.
            body = "\\\\\n".join(f"{{}}{tex(line)}" for line in lines)
            return f"\\begin{{flushleft}}\\small\n{body}\n\\end{{flushleft}}"
        case Grid():
            return _grid(block, "tabular" if is_slide else "longtable")
        case Equation():
            return _equation(block)
        case HeatMap():
            return _equation(block.as_equation())


def _grid(grid: Grid, environment: str) -> str:
    layout = "".join("l" if k < grid.words else "r" for k in range(len(grid.headings)))
    rows = [" & ".join(f"{{}}{tex(cell)}" for cell in row) + r" \\" for row in grid.rows]
    head = " & ".join(f"{{}}{tex(heading)}" for heading in grid.headings)
    # On every page, and never without a row below it.
    head += r" \\ \hline \noalign{\smallskip}" + (
        " \\endhead" if environment == "longtable" else ""
    )
    body = "\n".join([head, *rows])
    return (
        f"{{\\footnotesize\n\\begin{{{environment}}}{{{layout}}}\n{body}\n\\end{{{environment}}}}}"
    )


def _equation(equation: Equation) -> str:
    parts = [_matrix(matrix) for matrix in equation.terms]
    # A symbol that says what it is ("ΔW = ...") would make another equation of the chain.
    symbols = [matrix.symbol.partition(" = ") for matrix in equation.terms]
    names = [symbol(name) for name, _, _ in symbols]
    signs = [SIGNS[sign] for sign in equation.signs]
    label = f"{tex(equation.label)}:\n" if equation.label else ""
    chain = _chained(names, signs)
    for name, _, definition in symbols:
        if definition:
            chain += rf", \quad {symbol(name)} = {symbol(definition)}"
    if len(parts) > 1 and sum(len(matrix.columns) for matrix in equation.terms) <= WIDEST:
        return f"{label}\\[ {chain} \\]\n{_display('footnotesize', _chained(parts, signs))}"
    lines = [f"\\[ {chain} \\]"] if len(parts) > 1 else []
    for name, part in zip(names, parts, strict=True):
        lines.append(_display("scriptsize", f"{name} = {part}"))
    return label + "\n".join(lines)


def _display(size: str, mathematics: str) -> str:
    return f"{{\\{size}\\[ {mathematics} \\]}}"


def _chained(parts: list[str], signs: list[str]) -> str:
    chained = parts[0]
    for sign, part in zip(signs, parts[1:], strict=True):
        chained += f" {sign} {part}"
    return chained


def _matrix(matrix: MatrixTerm) -> str:
    text = cells(matrix.array, matrix.format, matrix.rows, matrix.columns)
    rows = (" & ".join(_number(cell) for cell in row) for row in text)
    body = r" \\ ".join(rows)
    return f"\\begin{{bmatrix}} {body} \\end{{bmatrix}}"


def _number(cell: str) -> str:
    if cell == GAP:
        return r"\cdots"
    if "e" in cell:
        mantissa, exponent = cell.split("e")
        return rf"{mantissa} \cdot 10^{{{exponent}}}"
    return {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{nan}"}.get(cell, cell)


KNOWN = {term.symbol: term.tex for term in TERMS}


def symbol(text: str) -> str:
    """A matrix's symbol as mathematics."""
    if text in KNOWN:
        return KNOWN[text]
    parts = re.split(INDEXED, text)
    made = "".join(
        rf"{MATHEMATICS.get(part, part)}_{{{parts[k + 1]}}}" if k % 3 == 1 else _signs(part)
        for k, part in enumerate(parts)
        if k % 3 < 2
    )
    return re.sub(r"[A-Za-z]{2,}", _word, made)


def _signs(text: str) -> str:
    """The signs of a symbol without indices."""
    return "".join(
        rf"\hat{{{part}}}"
        if k % 2
        else "".join(MATHEMATICS.get(c, c if c == "-" else ESCAPES.get(c, c)) for c in part)
        for k, part in enumerate(re.split(LETTER_WITH_HAT, text))
    )


def _word(match: "re.Match[str]") -> str:
    before = match.string[: match.start()]
    return match[0] if before.endswith("\\") else rf"\text{{{match[0]}}}"

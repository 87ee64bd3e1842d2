"""LaTeX that compiles: balanced, and with nothing in it that a name could break."""

import ast
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.core.text import in_ascii
from nncli.inspection.findings import why
from nncli.inspection.record import inspect
from nncli.nn.layers import LAYERS
from nncli.render.document import Grid, Heading, Page, Paragraph, equations
from nncli.render.formats.latex import (
    END,
    ESCAPES,
    HAT,
    MATHEMATICS,
    PREAMBLE,
    SIGNS,
    WORDS,
    symbol,
    tex,
    to_latex,
)
from nncli.render.notation import TERMS
from nncli.render.text import Extent
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LENET
from tests.render.reading import VIEWS, WORKED, checked_step, page_of


def assert_well_formed(text: str) -> None:
    assert text.startswith(PREAMBLE)
    assert text.endswith(END)
    assert text.isascii()
    assert "(U+" not in text
    bare = re.sub(r"\\[\\{}$&#%_]", "", text)  # without escaped signs
    depth = 0
    for c in bare:
        depth += {"{": 1, "}": -1}.get(c, 0)
        assert depth >= 0
    assert depth == 0
    stack = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if what == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    opened = re.findall(r"\\\[|\\\]", text)
    assert opened == [r"\[", r"\]"] * (len(opened) // 2)
    for line in bare.splitlines():
        assert line.count("$") % 2 == 0, line
    for name, body in re.findall(r"\\begin\{longtable\}\{([lr]+)\}\n(.*?)\\end", bare, re.DOTALL):
        for row in body.strip().splitlines():
            assert row.count("&") == len(name) - 1, row


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["two-two-two", "seed-3-4-2", "iris", "digits-conv"])
def test_every_page_is_well_formed(name: str, view: str) -> None:
    step = checked_step(name, (0,) if name in WORKED else (0, 1, 2, 3))
    layer = step.trace.layers[-1]
    choices: dict[str, Any] = {}
    if name == "digits-conv":
        choices = {"layer": "conv1", "tap": (0, 0, 1, 1), "cell": (0, 3, 3)}
    reason = why(step.trace, layer, (0, 0))
    assert_well_formed(to_latex(page_of(step, why=reason, view=view, **choices)))


def test_a_page_with_every_kind_of_layer_is_well_formed() -> None:
    step = inspect(trace_of(LENET, steps=2, eta=0.1, momentum=0.9, weight_decay=0.01))
    for view in VIEWS:
        assert_well_formed(to_latex(page_of(step, view=view)))


def test_a_failed_check_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    from nncli.nn.layers import WeightedStep

    monkeypatch.setattr(
        WeightedStep,
        "multiply_hadamard",
        lambda s: [partial(np.copyto, s.delta, s.upstream)],
    )
    text = to_latex(page_of(inspect(spec_trace("two-two-two"))))
    assert "FAILED" in text
    assert_well_formed(text)


def strings(path: Path) -> str:
    """All text in a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return "".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    )


WRITERS = [
    *("notation.py", "text.py", "document.py", "pages/matrices.py"),
    *(
        *(f"pages/kinds/{kind}.py" for kind in ("base", "weighted", "dense", "conv", "shapes")),
        "pages/breakdown.py",
    ),
    *("pages/proof.py", "pages/update.py"),
]


@pytest.mark.parametrize("module", WRITERS)
def test_every_character_that_a_page_may_hold_is_mapped(module: str) -> None:
    found = set(strings(Path(nncli.__file__).parent / "render" / module))
    assert {c for c in found if not c.isascii()} - {*MATHEMATICS, *WORDS, HAT} == set()


@pytest.mark.parametrize("kind", LAYERS)
def test_every_character_that_a_kind_of_layer_may_write_is_mapped(kind: str) -> None:
    layer = LAYERS[kind]
    texts = [f.text + f.product for f in (*layer.forward_formulas, *layer.backward_formulas)]
    texts += [*layer.symbols.values(), *(q.symbol + q.meaning for q in layer.quantities)]
    found = {c for c in "".join(texts) if not c.isascii()}
    assert found - {*MATHEMATICS, *WORDS, HAT} == set()
    assert "?" not in in_ascii("".join(texts))


def test_a_hat_is_on_its_letter() -> None:
    assert tex("x̂ of x") == r"$\hat{x}$ of x"
    assert symbol("γ x̂") == r"\gamma  \hat{x}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z_j = a_i w_ij", "$z_{j}$ = $a_{i}$ $w_{ij}$"),
        ("∂C/∂w_12,3", r"$\partial$C/$\partial$$w_{12,3}$"),
        ("w_6j δ_j.", r"$w_{6j}$ $\delta_{j}$."),
        ("x_train, a_b, data_1, _x_1", r"x\_train, a\_b, data\_1, \_x\_1"),  # which are names
    ],
)
def test_indices_are_set_below_their_letter(text: str, expected: str) -> None:
    assert tex(text) == expected


def test_every_sign_between_matrices_is_mapped() -> None:
    assert set("·⊙⊗→−+=") <= set(SIGNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("50%", r"50\%"),
        ("a & b", r"a \& b"),
        ("{x}", r"\{x\}"),
        ("$x$", r"\$x\$"),
        ("#1", r"\#1"),
        ("\\end{document}", r"\textbackslash{}end\{document\}"),
        ("a^b~c", r"a\textasciicircum{}b\textasciitilde{}c"),
        ("<script>|", r"\textless{}script\textgreater{}\textbar{}"),
        ("--check", r"{-}{-}check"),
        ("two-two-two 1e-5", r"two{-}two{-}two 1e{-}5"),
        ("-0.5", "$-$0.5"),
        ("σ′(z) ≤ δ", r"$\sigma$$'$(z) $\le$ $\delta$"),
        ("…", r"\ldots{}"),
        ("é日", "(U+00E9)(U+65E5)"),
        ("a\nb\x1b", r"a\textbackslash{}nb\textbackslash{}x1b"),
    ],
)
def test_text(text: str, expected: Any) -> None:
    assert tex(text) == expected


def test_a_name_cannot_break_a_page() -> None:
    name = "".join(ESCAPES) + "é\x00" + "".join(MATHEMATICS) + "".join(WORDS)
    page: Page = [
        Heading(name),
        Paragraph(name),
        Paragraph(name, note=True),
        Grid(("", name), ((name, "1"), ("[x]", "2")), words=1),
    ]
    text = to_latex(page).replace("(U+00E9)", "")
    assert_well_formed(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((term.symbol, term.tex) for term in TERMS if not term.key.startswith("bias_vel")),
        ("relu(z)", r"\text{relu}(z)"),
        ("aᵀ", "a^{T}"),
        ("cells", r"\text{cells}"),
        ("−η λ W", r"-\eta  \lambda  W"),
        ("10 ∂C/∂W", r"10 \partial C/\partial W"),
        ("∂C_x/∂a_3,0", r"\partial C_{x}/\partial a_{3,0}"),
        ("vec(∂C/∂W)", r"\text{vec}(\partial C/\partial W)"),
    ],
)
def test_symbols(text: str, expected: Any) -> None:
    assert symbol(text) == expected


def equation(*terms: tuple[str, Any], signs: str, decimals: int = 6) -> str:
    made = equations([(name, np.array(a)) for name, a in terms], signs, Extent(decimals=decimals))
    return to_latex(list(made)).removeprefix(PREAMBLE).removesuffix(END)


def test_a_short_equation_stands_in_one_line() -> None:
    text = equation(("a", [[1.0]]), ("b", [[-0.5]]), ("c", [[0.5]]), signs="+=")
    assert text.splitlines() == [
        r"\[ a + b = c \]",
        r"{\footnotesize\[ \begin{bmatrix} 1 \end{bmatrix} + \begin{bmatrix} -0.5 \end{bmatrix}"
        r" = \begin{bmatrix} 0.5 \end{bmatrix} \]}",
    ]


def test_a_long_equation_stands_term_by_term() -> None:
    rows = np.ones((2, 5))
    lines = equation(("a", rows), ("δ", rows), signs="⊙").splitlines()
    assert lines[0] == r"\[ a \odot \delta \]"
    assert [line.split(" = ")[0] for line in lines[1:]] == [
        r"{\scriptsize\[ a",
        r"{\scriptsize\[ \delta",
    ]


def test_a_single_matrix_is_said_to_be_its_symbol() -> None:
    assert equation(("δ", [[2.0, 3.0]]), signs="") == (
        r"{\scriptsize\[ \delta = \begin{bmatrix} 2 & 3 \end{bmatrix} \]}" + "\n"
    )


def test_a_symbol_that_says_what_it_is_makes_no_false_chain() -> None:
    one = [[1.0]]
    text = equation(("W", one), ("ΔW = −η ∂C/∂W", one), ("W new", one), signs="+=")
    assert text.splitlines()[0] == (
        r"\[ W + \Delta W = W_{\text{new}}, \quad \Delta W = -\eta  \partial C/\partial W \]"
    )


def test_numbers_in_matrices() -> None:
    text = equation(("a", [[1.5e-7, -np.inf, np.nan, np.inf]]), signs="", decimals=1)
    assert r"1.5 \cdot 10^{-7} & -\infty & \mathrm{nan} & \infty" in text
    assert r"\cdots" in equation(("a", np.ones((1, 20))), signs="")


def test_a_hat_is_set_over_its_letter() -> None:
    assert symbol("√v\u0302 + ε") == r"\surd \hat{v} + \varepsilon "
    assert tex("m\u0302 is") == r"$\hat{m}$ is"


def test_the_head_of_a_table_is_on_every_page_and_never_alone_on_one() -> None:
    """longtable begins no page with a head that has no row below it."""
    made = to_latex([Grid(("a", "b"), tuple((str(k), "x") for k in range(90)))])
    head, body = made.split(r"\endhead")
    assert r"{}a & {}b \\ \hline" in head.split(r"\begin{longtable}")[1]
    assert body.count(r"\\") == 90
    assert made.count(r"\endhead") == 1

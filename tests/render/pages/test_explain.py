"""The screens of a derivation: they fit, they have the numbers, every format can be written."""

import io
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nncli.inspection.conventions import CONVENTIONS
from nncli.inspection.derivation import lessons as of
from nncli.inspection.derivation.base import Ask, Derivation, Lesson
from nncli.inspection.derivation.derive import derive
from nncli.inspection.derivation.wrong import CLASSIC
from nncli.inspection.mistakes.table import MISTAKES
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.costs import COSTS
from nncli.render.document import Grid, Lines, Page, Paragraph
from nncli.render.formats import FORMATS, write
from nncli.render.pages.explain import backward, closing, forward, mistakes, questions
from nncli.render.pages.explain.fitting import height_of, split
from nncli.render.pages.explain.questions import interview, judge, parse
from nncli.render.pages.explain.reader import Reader
from nncli.render.pages.explain.screens import KINDS, Screen, document, screens
from nncli.render.terminal import TerminalPage
from tests.conftest import mostly_slow, present
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LENET, activation_cases

SPECS = (
    "two-two-two",
    "seed-3-4-2",
    "xor",
    "iris",
    "digits-mlp",
    "digits-conv",
    "digits-batchnorm",
)


@cache
def derived(name: str, wrong: str | None = None) -> Derivation:
    return derive(spec_trace(name, samples=None), wrong=wrong)


def text_of(page: Page, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, color_system=None).print(TerminalPage(page))
    return file.getvalue()


def read(screen: Screen) -> str:
    return text_of(screen.page)


def all_subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind, *(x for sub in kind.__subclasses__() for x in all_subclasses(sub))}


def test_every_lesson_has_a_screen() -> None:
    assert set(KINDS) == all_subclasses(Lesson) - {Lesson}


def test_slopes_and_costs_have_their_words() -> None:
    """A new row of either table is shown without; none of these is of one that is gone."""
    assert set(backward.SLOPES) <= {row.name for row in ACTIVATIONS.values() if row.elementwise}
    assert set(forward.COSTS) <= {(cost.name, cost.activation) for cost in COSTS}


def fits(made: Sequence[Screen], height: int = 24) -> None:
    for screen in made:
        lines = read(screen).rstrip("\n").split("\n")
        assert len(lines) < height, f"{screen.heading}: {len(lines)}"
        assert max(map(len, lines)) <= 80, screen.heading
        assert len(screen.progress(len(made))) <= 80


@pytest.mark.parametrize("name", SPECS)
def test_a_screen_has_at_most_24_lines_of_80_columns(name: str) -> None:
    fits(screens(derived(name)))


@pytest.mark.parametrize("wrong", mostly_slow(CLASSIC, 3))
def test_with_a_mistake_too(wrong: str) -> None:
    for name in ("two-two-two", "xor", "digits-conv"):
        fits(screens(derived(name, wrong)))


@pytest.mark.parametrize("convention", mostly_slow(CONVENTIONS, 5))
def test_in_every_convention(convention: str) -> None:
    for name in ("two-two-two", "iris", "digits-conv"):
        one = derive(spec_trace(name, samples=None), layer=None, convention=convention)
        fits(screens(one))
        assert CONVENTIONS[convention].title in read(screens(one)[1 + (name == "digits-conv")])
        assert document(one).record()["lessons"][1]["written"] == CONVENTIONS[convention].title


def test_of_other_networks_too() -> None:
    for case in (LENET, *activation_cases()[::20]):
        fits(screens(derive(trace_of(case, np.float32))))
    large = derive(trace_of(LENET, np.float32, eta=1e30))  # after which C is not finite
    fits(screens(large))


def test_a_low_terminal_gets_more_screens() -> None:
    made = screens(derived("two-two-two"), height=16)
    assert len(made) > len(screens(derived("two-two-two")))
    assert made[0].title == "what the mini-batch is asked"
    assert made[1].title == "what the mini-batch is asked, continued"
    assert [screen.number for screen in made] == list(range(1, len(made) + 1))
    fits(made, 16)


def test_a_page_is_split_where_a_thought_ends() -> None:
    announced: Page = [Paragraph("two:"), Lines(("x",) * 9), Paragraph("a note", note=True)]
    page: Page = [Paragraph("one"), *announced, Paragraph("three")]
    assert list(split(page, 15)) == [page[:1], page[1:]]
    assert list(split(page, 13)) == [page[:1], page[1:4], page[4:]]
    assert list(split(page, 17)) == [page]


def test_a_table_that_is_too_long_goes_on() -> None:
    table = Grid(("a",), tuple((str(k),) for k in range(30)))
    parts = list(split([Paragraph("its rows:"), table], 12))
    assert all(height_of(part) <= 12 for part in parts)
    grids = [block for part in parts for block in part if isinstance(block, Grid)]
    assert tuple(row for grid in grids for row in grid.rows) == table.rows


SATURATED = (
    "data.train.targets=[[1, 0]]",
    "train.cost=cross_entropy",
    "network[1].bias=[-900, 900]",
)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_saturated_output_has_words_in_place_of_infinite_numbers(activation: str) -> None:
    overrides = (*SATURATED, f"network[1].activation={activation}")
    made = screens(derive(spec_trace("two-two-two", *overrides)))
    fits(made)
    text = "\n".join(read(screen) for screen in made if "chain rule" in screen.title)
    assert "inf" not in text.replace("infinite", "")
    whole = " ".join(" ".join(map(read, made)).split())
    assert "In the formulas they cancel before either is computed." in whole


def test_what_has_no_words_of_its_own_is_shown_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "SLOPES", {})
    monkeypatch.setattr(forward, "COSTS", {})
    text = "\n".join(map(read, screens(derived("two-two-two"))))
    assert "Here σ′" not in text
    assert "C_x = ½ ‖a − y‖², the mean over the samples" in text


# What it says


def test_the_published_example() -> None:
    """The numbers that those who print it have, to the digits that are shown."""
    text = "\n".join(map(read, screens(derived("two-two-two"))))
    found = [float(x) for x in re.findall(r"-?\d+\.\d+", text)]
    for number in (
        *(0.29837111, 0.74136507, 0.18681560, 0.13849856, 0.08216704, 0.28047145),
        *(0.03635031, 0.24130071, 0.00877135, 0.00043857, -0.03809824, 0.40866619),
    ):
        assert min(abs(x - number) for x in found) <= 5.1e-7, number


def test_it_answers_the_page_that_it_grew_from() -> None:
    text = " ".join(" ".join(map(read, screens(derived("iris")))).split())
    for words in (
        "It is diagonal, because unit j's a depends on z_j alone",
        "That is how the Hadamard product ⊙ creeps in",
        "Where the transpose comes from",
        "the Kronecker product of a column and a row",
        "A Hadamard product can only multiply an entry by a number of its own",
        "Which part uses the Hadamard product, which the Kronecker product?",
        "Old or updated weights for the hidden error?",
    ):
        assert words in text


def test_conv_says_why_its_filter_is_turned() -> None:
    text = " ".join(" ".join(map(read, screens(derived("digits-conv")))).split())
    assert "the filter is turned by 180 degrees" in text
    assert "That is a full convolution." in text


def test_zeros_of_a_diagonal_matrix_are_seen() -> None:
    text = read(screens(derived("two-two-two"))[4])
    assert re.search(r"\[0\.186816 +0\]", text)
    assert re.search(r"\[ +0 0\.175510\]", text)


def test_tables_of_words_have_all_their_rows() -> None:
    assert set(closing.QUESTIONS) == {
        *("hadamard_or_kronecker", "how_hadamard", "transpose"),
        *("softmax", "old_or_new", "turned_filter"),
    }
    assert set(CLASSIC) == set(mistakes.NAMES) == set(mistakes.WHY)
    assert set(CLASSIC) <= set(MISTAKES)


def test_every_use_of_a_product_has_its_line() -> None:
    found = set()
    for name in SPECS:
        for lesson in derived(name).lessons:
            if isinstance(lesson, of.Products):
                found |= {use.what for use in lesson.uses}
    assert found == set(closing.USES)


# Formats


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_written(format: str) -> None:
    made = write(format, document(derived("digits-conv", "updated_weights")))
    assert made


def test_the_page_has_a_place_for_every_lesson() -> None:
    html = write("html", document(derived("xor"))).decode()
    count = len(derived("xor").lessons)
    places = list(range(1, count + 2))  # the last is of the symbols
    assert [int(k) for k in re.findall(r'<section id="step-(\d+)"', html)] == places
    assert f'href="#step-{count}"' in html


def test_the_record_has_every_digit() -> None:
    one = derived("two-two-two")
    record = document(one).record()
    assert record["schema"] == "nncli.derivation/1"
    sigma = next(x for x in record["lessons"] if x["lesson"] == "Sigma")
    assert sigma["layer"] == "dense2"
    lesson = next(x for x in one.lessons if isinstance(x, of.Sigma))
    assert sigma["delta"] == lesson.delta.tolist()
    arrays = document(one).arrays()
    assert np.array_equal(arrays["5.jacobian"], lesson.jacobian)


# By keys


def test_keys_turn_the_pages() -> None:
    reader = Reader(screens(derived("two-two-two")))
    last = len(reader.shown) - 1
    for key, at in (
        *((" ", 1), ("right", 2), ("\n", 3), ("n", 4), ("b", 3), ("left", 2), ("p", 1)),
        *(("1", 1), ("2", 1), ("g", 11), ("9", 11), ("9", 11), ("\n", last), (" ", last)),
        *(("3", last), ("\x7f", last), ("\x7f", last - 1), ("0", last - 1), ("g", 0), ("b", 0)),
        *(("x", 0), ("7", 0), ("x", 0), ("g", 0)),
    ):
        reader.press(key)
        assert reader.at == at, key
    assert not reader.is_over
    reader.press("q")
    assert reader.is_over


def test_the_line_of_progress_is_at_the_bottom() -> None:
    reader = Reader(screens(derived("two-two-two")))
    for _ in range(3):
        reader.press(" ")
    page = reader.page(24, 80)
    lines = text_of(page).rstrip("\n").split("\n")
    assert len(lines) == 24
    assert lines[-1].startswith("4/13 · dense2 · the cost")
    reader.press("1")
    assert "go to 1" in reader.status(120)


# Questions


def ask_of(name: str, kind: type[Any]) -> Ask:
    lesson = next(x for x in derived(name).lessons if isinstance(x, kind))
    ask: Ask | None = lesson.ask
    return present(ask)


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        *(("0.5", 0.5, 0.1), ("-1.25", -1.25, 0.01), ("−3e-2", -0.03, 0.01), (".5", 0.5, 0.1)),
        *(("12", 12, 1), ("1,5", 1.5, 0.1), ("2.", 2, 1), ("1e3", 1000, 1000)),
    ],
)
def test_a_number_as_people_type_it(text: str, value: float, place: float) -> None:
    answer = present(parse(text))
    assert answer.value == value
    assert answer.last_place == pytest.approx(place)


@pytest.mark.parametrize(
    "text", ["", "x", "1.2.3", "--1", "1e", ".", "nan", "inf", "1e9999", "1e999"]
)
def test_what_is_no_number(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("name", "kind", "answer", "is_right", "words"),
    [
        ("two-two-two", of.Sigma, "0.1385", True, "Right"),
        ("two-two-two", of.Sigma, "0.138", True, "Right"),
        ("two-two-two", of.Sigma, "0.139", True, "Right"),  # rounded on the way
        ("two-two-two", of.Sigma, "-0.1385", False, "sign"),
        ("two-two-two", of.Sigma, "0.7414", False, "how the cost changes with the output"),
        ("two-two-two", of.Sigma, "0.1615", False, "takes σ′ at a"),
        ("two-two-two", of.Sigma, "0.1", False, "leaves too much open"),
        ("two-two-two", of.Sigma, "0", False, "No. Right is 0.13"),
        ("two-two-two", of.Sigma, "1", False, "No. Right is 0.13"),
        ("two-two-two", of.Sigma, "0.277", False, "Yours is 2 times that"),
        ("two-two-two", of.Sigma, "0.0693", False, "Yours is 1/2 of that"),
        ("two-two-two", of.CostLesson, "-0.7414", False, "sign"),
        ("two-two-two", of.CostLesson, "1.4827", False, "The ½ in C takes it away"),
        ("two-two-two", of.CostLesson, "0.2748", False, "adds to the cost"),
        ("two-two-two", of.DenseBack, "0.04137", True, "Right"),
        ("two-two-two", of.DenseBack, "0.0483", False, "W for Wᵀ"),
        ("two-two-two", of.DenseBack, "0.03521", False, "weights after their update"),
        ("two-two-two", of.Outer, "0.10407", False, "the unit's own output"),
        ("two-two-two", of.Update, "0.40866", True, "Right"),
        ("two-two-two", of.Update, "0.49133", False, "goes up"),
        ("two-two-two", of.DenseForward, "0.0425", False, "The bias is missing"),
        ("iris", of.Samples, "0.0411", True, "Right"),
        ("iris", of.Samples, "0.411", False, "sum over the samples"),
        ("iris", of.SoftmaxJacobian, "0", False, "is not diagonal"),
    ],
)
def test_an_answer_is_judged(
    name: str, kind: type[Any], answer: str, is_right: bool, words: str
) -> None:
    judgement = judge(ask_of(name, kind), present(parse(answer)))
    assert judgement.is_right == is_right
    assert words in judgement.text


def test_every_wrong_number_has_its_meaning() -> None:
    for name in SPECS:
        for lesson in derived(name).lessons:
            if lesson.ask is not None:
                assert {word for word, _ in lesson.ask.wrongs} <= set(questions.MEANINGS)
                assert lesson.ask.quantity in questions.SYMBOLS


@pytest.mark.parametrize("name", SPECS)
def test_a_number_is_found_from_what_is_given(name: str) -> None:
    """What is asked for is right, and follows from the numbers that are shown before it."""
    for lesson in derived(name).lessons:
        ask = lesson.ask
        if ask is None:
            continue
        assert judge(ask, present(parse(f"{ask.value:.8g}"))).is_right
        values = [value for _, value in ask.given]
        expected = next(f for words, f in RULES.items() if ask.rule.startswith(words))(*values)
        assert expected == pytest.approx(ask.value, rel=1e-4, abs=1e-5), ask


def dot(values: Sequence[float]) -> float:
    """Of the first half of these numbers and the second."""
    half = len(values) // 2
    return sum(a * b for a, b in zip(values[:half], values[half:], strict=True))


RULES: dict[str, Callable[..., float]] = {
    "the sum of these": lambda *values: sum(values),
    "Σ_i a_i w_ij + b_j": lambda *values: dot(values[:-1]) + values[-1],
    "Σ_i a_i w_ij": lambda *values: dot(values),
    "Σ_j w_ij δ_j": lambda *values: dot(values),
    "their sum": lambda *values: sum(values),
    "∂C/∂a σ′(z)": lambda upstream, prime: upstream * prime,
    "a − y": lambda a, y: a - y,
    "a_i δ_j": lambda a, delta: a * delta,
    "the sum divided by n": lambda total, n: total / n,
    "an equal share each": lambda error, cells: error / cells,
    "w − η ∂C/∂w": lambda w, eta, gradient: w - eta * gradient,
    "−a_": lambda a, b: -a * b,
}


class Dialogue:
    """What an interview shows, and answers that are given one by one."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    def run(self, one: Derivation) -> str:
        interview(
            one,
            lambda page: self.shown.append(text_of(page)),
            lambda: self.answers.pop(0) if self.answers else None,
            lambda: True,
        )
        return "\n".join(self.shown)


def test_the_end_of_the_answers_ends_it_politely() -> None:
    text = Dialogue("0.3925", "what?", "1").run(derived("two-two-two"))
    assert "what?: is no number" in text
    assert "Right: 0.3925" in text
    assert text.rstrip().endswith("1 of 2 answers right.")


def test_all_answers_right() -> None:
    one = derived("two-two-two")
    asks = [x.ask for x in one.lessons if x.ask is not None]
    text = Dialogue(*(f"{ask.value:.6g}" for ask in asks)).run(one)
    assert text.rstrip().endswith(f"{len(asks)} of {len(asks)} answers right.")


def test_a_question_does_not_show_its_answer() -> None:
    one = derived("two-two-two")
    dialogue = Dialogue(*["q"])
    dialogue.run(one)
    before = dialogue.shown[-2]
    assert "z_1 = ?" in before
    assert "0.3925" not in before


def test_an_empty_line_shows_the_number() -> None:
    text = Dialogue("").run(derived("two-two-two"))
    assert "It is 0.3925" in text

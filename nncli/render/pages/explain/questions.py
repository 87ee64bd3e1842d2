"""The reader is asked for the next number before it is shown, and told what a wrong one means."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from nncli.core.text import count_of, printable
from nncli.inspection.derivation.base import Ask, Derivation, indexed
from nncli.render.document import Lines, Page, Paragraph
from nncli.render.pages.explain.screens import Screen, screens
from nncli.render.pages.explain.words import n

NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?", re.IGNORECASE)
COARSE = 0.05  # of a number: an answer that leaves more open says too little
WRONG = 0.5  # of a number: an answer that is off by more is wrong, however few digits it has
SKIP, END = ("", "?"), ("q", "quit", "exit")

SYMBOLS = {
    "z": "z",
    "upstream": "∂C/∂a",
    "delta": "δ",
    "softmax": "∂a/∂z",
    "downstream": "∂C/∂a",
    "share": "each cell's share of ∂C/∂a",
    "outer": "∂C_x/∂w",
    "weight_gradient": "∂C/∂w",
    "weight_new": "w new",
}

MEANINGS = {  # of an answer that is what a classic mistake gives
    "sign": "The size is right, the sign is turned round.",
    "missing_sigma_prime_output": "That is ∂C/∂a, how the cost changes with the output. "
    "δ is how it changes with z: ∂C/∂a is still to be multiplied by σ′(z).",
    "missing_sigma_prime_hidden": "That is what has come back through the weights, ∂C/∂a: it is "
    "still to be multiplied by σ′(z) of this layer.",
    "sigma_prime_of_a": "That takes σ′ at a. It is to be taken at z: a(1 − a) is σ′(z) already.",
    "sigma_prime_twice": "That multiplies by σ′ once more than is right.",
    "missing_bias": "The bias is missing.",
    "missing_half": "That is twice as much: the 2 of the square. The ½ in C takes it away.",
    "cost_itself": "That is what the output adds to the cost, not how the cost changes with it.",
    "diagonal": "That is what a Hadamard product would give. But this output depends on the other "
    "z too: the Jacobian of softmax is not diagonal.",
    "untransposed": "That adds up a column of W, the weights into the unit. What goes out of a_i "
    "is along row i: W for Wᵀ.",
    "updated_weights": "That uses the weights after their update. The error goes back through the "
    "old ones, those that made this C.",
    "output_for_input": "That takes the unit's own output. ∂z_j/∂w_ij is the input a_i, which the "
    "weight multiplies.",
    "sum_for_mean": "That is the sum over the samples. C is their mean, so it is to be divided by "
    "n.",
    "filter_not_turned": "That lays the filter on δ as it is. On the way back it is "
    "turned by 180 degrees.",
    "not_shared": "That is the whole error. It is shared out to the cells of the window.",
    "uphill": "That goes up: a step goes against the gradient, so it is taken away.",
}


class Answer(NamedTuple):
    """A number as it was typed: its value, and the size of its last digit."""

    value: float
    last_place: float


class Judgement(NamedTuple):
    """What an answer is: right or not; `text` says so, and what a wrong one would mean."""

    is_right: bool
    text: str


def parse(text: str) -> Answer | None:
    """A number as people type it; None for what is none."""
    text = text.strip().replace("−", "-").replace(",", ".")
    match = NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    places, exponent = len(match[3] or ""), int(match[4] or 0)
    answer = Answer(float(text), float(f"1e{exponent - places}"))
    return answer if math.isfinite(answer.value) else None


def judge(ask: Ask, answer: Answer) -> Judgement:
    """Whether an answer is right to the digits given; one off in the last digit is rounding."""
    value, off = ask.value, abs(answer.value - ask.value)
    is_close = off <= 1.001 * answer.last_place
    is_fine = answer.last_place <= COARSE * abs(value) or off <= 1e-6 * abs(value)
    if is_close and is_fine:
        return Judgement(True, f"Right: {n(value)}.")
    for word, wrong in ask.wrongs:
        if _is_meant(answer, wrong) and abs(wrong - value) > 1e-6 * abs(value):
            return Judgement(False, f"No. {MEANINGS[word]} Right is {_right(ask)}.")
    if is_close and off <= WRONG * abs(value):
        return Judgement(False, f"That leaves too much open; to six digits it is {n(value)}.")
    return Judgement(False, f"No. Right is {_right(ask)}.{_ratio(answer, value)}")


def _ratio(answer: Answer, value: float) -> str:
    """That an answer is some times the right number, or a part of it, where it is a round one."""
    for k in (2, 3, 4, 5, 10, 100):
        for factor, words in ((k, f"{k} times that"), (1 / k, f"1/{k} of that")):
            if value and abs(answer.value / value / factor - 1) < 0.01:
                return f" Yours is {words}."
    return ""


def _right(ask: Ask) -> str:
    return f"{n(ask.value)}, which is {ask.rule}"


def _is_meant(answer: Answer, value: float) -> bool:
    allowed = min(1.001 * answer.last_place, 0.02 * abs(value))
    return abs(answer.value - value) <= allowed


def asked_for(ask: Ask) -> str:
    symbol, place = SYMBOLS[ask.quantity], ",".join(map(str, ask.place))
    if ask.quantity == "share":
        return symbol
    if ask.quantity == "softmax":
        return "∂a_{}/∂z_{}".format(*ask.place)
    if ask.quantity == "weight_new":
        return f"{indexed('w', *ask.place) if len(ask.place) == 2 else f'w_{place}'} new"
    return indexed(symbol, *ask.place) if len(ask.place) == 2 else f"{symbol}_{place}"


def question(screen: Screen, count: int) -> Page:
    """What is asked before a screen is shown."""
    ask = screen.lesson.ask
    assert ask is not None
    given = tuple(f"    {symbol} = {n(value)}" for symbol, value in ask.given)
    return [
        Paragraph(screen.progress(count)),
        Lines((*given, f"{asked_for(ask)} = ?")),
    ]


Show = Callable[[Page], None]


def interview(
    derivation: Derivation,
    show: Show,
    read_line: Callable[[], str | None],
    wait: Callable[[], bool],
) -> None:
    """Shows a derivation, and asks for a number before each screen that has one.

    Args:
        read_line: the reader's next answer; None: there are no more.
        wait: called behind each screen; False: the reader wants to end.
    """
    made = screens(derivation)
    asked = right = 0
    for screen in made:
        if screen.is_first and screen.lesson.ask is not None:
            show(question(screen, len(made)))
            judgement = _answered(screen.lesson.ask, show, read_line)
            if judgement is None:
                break
            asked += 1
            right += judgement.is_right
            show([Paragraph(judgement.text)])
        show([*screen.page, Paragraph(screen.progress(len(made)), note=True)])
        if screen is not made[-1] and not wait():
            break
    show([Paragraph(f"{right} of {count_of(asked, 'answer')} right.")])


def _answered(ask: Ask, show: Show, read_line: Callable[[], str | None]) -> Judgement | None:
    """The judgement of the next line that is an answer; None at the end."""
    while True:
        line = read_line()
        if line is None or line.strip().lower() in END:
            return None
        if line.strip() in SKIP:
            return Judgement(False, f"It is {_right(ask)}.")
        answer = parse(line)
        if answer is not None:
            return judge(ask, answer)
        given = printable(line.strip(), 40)
        show([Paragraph(f"{given}: is no number such as -0.0381; Enter shows it, q ends.")])

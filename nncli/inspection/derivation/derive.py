"""A step as a derivation: which lessons there are, and in which order.

Forward layer by layer, the cost; then all errors from the last layer to the first, each through σ
and through the weights; then the gradients by the parameters, the step, and what is to be kept of
it. Of what comes again, the lesson knows where it was derived first.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from nncli.core.errors import NncliError
from nncli.core.text import join_words, nearest
from nncli.inspection.conventions import CONVENTIONS, written
from nncli.inspection.derivation import backward, forward, gradients
from nncli.inspection.derivation.base import Derivation, Lesson
from nncli.inspection.derivation.closing import answers, products
from nncli.inspection.derivation.focus import Focus
from nncli.inspection.derivation.lessons import (
    ConvBack,
    ConvForward,
    ConvGradient,
    CostLesson,
    DenseBack,
    DenseForward,
    MaskBack,
    MaskForward,
    Mistaken,
    MistakenStep,
    NormBack,
    NormForward,
    NormGradient,
    Outer,
    PoolBack,
    PoolForward,
    Question,
    Samples,
    Sigma,
    SoftmaxError,
    Update,
    Written,
    WrittenLine,
)
from nncli.inspection.derivation.wrong import UPDATED, Wrong, make_mistake
from nncli.nn.network import first_with_parameters
from nncli.nn.trace import LayerTrace, Trace


def derive(
    trace: Trace,
    *,
    at: int = 0,
    layer: str | None = None,
    wrong: str | None = None,
    convention: str | None = None,
) -> Derivation:
    """The derivation of a step.

    Args:
        at: which sample of the mini-batch is followed, as its position in it.
        layer: the name of the only layer that is derived; None: all.
        wrong: a mistake to be shown beside what is right, a word of `mistakes`.

        convention: in which the lines of each layer are written once more; None: none but ours.

    Raises:
        NncliError: there is no such layer, mistake or convention.
    """
    focus = Focus.of(trace, at)
    chosen = trace.layers if layer is None else (chosen_layer(trace, layer),)
    mistake = None if wrong is None else make_mistake(trace, wrong)
    lessons = [*_lessons(focus, chosen, is_whole=layer is None)]
    if convention is not None:
        lessons = [*_with_convention(trace, lessons, chosen, convention)]
    if mistake is not None:
        lessons = [*_with_mistake(focus, lessons, mistake)]
    return Derivation(trace, at, tuple(lessons), layer, mistake)


def chosen_layer(trace: Trace, name: str) -> LayerTrace:
    """The layer of that name.

    Raises:
        NncliError: there is none; the message has the nearest name.
    """
    names = [layer.name for layer in trace.layers]
    for layer in trace.layers:
        if layer.name == name:
            return layer
    raise NncliError(
        f"there is no layer {name!r}; the network has {', '.join(names)}{nearest(name, names)}"
    )


def _lessons(focus: Focus, chosen: tuple[LayerTrace, ...], *, is_whole: bool) -> Iterator[Lesson]:
    trace = focus.trace
    seen = Seen()
    if is_whole:
        yield forward.question(focus)
    for layer in chosen:
        yield from seen.derived("forward", layer, partial(forward.forward, focus, layer))
    if is_whole or chosen[-1] is trace.layers[-1]:
        yield forward.cost(focus)
    first = first_with_parameters([layer.placed for layer in trace.layers])
    body: list[Lesson] = []
    for layer in reversed(chosen):
        through = partial(backward.through_sigma, focus, layer)
        is_telling = backward.is_telling(focus, layer)
        body += seen.derived("sigma", layer, through) if is_telling else through(None)
        is_needed = focus.position(layer) > first
        if is_needed or layer.type == "conv":
            body += seen.derived("back", layer, partial(backward.to_input, focus, layer))
    for layer in reversed(chosen):
        body += seen.derived("gradient", layer, partial(gradients.gradients, focus, layer))
    yield from body
    if any(layer.weight is not None for layer in chosen):
        yield gradients.update(focus, chosen)
    yield products(body, chosen)
    yield from answers(body)


class Seen:
    """What was derived of which layer first."""

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], str] = {}

    def derived(
        self, what: str, layer: LayerTrace, make: Callable[[str | None], Iterable[Lesson]]
    ) -> list[Lesson]:
        """The lessons that `make` gives, told of which layer the same was derived before, if any.

        σ is the same for all kinds; all else depends on the kind of the layer.
        """
        key = what, "any" if what == "sigma" else layer.type
        made = [*make(self.first.get(key))]
        if made:
            self.first.setdefault(key, layer.name)
        return made


def check_convention(word: str) -> None:
    """Raises NncliError where there is no such convention; its text has those that there are."""
    if word not in CONVENTIONS:
        raise NncliError(
            f"there is no convention {word}: expected {join_words(CONVENTIONS)}"
            f"{nearest(word, CONVENTIONS)}"
        )


def _with_convention(
    trace: Trace, lessons: list[Lesson], chosen: tuple[LayerTrace, ...], word: str
) -> Iterator[Lesson]:
    """The lessons with what the convention is at their beginning, and its lines before the step."""
    check_convention(word)
    made = written(trace, CONVENTIONS[word])
    start = 1 if isinstance(lessons[0], Question) else 0
    step = next((k for k, x in enumerate(lessons) if isinstance(x, Update)), len(lessons) - 1)
    yield from lessons[:start]
    yield Written(written=made)
    yield from lessons[start:step]
    for layer in chosen:
        if layer.delta is not None:
            yield WrittenLine(layer=layer, written=made)
    yield from lessons[step:]


def _with_mistake(focus: Focus, lessons: list[Lesson], mistake: Wrong) -> Iterator[Lesson]:
    """The lessons with the mistake behind that in which it shows, and what it does to the step.

    One that makes no difference comes before the step.
    """
    trace = focus.trace
    kinds = HOMES.get(mistake.quantity, ())
    homes = [k for k, x in enumerate(lessons) if isinstance(x, kinds) and _is_of(x, mistake)]
    steps = [k for k, lesson in enumerate(lessons) if isinstance(lesson, Update)]
    end = steps[0] if steps else len(lessons) - 1
    is_late = mistake.quantity.endswith(UPDATED) or mistake.of_update
    place = homes[-1] if homes else end if is_late else end - 1
    layer = next((other for other in trace.layers if other.name == mistake.layer), None)
    for k, lesson in enumerate(lessons):
        yield lesson
        if k == place:
            yield Mistaken(layer=layer, mistake=mistake, at=focus.at)
        if k == max(end, place) and mistake.without_effect is None:
            yield MistakenStep(trace=trace, mistake=mistake)


# The lessons behind which a quantity may be shown to be wrong.
HOMES: dict[str, tuple[type[Lesson], ...]] = {
    "z": (DenseForward, ConvForward),
    "a": (DenseForward, ConvForward, PoolForward, MaskForward, NormForward),
    "upstream": (CostLesson,),
    "delta": (Sigma, SoftmaxError),
    "downstream": (DenseBack, ConvBack, PoolBack, MaskBack, NormBack),
    "weight_gradient": (Outer, Samples, ConvGradient, NormGradient),
    "bias_gradient": (Outer, Samples, ConvGradient, NormGradient),
}


def _is_of(lesson: Lesson, mistake: Wrong) -> bool:
    return lesson.layer is not None and lesson.layer.name == mistake.layer

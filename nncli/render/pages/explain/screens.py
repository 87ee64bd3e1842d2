"""A derivation as screens, of at most 24 lines of 80 columns each, and as a document."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from nncli.inspection.conventions import WrittenStep
from nncli.inspection.derivation import lessons as of
from nncli.inspection.derivation.base import Derivation, Lesson
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Document, Heading, Page, Paragraph
from nncli.render.pages.explain import (
    backward,
    closing,
    conventions,
    forward,
    gradients,
    mistakes,
    windows,
)
from nncli.render.pages.explain.fitting import FRAME, split
from nncli.render.pages.explain.words import HEIGHT, WIDTH
from nncli.render.pages.glossary import glossary_grid
from nncli.render.web.derivation import Section, derivation_page


class Kind(NamedTuple):
    """What is made of a lesson: a title, and the blocks below it."""

    title: Callable[[Any], str]
    make: Callable[[Any], Page]


def _always(title: str) -> Callable[[Lesson], str]:
    return lambda lesson: title


KINDS: Mapping[type[Lesson], Kind] = {
    of.Question: Kind(_always("what the mini-batch is asked"), forward.question),
    of.DenseForward: Kind(_always("forward through W and σ"), forward.dense),
    of.ConvForward: Kind(_always("forward: a filter on its windows"), forward.conv),
    of.PoolForward: Kind(_always("forward: one number a window"), forward.pool),
    of.MaskForward: Kind(_always("forward: some units are left out"), forward.mask),
    of.NormForward: Kind(_always("forward: normalised over the mini-batch"), forward.norm),
    of.CostLesson: Kind(_always("the cost, and how it depends on the outputs"), forward.cost),
    of.Sigma: Kind(
        lambda lesson: "the chain rule through σ" + (", where σ′ cancels" if lesson.fused else ""),
        backward.sigma,
    ),
    of.SoftmaxJacobian: Kind(
        _always("softmax: why ⊙ does not work here"), backward.softmax_jacobian
    ),
    of.SoftmaxError: Kind(_always("softmax: the error times its Jacobian"), backward.softmax_error),
    of.DenseBack: Kind(_always("the chain rule through W, back to a"), backward.dense_back),
    of.ConvBack: Kind(_always("back through the windows: the filter turned"), windows.conv_back),
    of.PoolBack: Kind(_always("back through the windows of a pool"), windows.pool_back),
    of.Reshaped: Kind(_always("back into the image's shape"), windows.reshaped),
    of.MaskBack: Kind(_always("back through the mask: ⊙ again"), windows.mask_back),
    of.NormBack: Kind(_always("why ⊙ does not work here either"), windows.norm_back),
    of.Outer: Kind(_always("the chain rule through W, to its weights"), gradients.outer),
    of.Samples: Kind(_always("several samples: their sum is aᵀ δ"), gradients.samples),
    of.ConvGradient: Kind(
        _always("the chain rule to a filter: one tap, many windows"), gradients.conv_gradient
    ),
    of.NormGradient: Kind(_always("the chain rule to γ and β"), gradients.norm_gradient),
    of.Written: Kind(_always("as others write it"), conventions.convention),
    of.WrittenLine: Kind(
        lambda lesson: f"as in {lesson.written.convention.title}", conventions.lines
    ),
    of.Update: Kind(_always("the step, and what the cost did"), gradients.update),
    of.Products: Kind(_always("which product is used where"), closing.products),
    of.Answers: Kind(_always("questions, answered with these numbers"), closing.answers),
    of.Mistaken: Kind(
        lambda lesson: mistakes.title_of(lesson.mistake),
        mistakes.mistaken,
    ),
    of.MistakenStep: Kind(_always("what the mistake does to the step"), mistakes.mistaken_step),
}
WITHOUT_LAYER = (of.Update,)  # of the whole network, though a number of it is a layer's


INTRO = (
    "One step of backpropagation with the numbers of this network, one statement after the other. "
    "Indices count from 0; i is an input of a layer, j one of its units, x a sample."
)


class Screen(NamedTuple):
    """A lesson to be read, or a part of a long one.

    Attributes:
        number: from 1.
        layer: whose it is; empty: the network's.
        is_first: whether it is the first of its lesson.
    """

    number: int
    layer: str
    title: str
    blocks: Page
    lesson: Lesson
    is_first: bool = True

    @property
    def heading(self) -> str:
        return f"{self.layer} · {self.title}" if self.layer else self.title

    def progress(self, count: int) -> str:
        """`3/14 · dense2 · the chain rule through σ`."""
        parts = [f"{self.number}/{count}", self.layer, self.title]
        return " · ".join(part for part in parts if part)

    @property
    def page(self) -> Page:
        """It with its heading."""
        return [Heading(f"{self.number}  {self.heading}", 2), *self.blocks]


def screens(
    derivation: Derivation, height: int | None = HEIGHT, width: int = WIDTH
) -> tuple[Screen, ...]:
    """The lessons in order, each on a screen of that size, or on as many as it takes.

    Without a height each is on one.
    """
    made: list[Screen] = []
    for lesson in derivation.lessons:
        kind = KINDS[type(lesson)]
        is_own = lesson.layer is not None and not isinstance(lesson, WITHOUT_LAYER)
        layer, title = lesson.of.name if is_own else "", kind.title(lesson)
        page = kind.make(lesson)
        parts = [page] if height is None else split(page, max(height - FRAME, 1), width)
        for k, blocks in enumerate(parts):
            words = title if k == 0 else f"{title}, continued"
            made.append(Screen(len(made) + 1, layer, words, blocks, lesson, is_first=k == 0))
    return tuple(made)


def document(derivation: Derivation) -> Document:
    """What there is to read of a derivation, for every format."""
    made = screens(derivation, None)
    intro, title = _intro(derivation), _title(derivation)
    sections = [Section(screen.heading, screen.blocks) for screen in made]
    sections.append(Section("the symbols", [glossary_grid(derivation.trace)]))
    return Document(
        title,
        lambda: [*intro, *(block for screen in made for block in screen.page)],
        lambda: derivation_record(derivation),
        lambda: derivation_arrays(derivation),
        lambda: derivation_page(title, intro, sections),
    )


def text_page(derivation: Derivation) -> Page:
    """All screens one below the other, each of their size."""
    made = screens(derivation)
    return [*_intro(derivation), *(block for screen in made for block in screen.page)]


def _title(derivation: Derivation) -> str:
    return f"{derivation.trace.name}: one step, derived"


def _intro(derivation: Derivation) -> Page:
    page: Page = [Heading(_title(derivation), 0), Paragraph(INTRO)]
    if derivation.start:
        page.append(Paragraph(f"The step starts from {derivation.start}.", note=True))
    return page


def derivation_record(derivation: Derivation) -> dict[str, Any]:
    """Every number of the lessons as plain data."""
    return {
        "schema": "nncli.derivation/1",
        "name": derivation.trace.name,
        "samples": list(derivation.trace.samples),
        "sample": derivation.sample,
        "layer": derivation.chosen,
        "mistake": None if derivation.mistake is None else _plain(derivation.mistake),
        "lessons": [
            {"lesson": type(lesson).__name__, **_fields(lesson)} for lesson in derivation.lessons
        ],
    }


def _fields(record: Any) -> dict[str, Any]:
    return {
        field.name: _plain(getattr(record, field.name))
        for field in fields(record)
        if not isinstance(getattr(record, field.name), Trace)
    }


def _plain(value: Any) -> Any:
    """A value of a lesson as plain data: layers by name, other lessons by their kind."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, LayerTrace):
        return value.name
    if isinstance(value, WrittenStep):
        return value.convention.title
    if isinstance(value, Lesson):
        return type(value).__name__
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {
            ".".join(key) if isinstance(key, tuple) else key: _plain(v) for key, v in value.items()
        }
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(part) for key, part in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def derivation_arrays(derivation: Derivation) -> dict[str, Array]:
    """Every array of the lessons; those of the third lesson are named 3.name."""
    return {
        f"{k}.{field.name}": value
        for k, lesson in enumerate(derivation.lessons, 1)
        for field in fields(lesson)
        if isinstance(value := getattr(lesson, field.name), np.ndarray)
    }

"""The end of a derivation: which product was used where, and the questions that readers ask."""

from collections.abc import Iterator, Sequence

from nncli.inspection.derivation.base import Lesson
from nncli.inspection.derivation.lessons import (
    Answers,
    ConvBack,
    ConvGradient,
    DenseBack,
    MaskBack,
    NormBack,
    Outer,
    Products,
    Samples,
    Sigma,
    SoftmaxError,
    Use,
)
from nncli.nn.trace import LayerTrace

A_SCREEN = 3  # questions on one screen


def products(body: Sequence[Lesson], chosen: Sequence[LayerTrace]) -> Products:
    """A line for each way in which a product is used, each at the first lesson that has it."""
    uses: list[Use] = []
    for layer in chosen:
        if layer.type in ("dense", "conv") and all(u.what != layer.type for u in uses):
            uses.append(Use(layer.type, layer))
    telling = any(isinstance(x, Sigma) and x.is_telling for x in body)
    for lesson in body:
        if isinstance(lesson, Sigma) and telling and not (lesson.fused or lesson.is_telling):
            continue  # there is a better example than σ′ = 1
        use = _use(lesson)
        if use is not None and all(use.what != other.what for other in uses):
            uses.append(use)
    return Products(uses=tuple(uses))


def _use(lesson: Lesson) -> Use | None:
    match lesson:
        case Sigma():
            assert lesson.ask is not None
            factors = tuple(value for _, value in lesson.ask.given)
            kind, value = "fused" if lesson.fused else "sigma", lesson.ask.value
            is_weighted = lesson.fused and lesson.weight is not None
            return Use(kind, lesson.of, factors, value, is_weighted=is_weighted)
        case SoftmaxError():
            return Use("softmax", lesson.of, is_weighted=lesson.weight is not None)
        case DenseBack():
            return Use("back", lesson.of)
        case ConvBack():
            return Use("conv_back", lesson.of)
        case MaskBack():
            return Use("mask", lesson.of)
        case NormBack():
            return Use("norm", lesson.of)
        case Outer():
            i, j = lesson.weight
            factors = float(lesson.input[i]), float(lesson.delta[j])
            return Use("outer", lesson.of, factors, float(lesson.product[i, j]))
        case Samples():
            return Use("samples", lesson.of)
        case ConvGradient():
            return Use("conv_gradient", lesson.of)
    return None


def answers(body: Sequence[Lesson]) -> Iterator[Answers]:
    """The questions that apply, each with the lesson whose numbers answer it, a few a screen."""
    found: list[tuple[str, Lesson]] = []
    hidden = [x for x in body if isinstance(x, Sigma) and not x.fused]
    hidden.sort(key=lambda x: not x.is_telling)
    back = [x for x in body if isinstance(x, DenseBack)]
    outer = [x for x in body if isinstance(x, Outer)]
    first_of: dict[str, Sequence[Lesson]] = {
        "hadamard_or_kronecker": hidden if outer else [],
        "how_hadamard": hidden,
        "transpose": back,
        "softmax": [x for x in body if isinstance(x, SoftmaxError)],
        "old_or_new": back,
        "turned_filter": [x for x in body if isinstance(x, ConvBack)],
    }
    for word, lessons in first_of.items():
        if lessons:
            found.append((word, lessons[0]))
    for k in range(0, len(found), A_SCREEN):
        yield Answers(questions=tuple(found[k : k + A_SCREEN]))

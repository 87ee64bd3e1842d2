"""What a check of somebody else's step finds: the record that is shown."""

from dataclasses import dataclass
from typing import NamedTuple

from nncli.core.notebooks import MimeBundle, mime_bundle


class Compared(NamedTuple):
    """One array that was given, compared with the record.

    Attributes:
        mine: what it was called.
        name: what it is, as `dense1.weight_gradient`.
        how: how it was turned to be compared: "transposed", "one sample", ...; "" as it was.
        right: whether it agrees with the record, to the digits that it has.
        follows_from: the quantity in which the mistake was made, where it is not this one.
        max_relative_error: the largest difference, relative to the largest entry of what is right.
        at: where that is; of a number an empty index.
        here, there: the values that differ most there: that given, and the right one.
        digits: to how many it is judged, in words.
        wrong: how many of its entries differ.
        entries: how many it has.
    """

    mine: str
    name: str
    how: str
    right: bool
    follows_from: str | None
    max_relative_error: float
    at: tuple[int, ...]
    here: float
    there: float
    digits: str
    wrong: int
    entries: int

    @property
    def transposed(self) -> bool:
        return self.how == "transposed"


class Made(NamedTuple):
    """A mistake that was made: a word of the table, in which way, and where ("": throughout)."""

    word: str
    way: str
    place: str
    says: str
    right: str
    look: str
    ratio: float | None = None


@dataclass(frozen=True)
class Checked:
    """A step of somebody else's, compared with the record of the same step.

    Attributes:
        name: of the network.
        samples: which samples of the training data the record is of.
        compared: in order of computation.
        first_wrong: the first quantity that does not follow from the ones before it.
        explanations: each explains all that was given; several cannot be told apart. Each is of
            one mistake, or of two that were made together. None: unknown.
        hints: what would explain the first wrong quantity by itself, where nothing explains all.
        ratio: the constant factor, where there is one.
        pattern: which entries of the first wrong quantity are wrong, in words.
        notes: what was taken how.
    """

    name: str
    samples: tuple[int, ...]
    compared: tuple[Compared, ...]
    first_wrong: str | None
    explanations: tuple[tuple[Made, ...], ...]
    ratio: float | None
    pattern: str | None
    notes: tuple[str, ...] = ()
    hints: tuple[Made, ...] = ()

    @property
    def right(self) -> bool:
        return self.first_wrong is None

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The words of all explanations."""
        return tuple(dict.fromkeys(made.word for one in self.explanations for made in one))

    @property
    def together(self) -> bool:
        """Whether it takes two mistakes at once to explain what was given."""
        return any(len({made.word for made in one}) > 1 for one in self.explanations)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)

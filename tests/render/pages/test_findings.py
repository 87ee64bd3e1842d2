"""What the numbers of a step mean, in words."""

import pytest

from nncli.inspection.findings import Saturation
from nncli.nn.activations import SATURATING
from nncli.render.pages.proof import saturation_words


@pytest.mark.parametrize(
    ("always", "sometimes", "samples", "words"),
    [
        (
            ((0,),),
            (),
            1,
            "dense1: 1 of 30 units saturated (σ′ < 0.01) for this sample (unit 0).",
        ),
        (
            *(((0,), (4,)), ((1,),), 1797),
            "dense1: 2 of 30 units saturated (σ′ < 0.01) for all 1,797 samples (units 0, 4); "
            "1 for some of them (unit 1).",
        ),
        (
            *((), ((1,), (2,)), 5),
            "dense1: 2 of 30 units saturated (σ′ < 0.01) for some samples (units 1, 2).",
        ),
    ],
    ids=["always", "both", "sometimes alone"],
)
def test_what_is_saturated_is_named_in_each_sentence(
    always: tuple[tuple[int, ...], ...],
    sometimes: tuple[tuple[int, ...], ...],
    samples: int,
    words: str,
) -> None:
    found = Saturation("dense1", 30, always, sometimes, SATURATING)
    assert saturation_words(found, samples) == words

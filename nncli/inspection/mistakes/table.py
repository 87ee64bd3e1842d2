"""The table of known mistakes, and a step taken with one of them."""

from nncli.inspection.mistakes.activations import ACTIVATION_MISTAKES
from nncli.inspection.mistakes.batches import BATCHES
from nncli.inspection.mistakes.errors import ERRORS
from nncli.inspection.mistakes.images import IMAGES
from nncli.inspection.mistakes.scene import Mistake, Scene, everywhere
from nncli.inspection.mistakes.updates import UPDATES
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace


def _nowhere(scene: Scene) -> tuple[()]:
    return ()


OTHERS = (  # told in other ways than by a replay of this step, see inspection.foreign
    Mistake(
        "wrong_batch",
        "These are the numbers of other samples.",
        "C = 1/n Σ_x C_x over the samples of this mini-batch",
        "which samples were taken, and in which order",
        _nowhere,
    ),
    Mistake(
        "rounding",
        "The numbers have more digits than are right: something was computed in float32.",
        "float32 has about 7 digits, float64 about 16",
        "the types of the arrays",
        _nowhere,
    ),
)
MISTAKES: dict[str, Mistake] = {
    mistake.word: mistake
    for mistake in (*ERRORS, *ACTIVATION_MISTAKES, *IMAGES, *BATCHES, *UPDATES, *OTHERS)
}


def replay(trace: Trace, word: str) -> dict[str, Array]:
    """The step of a trace with a mistake made wherever it can be, in float64.

    Returns:
        All quantities by name, as `dense1.delta`, samples first, in order of computation; of a
        mistake that can be made in several ways, by the first.

    Raises:
        KeyError: there is no such word.
    """
    scene = Scene(trace)
    changes = everywhere(MISTAKES[word].changes(scene))
    return scene.right.changed(changes[0].rules if changes else {}).make_all()

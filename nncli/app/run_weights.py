"""Which weights of a run are used: those after its best epoch, or the last."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nncli.core.errors import RunError
from nncli.core.text import printable
from nncli.nn.arrays import Array
from nncli.nn.network import Network
from nncli.training.best import UsedWeights, Which

if TYPE_CHECKING:
    from nncli.training.checkpoint import State


class ChosenWeights(NamedTuple):
    """Parameters and state of a run's network, and which of its weights they are."""

    parameters: Array
    network_state: Mapping[str, Array]
    used: UsedWeights

    def put_into(self, network: Network) -> None:
        network.parameters[...] = self.parameters
        network.restore_state(self.network_state)


def choose_weights(state: "State", which: Which | None, path: Path | None = None) -> ChosenWeights:
    """The weights in a run's state.

    Args:
        which: None: the best, where the training kept them.
        path: of the run, for the message.

    Raises:
        RunError: the best are asked for, and it did not.
    """
    best, epoch = state.best, state.epoch
    if which == "best" and best is None:
        raise RunError(
            f"{printable(path or 'the run')}: keeps no best weights, only the last: nothing says "
            "which epoch was the best; data.validation or train.early_stop would"
        )
    if best is None:
        used = UsedWeights("last", epoch, epoch)
    elif which != "last":
        used = UsedWeights("best", best.epoch, epoch, best.epoch, best.metric, best.value)
        return ChosenWeights(best.parameters, best.network_state, used)
    else:
        used = UsedWeights("last", epoch, epoch, best.epoch, best.metric, best.value)
    return ChosenWeights(state.parameters, state.network_state, used)


def note_on_weights(used: UsedWeights) -> tuple[str, ...]:
    """What to say of the choice, where there was one."""
    if used.best_epoch in (None, used.last_epoch):
        return ()
    judged = f"by {used.metric}, {used.value:.4g}"
    if used.which == "best":
        return (
            f"these are the weights after epoch {used.epoch:,} of {used.last_epoch:,}, the best "
            f"{judged}; --weights last takes the last",
        )
    return (
        f"these are the last weights, after epoch {used.last_epoch:,}; the best, {judged}, are "
        f"those after epoch {used.best_epoch:,}: --weights best",
    )


def weights_words(used: UsedWeights) -> str:
    """Which weights of a run these are, in words."""
    if used.epoch == used.last_epoch == 0:
        return "the run's first weights"
    behind = f" of {used.last_epoch:,}" if used.which == "best" else ""
    return f"the run's {used.which} weights, after epoch {used.epoch:,}{behind}"

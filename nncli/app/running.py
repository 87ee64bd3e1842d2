"""A run folder opened to use its network: neither its training data nor its trainer is needed."""

import os
from pathlib import Path
from typing import NamedTuple

from nncli.app.assemble import bare_network
from nncli.app.opening import spec_file
from nncli.core.errors import RunError
from nncli.core.files import shown
from nncli.data import Preprocessing, preprocessing_from
from nncli.nn.network import Network
from nncli.nn.parallel.worker_count import start_workers
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.spec import Spec, load_spec
from nncli.training.data_file import DATA, read_data
from nncli.training.evaluate import block_for
from nncli.training.run_folder import SPEC, last_state


class Run(NamedTuple):
    """A run: its network has its trained weights, after `epoch` epochs.

    `notes` are to be told: what is damaged, and could be done without.
    """

    path: Path
    spec: Spec
    recipe: Preprocessing
    network: Network
    epoch: int
    notes: tuple[str, ...] = ()

    def start_workers(self) -> WorkerPool:
        """The threads that its forward passes are worth; to be closed."""
        return start_workers(self.network, block_for(self.network), self.spec.train.threads)


def open_run(path: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        RunError: it is none, or something in it is missing or damaged. SpecError: its spec is.
    """
    path = Path(path)
    name = shown(path)
    if not os.path.exists(path):
        raise RunError(f"{name}: there is no such folder; nncli train writes run folders")
    if not os.path.isdir(path):
        raise RunError(f"{name}: is a file; a run folder is needed, as nncli train writes it")
    spec = load_spec(spec_file(path))
    recipe = read_recipe(path)
    network = bare_network(spec, recipe.input_shape)
    check_outputs(path, recipe, network)
    state, notes = last_state(path, network)
    network.parameters[...] = state.parameters
    return Run(path, spec, recipe, network, state.epoch, notes)


def check_outputs(folder: Path, recipe: Preprocessing, network: Network) -> None:
    """Raises RunError where a run folder's data.json is not that of its network."""
    (outputs,) = network.output_shape
    for told in (recipe.outputs, outputs if recipe.classes is None else len(recipe.classes)):
        if told != outputs:
            raise RunError(
                f"{shown(folder / DATA)}: damaged: it is for a network of {told:,} outputs, that "
                f"of {SPEC} has {outputs:,}"
            )


def read_recipe(folder: Path) -> Preprocessing:
    """How data are read for the network of a run folder.

    Raises:
        RunError: the folder does not say, or not in whole.
    """
    plain = read_data(folder)
    try:
        return preprocessing_from(plain)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{shown(folder / DATA)}: damaged: {error}") from error

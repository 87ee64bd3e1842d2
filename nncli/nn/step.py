"""The one implementation of forward, backward and update, and the workspace that it writes.

A `Step` is bound to a network and a mini-batch size. It owns an array for every quantity of a step
and fills them in the order in which backpropagation is written down. Training overwrites them at
each step; looking at a step means reading them. The sample axis is last here (units x samples,
channels x rows x columns x samples): that makes flattening free and every inner loop long.

Forward and backward are a `Pass`; who does what of a step, see `nncli.nn.parallel`.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.layers import LayerStep
from nncli.nn.network import Network, check_batch
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.partition import partition
from nncli.nn.parallel.worker_pool import WorkerPool

QUANTITIES = ("input", "z", "a", "upstream", "sigma_prime", "delta", "downstream")


class SampleSource(Protocol):
    """Where samples come from."""

    def gather(self, rows: Array, inputs: Array, targets: Array) -> None:
        """Writes the samples at `rows` into two arrays, one row a sample."""


class Step:
    """A step on mini-batches of `n` samples, and every quantity of it.

    Write a mini-batch into `inputs` and `targets`, or `load` it; call `run` (or `forward` alone, to
    evaluate, or `differentiate`), and read the layers. Steps of several sizes may share one
    optimizer, and one pool.

    Attributes:
        optimizer: makes the update; None: the step goes forward, or back, but not on.
        gradient: ∂C/∂W, as long as `network.parameters`; None for a step that only goes forward.
        inputs: samples x features or samples x channels x rows x columns; to be written.
        targets: samples x outputs; to be written.
        is_random: whether `randomise` is to be called before each run.
        load: fills `inputs` and `targets` with the samples at some rows of `source`, if any.
        run_unguarded: `run(eta, full)` within an `np.errstate` of the caller's, which for a small
            network is a tenth of a step.
        passes: over the whole mini-batch, or over a share of it each.
        partition: who does what of it.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer | None,
        n: int,
        workers: WorkerPool | None = None,
        source: SampleSource | None = None,
        *,
        is_training: bool = True,
        differentiable: bool = False,
    ) -> None:
        """
        Args:
            workers: share the work; None: it is all done in the caller's thread.
            source: the samples that `load` chooses from.
            is_training: whether layers are in training mode; else they are in evaluation mode,
                forward and backward.
            differentiable: whether a step without an optimizer has gradients all the same; it is
                done in the caller's thread.

        Raises:
            LayerError: a layer needs a larger mini-batch for training.
        """
        if is_training:
            check_batch(network.layers, n)
        self.network = network
        self.optimizer = optimizer
        self.n = n
        self.workers = workers
        self.is_training = is_training
        self.is_random = is_training and any(placed.layer.is_random for placed in network.layers)
        zeros, dtype = network.buffers.zeros, network.dtype
        self.inputs = zeros((n, *network.input_shape), dtype)
        self.targets = zeros((n, *network.output_shape), dtype)
        if source is not None:
            gather, inputs, targets = source.gather, self.inputs, self.targets

            def load(rows: Array) -> None:
                gather(rows, inputs, targets)

            self.load = load
        self.gradient: Array | None = None
        if optimizer is not None:
            self.gradient = optimizer.gradient
        elif differentiable:
            self.gradient = zeros(network.parameters.size, dtype)
        self.partition = partition(
            network,
            self.inputs,
            self.targets,
            self.gradient,
            optimizer,
            None if differentiable else workers,
            is_training=is_training,
        )
        self.passes = self.partition.passes
        self.run_unguarded = self.partition.run

    def randomise(self, seed: np.random.SeedSequence) -> None:
        """Draws the random numbers of the next step, where it `is_random`.

        They follow from `seed` alone, whatever passes share the samples.
        """
        rng = np.random.default_rng(seed)
        for k, placed in enumerate(self.network.layers):
            if placed.layer.is_random:
                uniform = rng.random((*placed.output_shape, self.n))
                ends = [0, *accumulate(len(part.inputs) for part in self.passes)]
                for part, share in zip(self.passes, pairwise(ends), strict=True):
                    part.layers[k].randomise(uniform[..., slice(*share)])

    def replay_random(self, recorded: Sequence[Mapping[str, Array]]) -> None:
        """Takes what another step's layers have recorded in place of a draw; of a single pass."""
        (whole,) = self.passes
        for layer, arrays in zip(whole.layers, recorded, strict=True):
            layer.replay_random(arrays)

    @property
    def layers(self) -> list[LayerStep]:
        """The layers in forward order; of several passes, copies that hold the samples of all."""
        return [merge_passes(parts) for parts in zip(*(p.layers for p in self.passes), strict=True)]

    @property
    def last(self) -> LayerStep:
        """The last of `layers`."""
        return merge_passes([p.last for p in self.passes])

    @property
    def outputs(self) -> Array:
        """a of the last layer, samples x outputs; of one pass a view."""
        return self.last.a.T

    @property
    def sample_weights(self) -> Array | None:
        """w_x of each sample; None where classes have no weights."""
        weights = [p.sample_weights.values for p in self.passes if p.sample_weights is not None]
        return np.concatenate(weights) if weights else None

    @property
    def difference(self) -> Array | None:
        """a − y, samples x outputs, before it is weighted; None where classes have no weights."""
        parts = [p.difference.T for p in self.passes if p.sample_weights is not None]
        return np.concatenate(parts) if parts else None

    def forward(self) -> float:
        """From `inputs` to the outputs and the error; returns C, the mean of C_x."""
        with np.errstate(all="ignore"):
            return self.partition.forward()

    def differentiate(self, *, full: bool = False) -> float:
        """Forward and backward, without an update; returns C. `full`: see `run`."""
        with np.errstate(all="ignore"):
            return self.partition.differentiate(full)

    def run(self, eta: float, *, full: bool = False) -> float:
        """Forward, backward and update with the learning rate `eta`; returns C before the update.

        Where C is not finite there is no gradient to follow: the step ends after the forward pass.

        Args:
            full: also fill what no update needs: downstream of the first layer, and ∂C_x/∂a of an
                output layer whose cross-entropy gives δ directly.
        """
        with np.errstate(all="ignore"):
            return self.run_unguarded(eta, full)


def merge_passes(parts: Sequence[LayerStep]) -> LayerStep:
    """A layer of all passes: the part itself, or copies with the samples of all parts in order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    layer = LayerStep(first.placed, first.input)
    # The gradients and updates of the first pass are those of the step, once all are added up.
    layer.parameters, layer.gradients = first.parameters, first.gradients
    layer.updates = first.updates
    for quantity in QUANTITIES:
        arrays = [getattr(part, quantity) for part in parts]
        if arrays[0] is not None:
            setattr(layer, quantity, np.concatenate(arrays, axis=-1))
    for quantity in first.recorded:
        arrays = [part.recorded[quantity] for part in parts]
        layer.recorded[quantity] = np.concatenate(arrays, axis=-1)
    return layer

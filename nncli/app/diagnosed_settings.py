"""What of a spec a diagnosis asks for."""

from math import prod

from nncli.app.records import Prepared
from nncli.inspection.diagnosis.record import Brakes, Gap, LayerFacts, Place, Settings
from nncli.nn.layers import BatchNorm, Conv, Dropout, Placed, Pool
from nncli.spec import ConvSpec, WeightedLayerSpec

FADED = 0.01  # of η: with less than that steps come to next to nothing
DECAYS = ("weight_decay", "decoupled_weight_decay", "l1")


def settings_of(prepared: Prepared) -> Settings:
    """What of its spec a diagnosis asks for."""
    spec, t = prepared.spec, prepared.spec.train
    placed = {p.index: p.name for p in prepared.network.layers}
    layers = []
    for index, layer in enumerate(spec.network):
        if isinstance(layer, WeightedLayerSpec):
            key = "filters" if isinstance(layer, ConvSpec) else "units"
            layers.append(
                LayerFacts(
                    placed[index],
                    index,
                    layer.activation,
                    getattr(layer, key),
                    key,
                    layer.init,
                    layer.weights is not None or t.init_from is not None,
                    not isinstance(layer.bias, bool),
                    index == len(spec.network) - 1,
                )
            )
    return Settings(
        t.eta,
        t.momentum,
        t.batch_size,
        t.epochs,
        t.cost,
        str(spec.data.scale),
        t.weight_decay,
        t.optimizer.type,
        t.init_from,
        tuple(layers),
        _brakes_of(prepared),
    )


def _brakes_of(prepared: Prepared) -> Brakes:
    t, network = prepared.spec.train, prepared.network
    placed = [(Place(p.name, p.index), p) for p in network.layers]
    weights = network.class_weights
    frozen = (
        place
        for place, p in placed
        if p.parameter_shapes and "weight" in prepared.spec.network[p.index].frozen_parts()
    )
    return Brakes(
        gaps=tuple(gap for place, p in placed if (gap := _gap(place, p)) is not None),
        frozen=tuple(frozen),
        faded=_faded(prepared),
        early_stop=None
        if t.early_stop is None
        else (t.early_stop.patience, t.early_stop.min_delta),
        clip={} if t.clip is None else t.clip.model_dump(),
        decays={key: getattr(t, key) for key in DECAYS if getattr(t, key)},
        dropouts={place: p.layer.rate for place, p in placed if isinstance(p.layer, Dropout)},
        class_weights=None if weights is None else (float(weights.min()), float(weights.max())),
        normalised=tuple(p.name for _, p in placed if isinstance(p.layer, BatchNorm)),
    )


def _faded(prepared: Prepared) -> int | None:
    plan = prepared.plan
    if plan.depends_on_epochs:
        return None
    epochs = range(1, plan.epochs + 1)
    # A warm-up begins with little, too.
    last = max((e for e in epochs if plan.eta_in(e) >= FADED * plan.eta), default=0)
    return last + 1 if last < plan.epochs else None


def _gap(place: Place, placed: Placed) -> Gap | None:
    layer = placed.layer
    if not isinstance(layer, Conv | Pool):
        return None
    axes = layer.windows(placed.input_shape)
    if all(axis.stride <= axis.reach for axis in axes):
        return None
    read = prod(
        axis.outputs * axis.kernel / axis.padded for axis in axes if axis.stride > axis.reach
    )
    rows, columns = axes
    return Gap(place, (rows.kernel, columns.kernel), (rows.stride, columns.stride), read)

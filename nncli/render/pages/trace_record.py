"""A step's record as plain data, by the schema nncli.trace/1, and its arrays by name."""

from typing import Any

import numpy as np

from nncli.inspection.check import Check, TensorCheck
from nncli.inspection.findings import Why
from nncli.inspection.record import Inspection
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.notation import TERMS


def trace_record(inspection: Inspection, why: Why | None = None) -> dict[str, Any]:
    """Every array in full, every digit kept."""
    trace = inspection.trace
    record: dict[str, Any] = {
        "schema": "nncli.trace/1",
        "name": trace.name,
        "eta": trace.eta,
        "momentum": _setting(trace, "momentum"),
        "weight_decay": _setting(trace, "weight_decay"),
        "optimizer": {
            "links": [
                {"name": link.name, "outgoing": link.outgoing, **link.settings()}
                for link in trace.links
            ],
            "scalars": {name: scalar.item() for name, scalar in trace.scalars.items()},
        },
        "dtype": str(trace.inputs.dtype),
        "batch_size": len(trace.samples),
        "samples": list(trace.samples),
        "cost": {
            "name": trace.cost.name,
            "before": trace.cost_before,
            "after": trace.cost_after,
        },
        "inputs": trace.inputs.tolist(),
        "targets": trace.targets.tolist(),
        "layers": [_layer(layer) for layer in trace.layers],
        "check": None if inspection.check is None else _check(inspection.check),
    }
    if why is not None:
        record["why"] = {
            "layer": why.layer,
            "weight": list(why.index),
            "contributions": [c._asdict() for c in why.contributions],
            "total": why.total,
            "cancellation": why.cancellation,
        }
    return record


def trace_arrays(trace: Trace) -> dict[str, Array]:
    """Every array of the trace; those of a layer are named layer.quantity."""
    arrays = {"inputs": trace.inputs, "targets": trace.targets, "samples": np.array(trace.samples)}
    arrays["cost"] = np.array([trace.cost_before, trace.cost_after])
    for layer in trace.layers:
        for term in TERMS:
            array = layer.quantity(term.key)
            if array is not None:
                arrays[f"{layer.name}.{term.key}"] = array
        for key, vectors in layer.optimizer.items():
            arrays |= {f"{layer.name}.{key}.{name}": array for name, array in vectors.items()}
    return arrays


def _layer(layer: LayerTrace) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "activation": layer.activation,
        "hyperparameters": layer.placed.layer.settings(),
        **{term.key: _list(layer.quantity(term.key)) for term in TERMS},
        "optimizer": {
            key: {name: array.tolist() for name, array in vectors.items()}
            for key, vectors in layer.optimizer.items()
        },
    }


def _setting(trace: Trace, key: str) -> float:
    """A setting of the first link that has it; 0 without one."""
    return next((s[key] for s in (link.settings() for link in trace.links) if key in s), 0.0)


def _list(array: Array | None) -> Any:
    return None if array is None else array.tolist()


def _check(check: Check) -> dict[str, Any]:
    return {
        "method": check.method,
        "max_relative_error": check.max_relative_error,
        "passed": check.passed,
        "verdict": check.verdict,
        "tolerance": check.tolerance,
        "gradients": [_tensor(tensor) for tensor in check.tensors],
    }


def _tensor(tensor: TensorCheck) -> dict[str, Any]:
    return {
        "layer": tensor.layer,
        "quantity": tensor.quantity,
        "entries": tensor.size,
        "checked": tensor.checked,
        "verified": tensor.verified,
        "kinks": [list(entry) for entry in tensor.kinks],
        "max_relative_error": tensor.max_relative_error,
        "at": None if tensor.worst is None else list(tensor.worst),
    }

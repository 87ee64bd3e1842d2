"""What names of arrays mean: those of a trace, and anyone's.

A name is cut into words; a table says which of them stand for what. `dW1`, `grads["W1"]`,
`fc1.weight.grad`, `nabla_w[0]` and `dC_dW1` are all the gradient of weights, and a number.
"""

import re
from difflib import get_close_matches
from typing import NamedTuple

ALIKE = 0.85  # for a slip of the pen in a name as in a trace
KEYS = {"w": "weight", "b": "bias"}
OF_OUTPUT = ("logit", "logits", "score", "scores")  # z of the last layer
BASES = {  # a word: what it stands for
    **dict.fromkeys(("w", "weight", "weights", "kernel", "kernels", "theta", "gamma"), "w"),
    **dict.fromkeys(("b", "bias", "biases", "beta"), "b"),
    **dict.fromkeys(("z", "zs", "preactivation", "preactivations", *OF_OUTPUT), "z"),
    **dict.fromkeys(("a", "activation", "activations", "act", "out", "output", "outputs"), "a"),
    **dict.fromkeys(("o", "h", "yhat", "hat", "pred", "preds", "prediction", "predictions"), "a"),
    **dict.fromkeys(("prob", "probs", "probabilities"), "a"),
    **dict.fromkeys(("delta", "deltas", "error", "errors", "err"), "delta"),
    **dict.fromkeys(("x", "xs", "input", "inputs"), "x"),
    **dict.fromkeys(("y", "ys", "target", "targets", "label", "labels"), "y"),
    **dict.fromkeys(("c", "cost", "costs", "loss", "j"), "cost"),
    "upstream": "upstream",
    "downstream": "downstream",
}
MARKS = {  # a word that says of another what it is
    **dict.fromkeys(("grad", "grads", "gradient", "gradients", "nabla", "g", "d", "del"), "grad"),
    **dict.fromkeys(("partial", "dc", "dl", "dj", "de", "dloss", "dcost", "derivs"), "grad"),
    **dict.fromkeys(("update", "updates", "step", "change"), "update"),
    **dict.fromkeys(("new", "after", "updated", "next"), "new"),
    **dict.fromkeys(("old", "before", "init", "initial", "start"), "old"),
    **dict.fromkeys(("prime", "primes", "derivative", "deriv", "slope", "sp"), "prime"),
    **dict.fromkeys(("v", "velocity", "velocities", "vel", "momentum"), "velocity"),
    **dict.fromkeys(("m", "avg", "first"), "first"),
    **dict.fromkeys(("second", "sq"), "second"),
    "pre": "pre",
    "sigma": "sigma",
}
KINDS = {  # a word: the type of layer
    **dict.fromkeys(("fc", "dense", "linear", "lin"), "dense"),
    **dict.fromkeys(("conv", "convolution"), "conv"),
    **dict.fromkeys(("maxpool", "avgpool", "flatten", "batchnorm", "dropout"), ""),
    **dict.fromkeys(("pool", "bn"), ""),
}
KINDS |= {word: word for word, kind in KINDS.items() if not kind}
SPELLED = {"δ": "delta_", "∂": "d", "Δ": "update_", "σ": "sigma_", "′": "_prime_", "'": "_prime_"}
SPELLED |= {"∇": "nabla_", "γ": "gamma", "β": "beta"}


# dW, dLdW, gradW, vdW: a mark and a base in one word.
JOINED = re.compile(r"(d[clje]d|dcostd|dlossd|grad|nabla|[vms]d?|[dg])(\w+)")


class Meaning(NamedTuple):
    """What a name may mean.

    Attributes:
        quantities: of a layer, as a trace has them, the likeliest first; `inputs`, `targets` and
            `cost` are of the whole step. None: the name says nothing.
        number: the layer's, as its user counts.
        kind: the type of layer that it says.
        layer: the layer, where it says so as a trace does.
    """

    quantities: tuple[str, ...]
    number: int | None = None
    kind: str | None = None
    layer: str | None = None


def meaning_of(name: str, layers: tuple[str, ...], quantities: frozenset[str]) -> Meaning:
    """What a name means in a network of these layers, whose trace has these quantities."""
    unquoted = re.sub(r"(?<=[\[(])['\"]|['\"](?=[\])])", "", name)
    text = "".join(SPELLED.get(c, c) for c in unquoted)
    for layer in layers:  # a name as in the trace
        found = re.fullmatch(rf"(?:layers\.)?{re.escape(layer)}[./_](\w+)", text, re.IGNORECASE)
        if found:
            word = found[1].lower()
            if word in quantities or (meant := get_close_matches(word, quantities, 1, ALIKE)):
                return Meaning((word if word in quantities else meant[0],), layer=layer)
    plain = re.sub(r"(conv|pool|norm)[123]d", r"\1", text, flags=re.IGNORECASE)
    plain = re.sub(r"(?<=[a-z])(?=[A-Z][a-z]{2})", "_", plain)  # camelCase, but not dW
    numbers = [int(digits) for digits in re.findall(r"-?\d+", plain.replace("_", " "))]
    found_words = re.findall(r"[a-z]+", plain.lower()) or ["?"]
    if found_words[0][0] == "d" and found_words[0][1:] in KINDS:  # dconv1, dfc2
        found_words = ["grad", found_words[0][1:], *(found_words[1:] or ["weight"])]
    kind = next((KINDS[word] for word in found_words if word in KINDS), None)
    number = numbers[-1] if numbers else None
    if number is None and found_words[0] in ("output", "out") and len(found_words) > 1:
        number, found_words = -1, found_words[1:]  # of the output layer
    if number is None and any(word.removeprefix("d") in OF_OUTPUT for word in found_words):
        number = -1
    return Meaning(_quantities(found_words), number, kind)


def _quantities(words: list[str]) -> tuple[str, ...]:
    bases, marks = _read(words)
    base = next(iter(bases), None)
    if "prime" in marks or ("a" in bases and "z" in bases and "grad" in marks):
        return ("sigma_prime",)
    if base in KEYS:
        return _of_parameter(KEYS[base], "delta" in bases, marks)
    if base == "delta" and len(bases) > 1 and bases[1] in KEYS:
        return _of_parameter(KEYS[bases[1]], True, marks)
    if base in ("upstream", "downstream", "delta"):
        return (base,)
    if "grad" in marks:
        return {"z": ("delta",), "a": ("upstream",), "x": ("downstream",)}.get(base or "", ())
    if base == "a" and "pre" in marks:
        return ("z",)
    return {
        "z": ("z",),
        "a": ("a",),
        "x": ("inputs", "input"),
        "y": ("targets",),
        "cost": ("cost",),
    }.get(base or "", ())


def _of_parameter(key: str, has_delta: bool, marks: set[str]) -> tuple[str, ...]:
    """ΔW is written as an update is, and by some as a gradient is."""
    for mark, quantity in (("velocity", "velocity"), ("first", "first_moment")):
        if mark in marks:
            return (f"{key}_{quantity}",)
    if "second" in marks:
        return (f"{key}_second_moment",)
    if has_delta:
        return (f"{key}_update", f"{key}_gradient")
    for mark, quantity in (("update", "update"), ("grad", "gradient"), ("new", "new")):
        if mark in marks:
            return (f"{key}_{quantity}",)
    return (key,) if "old" in marks else (key, f"{key}_new")


def _read(words: list[str]) -> tuple[list[str], set[str]]:
    """What the words stand for, in order, and what is said of it."""
    bases: list[str] = []
    marks: set[str] = set()
    for word in words:
        if word in BASES and not (word in ("c", "j") and len(words) > 1 and bases):
            bases.append(BASES[word])
        elif word in MARKS:
            marks.add(MARKS[word])
        elif (joined := JOINED.fullmatch(word)) and joined[2] in BASES:
            bases.append(BASES[joined[2]])
            marks.add({"v": "velocity", "m": "first", "s": "second"}.get(word[0], "grad"))
    if "hat" in words:
        bases = ["a"]
    return bases, marks

"""The names in a condition: whether there are such quantities and layers, and what compares."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from nncli.core.expressions import (
    Arithmetic,
    Call,
    Comparison,
    ExpressionError,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    names,
    rebuilt,
)
from nncli.core.text import join_words, quote
from nncli.nn.activations import DEFAULT
from nncli.nn.costs import COSTS
from nncli.nn.layers import LAYERS
from nncli.nn.quantities import (
    FUNCTIONS,
    LAYER_KEYS,
    OF_TRAINING,
    LayerArray,
    LayerFacts,
    layer_row,
)
from nncli.spec.values import listed
from nncli.spec.words import nearest

EACH = {"all": "and", "any": "or", "hidden": "and"}  # layers that a comparison is made for
ONE = ("first", "last")
GROUPS = (*EACH, *ONE)
LISTED = "nncli show --quantities lists them"

Kind = Literal["condition", "number", "array"]


class Held(NamedTuple):
    """What a spec holds that a condition may name.

    Attributes:
        layers: as far as they are known before the data are.
        is_validated: whether data are held back.
    """

    layers: tuple[LayerFacts, ...]
    is_validated: bool


def held_in(data: dict[str, Any]) -> Held:
    """What a spec holds, from its plain values, which may be wrong."""
    network, train, samples = (data.get(key) for key in ("network", "train", "data"))
    train = train if isinstance(train, dict) else {}
    layers = [layer if isinstance(layer, dict) else {} for layer in listed(network) or ()]
    facts: list[LayerFacts] = []
    for k, layer in enumerate(layers):
        kind = layer.get("type")
        if not isinstance(kind, str) or kind not in LAYERS:
            continue
        activation = layer.get("activation", DEFAULT) if "activation" in _keys(kind) else None
        is_last = k == len(layers) - 1
        number = sum(other.kind.type == kind for other in facts) + 1
        facts.append(
            LayerFacts(
                f"{kind}{number}",
                LAYERS[kind],
                activation if isinstance(activation, str) else None,
                layer.get("bias") is not False,
                is_last,
                is_last and _is_fused(train.get("cost", COSTS[0].name), activation),
            )
        )
    validation = samples.get("validation") if isinstance(samples, dict) else None
    return Held(tuple(facts), validation is not None)


def _keys(kind: str) -> set[str]:
    return set(getattr(LAYERS[kind], "__dataclass_fields__", ()))


def _is_fused(cost: Any, activation: Any) -> bool:
    rows = [row for row in COSTS if row.name == cost and row.activation in (None, activation)]
    return any(row.error_is_delta for row in rows)


def bind(tree: Node, held: Held) -> tuple[Node, list[ExpressionError]]:
    """A condition whose names are those of layers, and what is wrong with it.

    A comparison with all., any. or hidden. becomes one for each layer.
    """
    binder = _Binder(held)
    bound = rebuilt(tree, binder.spread)
    kind = binder.kind_of(bound)
    if not binder.found and kind != "condition":
        binder.complain(bound, f"{_what(bound, kind)}, no condition; compare it, as {_like(bound)}")
    # A comparison for each of several layers says the same of each.
    found = {(error.at, error.message): error for error in binder.found}
    return bound, list(found.values())


class _Binder:
    def __init__(self, held: Held) -> None:
        self.held = held
        self.by_name = {layer.name: layer for layer in held.layers}
        self.found: list[ExpressionError] = []

    def complain(self, node: Node, message: str, at: int | None = None) -> None:
        self.found.append(ExpressionError(message, node.at if at is None else at))

    # all., any., hidden., first., last.

    def spread(self, node: Node) -> Node:
        """A comparison with a word for layers, as one of layers by name."""
        if not isinstance(node, Comparison):
            return node
        node = self._with(node, {word: self._end(word) for word in ONE})
        each = [name for name in names(node) if name.layer in EACH]
        if not each:
            return node
        others = [name for name in each if name.layer != each[0].layer]
        if others:
            word = others[0].layer
            self.complain(others[0], f"{quote(word)} and {quote(each[0].layer)} in one comparison")
            return node
        word = str(each[0].layer)
        layers = self._having(word, [name.quantity for name in each])
        if not layers:
            self._refuse_none(each[0], word)
            return node
        parts = tuple(self._with(node, {word: _always(layer.name)}) for layer in layers)
        return parts[0] if len(parts) == 1 else Logic(node.at, EACH[word], parts)

    def _with(self, node: Node, words: dict[str, Callable[[Name], str | None]]) -> Node:
        def named(part: Node) -> Node:
            if isinstance(part, Name) and part.layer in words:
                return replace(part, layer=words[part.layer](part))
            return part

        return rebuilt(node, named)

    def _end(self, word: str) -> Callable[[Name], str | None]:
        def layer_of(name: Name) -> str | None:
            layers = self._having(word, [name.quantity])
            if not layers:
                self._refuse_none(name, word)
                return word
            return layers[0 if word == "first" else -1].name

        return layer_of

    def _having(self, word: str, quantities: Sequence[str]) -> list[LayerFacts]:
        return [
            layer
            for layer in self.held.layers
            if not (word == "hidden" and layer.is_last)
            and all(layer_row(quantity, layer) is not None for quantity in quantities)
        ]

    def _refuse_none(self, name: Name, word: str) -> None:
        if not self.held.layers:
            return  # the network itself is wrong, which is said elsewhere
        if name.quantity not in LAYER_KEYS:
            near = nearest(name.quantity, LAYER_KEYS)
            hint = f"did you mean '{near}'?" if near else LISTED
            message = f"there is no quantity {quote(name.quantity)} of a layer; {hint}"
            self.complain(name, message, name.quantity_at)
            return
        where = "hidden layer" if word == "hidden" else "layer"
        self.complain(name, f"no {where} of this network has {quote(name.quantity)}")

    # What each part is

    def kind_of(self, node: Node) -> Kind | None:
        """What a part is; None where something is wrong in it, which is then known."""
        match node:
            case Number():
                return "number"
            case Name():
                return self._kind_of_name(node)
            case Call():
                return self._kind_of_call(node)
            case Negative():
                return self._calculable(node.operand)
            case Arithmetic():
                return self._kind_of_arithmetic(node)
            case Comparison():
                kinds = [self._comparable(operand) for operand in node.operands]
                return None if None in kinds else "condition"
            case Logic() | Not():
                kinds = [self._condition(part) for part in node.parts]
                return None if None in kinds else "condition"
        raise AssertionError(node)

    def _kind_of_name(self, name: Name) -> Kind | None:
        if name.layer is None:
            return self._kind_of_word(name)
        if name.layer in GROUPS:
            if not self.found:
                self.complain(name, f"{quote(name.layer)} stands in a comparison, as {name} < 1")
            return None
        layer = self.by_name.get(name.layer)
        if layer is None:
            if self.held.layers:
                known = join_words([*self.by_name, *GROUPS])
                near = nearest(name.layer, [*self.by_name, *GROUPS])
                hint = f"did you mean '{near}'?" if near else f"there is {known}"
                self.complain(name, f"there is no layer {quote(name.layer)}; {hint}")
            return None
        row = layer_row(name.quantity, layer)
        if row is None:
            self._refuse_quantity(name, layer.name)
            return None
        return "array" if isinstance(row, LayerArray) else "number"

    def _refuse_quantity(self, name: Name, owner: str) -> None:
        key, at = name.quantity, name.quantity_at
        if key in LAYER_KEYS:
            rows = (layer_row(key, layer) for layer in self.held.layers)
            having = next((row.having.words for row in rows if row is not None), None)
            others = f"; what has it: {having}" if having else ""
            self.complain(name, f"{owner} has no {quote(key)}{others}", at)
        elif key in OF_TRAINING:
            self.complain(name, f"{quote(key)} is of the training: write {key} alone", at)
        else:
            near = nearest(key, LAYER_KEYS)
            hint = f"did you mean '{near}'?" if near else LISTED
            self.complain(name, f"{owner} has no quantity {quote(key)}; {hint}", at)

    def _kind_of_word(self, name: Name) -> Kind | None:
        word = name.quantity
        if word in OF_TRAINING:
            if word.startswith("validation_") and not self.held.is_validated:
                instead = word.replace("validation_cost", "train_cost_after")
                instead = instead.replace("validation", "train")
                message = f"no data are held back (data.validation); write {instead}"
                self.complain(name, message)
                return None
            if word in ("train_accuracy", "train_cost_after") and self.held.is_validated:
                instead = word.replace("train", "validation").removesuffix("_after")
                self.complain(name, f"with data held back there is {instead} instead")
                return None
            return "number"
        if word in self.by_name or word in GROUPS:
            self.complain(name, f"{quote(word)} is no quantity; write {word}.delta_norm, say")
        elif word in LAYER_KEYS:
            self.complain(name, f"{quote(word)} is of a layer: write all.{word}, or a layer's name")
        else:
            near = nearest(word, [*OF_TRAINING, *LAYER_KEYS, *PRESET_WORDS])
            hint = f"did you mean '{near}'?" if near else LISTED
            self.complain(name, f"there is no quantity {quote(word)}; {hint}")
        return None

    def _kind_of_call(self, call: Call) -> Kind | None:
        function = FUNCTIONS.get(call.function)
        kinds = [self.kind_of(argument) for argument in call.arguments]
        if function is None:
            near = nearest(call.function, FUNCTIONS)
            hint = f"did you mean '{near}'?" if near else f"there is {join_words(FUNCTIONS)}"
            self.complain(call, f"there is no function {quote(call.function)}; {hint}")
            return None
        if None in kinds:
            return None
        if function.measure is None and len(kinds) == 1 and kinds[0] != "condition":
            return kinds[0]
        if function.measure is not None and kinds == ["array"]:
            return "number"
        if function.picks and len(kinds) > 1 and set(kinds) == {"number"}:
            return "number"
        takes = "an array, as dense1.delta"
        if function.picks:
            takes += ", or several numbers"
        takes = "a number or an array" if function.measure is None else takes
        came = [_what(a, kind) for a, kind in zip(call.arguments, kinds, strict=True)]
        self.complain(
            call, f"{call.function} takes {takes}; {join_words(came or ['it got none'], 'and')}"
        )
        return None

    def _kind_of_arithmetic(self, node: Arithmetic) -> Kind | None:
        kinds = [self._calculable(part) for part in node.parts]
        if None in kinds:
            return None
        if kinds == ["array", "array"]:
            self.complain(node, f"two arrays cannot be combined by {node.sign}; take norms first")
            return None
        return "array" if "array" in kinds else "number"

    def _calculable(self, node: Node) -> Kind | None:
        kind = self.kind_of(node)
        if kind == "condition":
            self.complain(node, f"{_what(node, kind)}, no number to calculate with")
            return None
        return kind

    def _comparable(self, node: Node) -> Kind | None:
        kind = self.kind_of(node)
        if kind == "array":
            how = f"write norm({node}), max({node}) or mean({node})"
            self.complain(node, f"{_what(node, kind)}, which does not compare; {how}")
            return None
        if kind == "condition":
            self.complain(node, f"{_what(node, kind)} by itself; join it to others with and, or")
            return None
        return kind

    def _condition(self, node: Node) -> Kind | None:
        kind = self.kind_of(node)
        if kind is not None and kind != "condition":
            self.complain(node, f"{_what(node, kind)}, no condition; compare it, as {_like(node)}")
            return None
        return kind


PRESET_WORDS = ("healthy",)


def _always(layer: str) -> Callable[[Name], str]:
    return lambda name: layer


def _what(node: Node, kind: Kind | None) -> str:
    kinds = {"array": "an array", "number": "a number", "condition": "a condition", None: "this"}
    return f"{quote(node)} is {kinds[kind]}"


def _like(node: Node) -> str:
    return f"{node} < 1" if isinstance(node, Name) else "cost < 1"


def epoch_names(tree: Node) -> Iterator[Name]:
    """The quantities in it that there are at the end of an epoch only."""
    for name in names(tree):
        row = OF_TRAINING.get(name.quantity) if name.layer is None else None
        if row is not None and row.by_epoch:
            yield name

"""The conditions of a spec, as a training takes them."""

from collections.abc import Iterator

from nncli.core.errors import SpecError
from nncli.core.expressions import names
from nncli.spec import Spec
from nncli.training.conditions import Condition

CONDITIONS = ("expect", "break")  # the keys that hold them; a run may have others from one day on


def conditions_of(spec: Spec) -> tuple[Condition, ...]:
    """Those of `expect`, then those of `break`."""
    return tuple(
        Condition(
            key=entry.key,
            that=that,
            tree=tree,
            after=entry.after,
            in_a_row=entry.for_,
            every=entry.every,
            at=entry.at,
            actions=entry.do,
        )
        for _, that, tree, entry in spec.conditions()
    )


def check_conditions(spec: Spec, *, classes: bool) -> None:
    """Raises SpecError for a condition on what there is of classes alone, where targets are none.

    All that the spec alone tells was checked as it was read.
    """
    if not classes:
        problems = list(_without_classes(spec))
        if problems:
            raise SpecError(problems)


def _without_classes(spec: Spec) -> Iterator[str]:
    for path, _, tree, _ in spec.conditions():
        for name in names(tree):
            if name.layer is None and name.quantity.endswith("_accuracy"):
                message = f"there is no {name}, as the targets are no classes; name a cost"
                yield from spec.error_at(path, message).problems

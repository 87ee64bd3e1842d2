"""Values by name, each made by a rule from others; any of them may be given instead."""

from collections.abc import Callable, Iterable, Mapping

from nncli.nn.arrays import Array

Rule = Callable[["Values"], Array]


class Values:
    """The values of a step: what it starts from, what is given, and what rules make of them.

    A rule reads `values[name]`: what is given by that name, else what its rule makes, once.

    Attributes:
        rules: by name, in order of computation.
        start: the values that have no rule.
        given: values that are read in place of what their rules make.
        reads: what each rule that ran has read.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        start: Mapping[str, Array],
        given: Mapping[str, Array] | None = None,
        *,
        blur: Callable[[str, Array], Array] | None = None,
    ) -> None:
        """
        Args:
            blur: changes whatever a rule made, and what is given, by its name: to see how rounding
                spreads.
        """
        self.rules, self.start, self.given = rules, start, dict(given or {})
        self.reads: dict[str, set[str]] = {}
        self._made: dict[str, Array] = {}
        self._reading: list[set[str]] = []
        self._blur = blur
        if blur is not None:
            self.given = {name: blur(name, array) for name, array in self.given.items()}

    def __getitem__(self, name: str) -> Array:
        if self._reading:
            self._reading[-1].add(name)
        if name in self.given:
            return self.given[name]
        return self.start[name] if name in self.start else self.made(name)

    def made(self, name: str) -> Array:
        """What the rule of that name makes, whether or not it is given."""
        if name not in self._made:
            self._reading.append(set())
            made = self.rules[name](self)
            self._made[name] = made if self._blur is None else self._blur(name, made)
            self.reads[name] = self._reading.pop()
        return self._made[name]

    def make_all(self) -> dict[str, Array]:
        """All that the rules make, in order."""
        return {name: self.made(name) for name in self.rules}

    def changed(self, changes: Mapping[str, Rule]) -> "Values":
        """The same with other rules for some names; what does not follow from them is kept.

        For values that were all made.
        """
        values = Values({**self.rules, **changes}, self.start, self.given)
        stale = self.following(changes)
        values._made = {name: array for name, array in self._made.items() if name not in stale}
        values.reads = {name: read for name, read in self.reads.items() if name not in stale}
        return values

    def following(self, names: Iterable[str]) -> set[str]:
        """These names, and those whose rules read them, or what follows from them.

        What is given does not follow from anything.
        """
        found = set(names)
        for name in self.rules:
            if any(read in found and read not in self.given for read in self.reads.get(name, ())):
                found.add(name)
        return found

    def sources(self, name: str) -> set[str]:
        """The given values that the rule of `name` read, or those that made what it read."""
        found, left, seen = set[str](), [name], set[str]()
        while left:
            for read in self.reads.get(left.pop(), ()):
                if read in self.given:
                    found.add(read)
                elif read not in seen:
                    seen.add(read)
                    left.append(read)
        return found

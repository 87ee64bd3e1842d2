"""The written form of a path into a spec: `network[0].units`."""

import re

from nncli.spec.words import KeyPath

_STEP = re.compile(r"\.?(?P<key>[^.\[\]=\s]+)|\[(?P<index>[0-9]{1,9})\]")


def parse_path(text: str) -> KeyPath:
    """`network[0].units` as `("network", 0, "units")`; ValueError where it is not such a path."""
    path: list[str | int] = []
    position = 0
    while position < len(text) or not path:
        step = _STEP.match(text, position)
        # A dot belongs between two names and nowhere else.
        if step is None or (step.group().startswith(".") != bool(path) and step["key"]):
            raise ValueError(text)
        path.append(step["key"] if step["key"] else int(step["index"]))
        position = step.end()
    return tuple(path)

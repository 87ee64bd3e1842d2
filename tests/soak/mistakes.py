"""Every kind of mistake planted in random networks, and what `nncli check` makes of them."""

from collections import Counter

from tests.inspection.planting import accused, outcome
from tests.reference.mistaken import PLANTED
from tests.soak.report import Report

EVERY = (*PLANTED, "wrong_batch", "rounding")


def report(each: int = 50, sound: int = 500, kinds: tuple[str, ...] = EVERY) -> Report:
    """Named are at least 95 % of each 100 that can be seen, wrongly named is none."""
    total, lost = Counter[str](), list[str]()
    for kind in kinds:
        found = Counter[str]()
        for seed in range(each):
            one = outcome(kind, seed)
            found[one.verdict] += 1
            if one.verdict in ("wrong", "unknown"):
                words = one.checked.mistakes if one.checked else ()
                lost.append(f"{kind}, seed {seed}, {one.how}: {one.verdict} {words}")
        total += found
    seen = total.total() - total["invisible"]
    if total["named"] < 0.95 * seen:
        lost.append(f"only {total['named']} of {seen} are named")
    lost += [f"a sound step is accused: seed {s}" for s in range(sound) if accused(s) is not None]
    tried = ", ".join(f"{number} {word}" for word, number in total.most_common())
    return Report(f"{total.total()} mistakes ({tried}), {sound} sound steps", lost)

"""What is told of the columns of tables: their rules, their gaps, and words that none knows."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nncli.core.text import brief, count_of, join_words, quote
from nncli.data.columns.kinds import DROP, REFUSE, Category, Number, Ordinal, Rule
from nncli.data.readers.columns import Column
from nncli.data.readers.tables import GAPS
from nncli.data.samples import RawColumns, named

MOST_NOTED = 12  # columns whose rule is told when training begins
MOST_WORDS = 3  # that are named in a note


def out_of_order(table: str, column: Column, rule: Ordinal) -> list[str]:
    """A note of the words for which an order has no place."""
    words = zip(column.words, column.counts.tolist(), strict=True)
    others = Counter({w: n for w, n in words if w not in GAPS and np.isnan(rule.value(w))})
    if not others:
        return []
    cells = count_of(others.total(), "cell")
    order = join_words(list(map(brief, rule.order)), "and")
    what = f"{cells} with words beside {order}, taken for a gap: {some_of(others)}"
    return [f"{table}: {named(rule.name)}: {what}; {rule.of_gaps()}"]


class Tally:
    """Counts, over the tables that it is given, gaps and words that training did not meet."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.gaps = [0] * len(rules)
        self.words: list[Counter[str]] = [Counter() for _ in rules]

    def add(self, raw: RawColumns, rows: NDArray[np.int64] | None = None) -> None:
        for k, (column, rule) in enumerate(zip(raw.columns, self.rules, strict=True)):
            column = column if rows is None else column.chosen(rows)
            self.gaps[k] += int(np.count_nonzero(column.gaps))
            if column.codes is None or rule.refuses_words:
                continue
            for word, n in zip(column.words, column.counts.tolist(), strict=True):
                if n and word not in GAPS and np.isnan(rule.value(word)):
                    self.words[k][word] += n

    def notes(self, name: str, *, gaps: bool = True) -> list[str]:
        """What was counted, a column a note."""
        notes = []
        for rule, number, words in zip(self.rules, self.gaps, self.words, strict=True):
            if number and gaps and rule.missing != DROP:
                many = count_of(number, "gap")
                notes.append(f"{name}: {named(rule.name)}: {many}; {rule.of_gaps()}")
            if words:
                become = "no category" if isinstance(rule, Category) else "a gap"
                notes.append(
                    f"{name}: {named(rule.name)}: {count_of(words.total(), 'cell')} with words "
                    f"that training did not meet, taken for {become}: {some_of(words)}"
                )
        return notes


def some_of(words: Counter[str]) -> str:
    """The most frequent of some words, and how many more there are."""
    shown = [quote(brief(word)) for word, _ in words.most_common(MOST_WORDS)]
    more = [] if len(words) <= MOST_WORDS else [f"{len(words) - MOST_WORDS} more"]
    return join_words([*shown, *more], "and")


def notes_of_rules(name: str, rules: Sequence[Rule]) -> list[str]:
    """What was found out of columns, with the reasons; not what the spec said itself."""
    found = [rule for rule in rules if rule.why]
    notes = [f"{name}: {named(rule.name)}: {told(rule)}" for rule in found[:MOST_NOTED]]
    if len(found) > MOST_NOTED:
        more = count_of(len(found) - MOST_NOTED, "more column")
        notes.append(f"{name}: and {more}; nncli show lists them for a run")
    return notes


def told(rule: Rule, *, whole: bool = False) -> str:
    """What a column becomes, and why; `whole` tells of gaps that only later data may have."""
    is_bare = isinstance(rule, Number) and not rule.format and not whole
    parts = [] if is_bare and rule.why else [rule.described()]
    if whole or rule.indicator or "empty" in rule.why or rule.missing in (DROP, REFUSE):
        parts.append(rule.of_gaps())
    text = "; ".join(parts)
    return f"{text} ({rule.why})" if rule.why else text

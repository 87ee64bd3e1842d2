"""From a table's columns to samples: inputs by the rules of their columns, targets beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import brief, count_of, quote, quote_all
from nncli.data.columns.choice import Choice, ColumnKeys, Given, choose, columns_like
from nncli.data.columns.kinds import (
    DROP,
    KINDS,
    REFUSE,
    Number,
    Ordinal,
    Rule,
    names_of,
)
from nncli.data.columns.notes import Tally, out_of_order
from nncli.data.columns.recognise import LEAST_ROWS, recognise
from nncli.data.messages import Problems
from nncli.data.readers.columns import Column, read_columns
from nncli.data.readers.tables import (
    GAPS,
    HEADER_HINT,
    Cells,
    Table,
    Target,
    table_targets,
    targets_origin,
)
from nncli.data.samples import RawColumns, Samples, named
from nncli.data.targets import Classes

MOST_LINES = 3  # that are named in a note


def table_samples(
    table: Table,
    *,
    target: Target = None,
    with_targets: bool = True,
    classes: Classes = None,
    keys: ColumnKeys | None = None,
    like: Samples | None = None,
) -> Samples:
    """The table's columns divided into inputs and targets.

    Args:
        target: the target column or columns, by name or index; the last where it is None.
        with_targets: False takes every column as an input.
        keys: what the spec says of columns.
        like: the training samples, for other data: their columns are found by name where both
            have names that differ, and read by their rules.
    """
    if like is None:
        chosen = choose(table, target, keys or ColumnKeys(), with_targets=with_targets)
        return chosen_samples(
            table,
            chosen.inputs,
            chosen.targets,
            classes,
            given=chosen.given,
            ignored=chosen.ignored,
            may_drop=with_targets,
        )
    chosen = _like(table, like, target, keys or ColumnKeys(), with_targets)
    rules = like.raw.rules if like.raw is not None else None
    table = without_others(table, like, chosen)
    return chosen_samples(
        table,
        chosen.inputs,
        chosen.targets,
        classes,
        rules=rules,
        is_later=True,
        may_drop=with_targets,
    )


def _like(
    table: Table, like: Samples, target: Target, keys: ColumnKeys, with_targets: bool
) -> Choice:
    names = like.columns
    if table.header is None or names is None or len(set(names)) < len(names):
        return choose(table, target, keys, with_targets=with_targets)
    found = columns_like(table, names, like.targets_origin.columns)
    if with_targets and not found.targets:
        wanted = like.targets_origin.columns
        if wanted:
            raise DataError(
                f"{table.name}: lacks the target column {', '.join(map(quote, wanted))}",
                key="target",
            )
        chosen = choose(table, target, keys)
        return replace(found, targets=chosen.targets)
    return found if with_targets else replace(found, targets=[])


def without_others(table: Table, like: Samples, chosen: Choice) -> Table:
    """The table with a note of its columns that the training data do not have."""
    known = {*like.ignored, *(like.targets_origin.columns or ())}
    others = [table.header[i] for i in chosen.ignored if table.header] if like.columns else []
    others = [name for name in others if name not in known]
    if not others:
        return table
    note = f"{table.name}: left out {quote_all(others)}, which the network is not trained on"
    return replace(table, notes=(*table.notes, note))


def chosen_samples(
    table: Table,
    inputs: Sequence[int],
    targets: Sequence[int],
    classes: Classes = None,
    hint: str = HEADER_HINT,
    *,
    given: Mapping[int, Given] | None = None,
    ignored: Sequence[int] = (),
    rules: Sequence[Rule] | None = None,
    is_later: bool = False,
    may_drop: bool = True,
) -> Samples:
    """The samples in these columns of a table, counted from 0; without targets where none are.

    Where some of the columns are no plain numbers, their inputs are left to `featured`.

    Args:
        given: what the spec says of inputs.
        ignored: columns that the spec leaves out.
        rules: of the inputs, one each, as training settled them.
        is_later: whether training has settled the columns already: as numbers where `rules` is
            None.
        may_drop: whether rows with gaps may be left out.
    """
    table = without_missing_targets(table, targets, classes)
    problems = Problems(table.name)
    raw: RawColumns | None = None
    if (is_later and rules is None) or (
        rules is None and not given and isinstance(table.cells, np.ndarray)
    ):
        numbers = table.numbers(inputs, problems, hint)
    else:
        columns = read_columns(table, inputs, words_of(inputs, given or {}, rules))
        plain = None if given or rules is not None else plain_numbers(columns)
        if plain is not None:
            numbers = plain
        else:
            raw, notes = ruled(table, columns, given or {}, rules)
            check(table, raw, problems, hint, may_drop=may_drop)
            if problems.total:
                table_targets(table, targets, classes, problems)
            problems.raise_any()
            table, raw = without_gaps(replace(table, notes=(*table.notes, *notes)), raw)
            numbers = np.empty((len(table), 0))
            inputs = [column.position for column in raw.columns]
    values = table_targets(table, targets, classes, problems)
    problems.raise_any()
    origin = table.origin(inputs)
    return Samples(
        numbers,
        values,
        origin.columns,
        origin,
        targets_origin(table, targets, values),
        raw=raw,
        ignored=tuple(table.header[i] if table.header else i for i in ignored),
    )


def plain_numbers(columns: Sequence[Column]) -> NDArray[np.float64] | None:
    """N x columns, where all are finite numbers."""
    numbers = [column.numbers for column in columns if column.numbers is not None]
    if len(numbers) < len(columns) or not all(np.isfinite(values).all() for values in numbers):
        return None
    return np.stack(numbers, axis=1)


def words_of(
    inputs: Sequence[int], given: Mapping[int, Given], rules: Sequence[Rule] | None
) -> list[int]:
    """The columns that are read as words."""
    if rules is not None:
        return [i for i, rule in zip(inputs, rules, strict=False) if rule.as_words]
    kinds = {i: given[i].get("as") for i in inputs if i in given}
    return [i for i, kind in kinds.items() if kind is not None and KINDS[kind].as_words]


def ruled(
    table: Table,
    columns: Sequence[Column],
    given: Mapping[int, Given],
    rules: Sequence[Rule] | None,
) -> tuple[RawColumns, list[str]]:
    """The columns that are inputs, each with its rule; and a note for each that is left out."""
    if rules is not None:
        if len(rules) != len(columns):
            raise DataError(
                f"{table.name}: has {count_of(len(columns), 'input column')}, but the training "
                f"data have {len(rules)}"
            )
        return RawColumns(tuple(columns), tuple(rules)), []
    kept, found, left_out, notes, wrong = [], [], [], [], []
    for column in columns:
        try:
            rule, why = recognise(column, given.get(column.position, {}))
        except DataError as error:
            wrong += [f"{table.name}: {problem}" for problem in error.problems]
            continue
        if rule is None:
            left_out.append((column.position, why))
            notes.append(f"{table.name}: left out {named(column.name)}, which {why}")
            continue
        kept.append(column)
        found.append(rule)
        if isinstance(rule, Ordinal) and rule.missing != REFUSE:
            notes += out_of_order(table.name, column, rule)
    if wrong:
        raise DataError(wrong, key="columns")
    if not kept:
        raise DataError([*notes, f"{table.name}: no column is left for the inputs"])
    return RawColumns(tuple(kept), tuple(found), tuple(left_out)), notes


def check(table: Table, raw: RawColumns, problems: Problems, hint: str, *, may_drop: bool) -> None:
    """Adds to the problems what in the cells goes against the rules."""
    numbers: list[int] = []
    strict: list[int] = []
    for column, rule in zip(raw.columns, raw.rules, strict=True):
        gaps = column.gaps
        is_refused = rule.missing == REFUSE or (rule.missing == DROP and not may_drop)
        if isinstance(rule, Number) and not rule.format:
            values = column.as_numbers()
            if (np.isinf(values) | (np.isnan(values) & ~gaps)).any() or (is_refused and gaps.any()):
                numbers.append(column.position)
            if is_refused:
                strict.append(column.position)
            continue
        if rule.refuses_words or (is_refused and isinstance(rule, Ordinal)):
            check_words(table, column, rule, problems)
        if is_refused and gaps.any():
            rows = np.flatnonzero(gaps)
            origin = table.origin([column.position])
            problem = f"{origin.place(int(rows[0]))}: the cell is empty{why_refused(rule)}"
            problems.add_rows(problem, origin.rows(rows))
    if numbers:
        gaps_taken = [position for position in numbers if position not in strict]
        table.numbers(numbers, problems, hint, partial(word_hint, table), gaps_taken)


def word_hint(table: Table, column: int) -> str:
    """What to do where a word among many numbers is no mistake."""
    if table.header is None or len(table) < LEAST_ROWS:
        return ""
    name = table.header[column]
    return f"; where it is meant, columns: {{{name}: category}} takes all cells as words"


def why_refused(rule: Rule) -> str:
    if rule.missing == DROP:
        return "; in training its row was left out, here every row is needed"
    return f"; to fill it, set columns: {{{rule.name}: {{missing: {rule.fills[0]}}}}}"


def check_words(table: Table, column: Column, rule: Rule, problems: Problems) -> None:
    """Adds a problem for each word that a rule has no value for."""
    origin = table.origin([column.position])
    if column.codes is None:
        values = rule.values(column)
        rows = np.flatnonzero(np.isnan(values) & ~column.gaps)
        if len(rows):
            problem = f"{origin.place(int(rows[0]))}: {expected_of(rule)}"
            problems.add_rows(problem, origin.rows(rows))
        return
    for word in column.words:
        if word not in GAPS and np.isnan(rule.value(word)):
            rows = column.where(word)
            problem = f"{origin.place(int(rows[0]))}: {quote(word)} {expected_of(rule)}"
            problems.add_rows(problem, origin.rows(rows))


def expected_of(rule: Rule) -> str:
    if isinstance(rule, Ordinal):
        return f"is none of {', '.join(map(brief, rule.order))}"
    format = getattr(rule, "format", "")
    return f"is no date of the form {format}" if format else "is neither true nor false"


def without_gaps(table: Table, raw: RawColumns) -> tuple[Table, RawColumns]:
    """Without the rows that have a gap where the rule says to drop them, which are counted."""
    dropped = np.zeros(len(table), np.bool_)
    notes = []
    for column, rule in zip(raw.columns, raw.rules, strict=True):
        if rule.missing == DROP:
            none = rule.none(column, rule.values(column))
            dropped |= none
            if none.any():
                many = count_of(int(none.sum()), "row")
                notes.append(f"{table.name}: left out {many} without {named(rule.name)}")
    if not notes:
        return table, raw
    if dropped.all():
        raise DataError([*notes, f"{table.name}: no row is left"], key="columns")
    kept = np.flatnonzero(~dropped)
    columns = tuple(column.chosen(kept) for column in raw.columns)
    table = replace(table.chosen(~dropped), notes=(*table.notes, *notes))
    return table, raw._replace(columns=columns)


def without_missing_targets(table: Table, targets: Sequence[int], classes: Classes) -> Table:
    """Without the rows whose target is missing, which are counted."""
    if not targets or not isinstance(table.cells, Cells):
        return table
    known = set(classes) if isinstance(classes, tuple) else set()
    gaps = np.zeros(len(table), np.bool_)
    for column in read_columns(table, targets):
        if known & GAPS and column.codes is not None:
            words = [word in GAPS and word not in known for word in column.words]
            gaps |= column.of_words(words, np.bool_)
        else:
            gaps |= column.gaps
    if not gaps.any():
        return table
    if gaps.all():
        name = table.origin(targets).place(0).rpartition(", ")[2]
        raise DataError(f"{table.name}: no row has a target: {name} is empty", key="target")
    rows = np.flatnonzero(gaps)
    lines = ", ".join(str(line) for line in table.lines[rows[:MOST_LINES]])
    more = ", ..." if len(rows) > MOST_LINES else ""
    noun = "row" if len(rows) == 1 else "rows"
    note = f"{table.name}: left out {len(rows):,} {noun} without a target ({noun} {lines}{more})"
    return replace(table.chosen(~gaps), notes=(*table.notes, note))


# Features


def fitted_rules(raw: RawColumns, rows: NDArray[np.int64], name: str) -> tuple[Rule, ...]:
    """The rules with what these rows settle."""
    try:
        return tuple(
            rule.fit(column, rows) for column, rule in zip(raw.columns, raw.rules, strict=True)
        )
    except DataError as error:
        raise DataError(
            [f"{name}: {problem}" for problem in error.problems], key=error.key
        ) from error


def featured(
    samples: Samples, rules: Sequence[Rule], shape: Sequence[int] | None = None
) -> Samples:
    """The samples with the features of fitted rules as inputs."""
    raw = samples.raw
    assert raw is not None
    names = names_of(rules)
    inputs = np.zeros((len(samples), len(names)))
    positions, start = [], 0
    for column, rule in zip(raw.columns, rules, strict=True):
        end = start + len(rule.features)
        rule.apply(column, inputs[:, start:end])
        positions += [column.position + 1] * (end - start)
        start = end
    origin = samples.inputs_origin._replace(positions=tuple(positions), columns=names)
    made = replace(samples, inputs=inputs, columns=names, inputs_origin=origin, raw=None)
    return made.reshaped(shape)


def told_features(
    samples: Samples,
    rules: Sequence[Rule],
    shape: Sequence[int] | None = None,
    *,
    rows: NDArray[np.int64] | None = None,
    gaps: bool = True,
) -> Samples:
    """As `featured`, with notes of the words that training did not meet, and of `gaps`.

    rows: where these are looked for; everywhere by default.
    """
    made, raw = featured(samples, rules, shape), samples.raw
    assert raw is not None
    tally = Tally(rules)
    tally.add(raw, rows)
    return made.noting(tally.notes(samples.inputs_origin.name, gaps=gaps))

"""The answers to an exercise: forms to fill in, the key, and the products behind a number."""

from collections.abc import Callable, Sequence
from math import copysign
from typing import Any

import numpy as np

from nncli.core.jsons import to_json
from nncli.inspection.exercises.draws import DECIMALS
from nncli.inspection.exercises.sheet import Blank, Sheet
from nncli.inspection.exercises.working import LARGEST, Terms, Working
from nncli.render.pages.explain.words import n
from nncli.render.pages.predictions import csv_text


def value_words(blank: Blank) -> str:
    return short(blank.value)


def short(value: float) -> str:
    """To as many decimals as answers are asked for."""
    return n(round(value, DECIMALS), 12)


def working_words(working: Working, write: Callable[[float], str] = short) -> str:
    """A sum of products, with the function of it: `sigmoid(0.5)`."""
    if working.function == LARGEST:
        return f"max({', '.join(write(f) for (f,) in working.terms)})"
    text = _sum(working.terms, write)
    if working.function:
        text = f"{working.function}({text})"
    if working.divisor != 1:
        is_plain = bool(working.function) or len(working.terms) == 1
        text = f"{text if is_plain else f'({text})'} / {write(working.divisor)}"
    return text


def _sum(terms: Terms, write: Callable[[float], str]) -> str:
    """Products with + or − between them."""
    first, *rest = terms
    text = write(first[0]) if len(first) == 1 else _product(first, write)
    for term in rest:
        if copysign(1, term[0]) < 0:  # −0 too
            text += f" − {_product((-term[0], *term[1:]), write)}"
        else:
            text += f" + {_product(term, write)}"
    return text


def _product(factors: tuple[float, ...], write: Callable[[float], str]) -> str:
    """Negative factors stand in parentheses."""
    written = map(write, factors)
    return "·".join(f"({text})" if text.startswith("-") else text for text in written)


def form_csv(sheet: Sheet) -> str:
    """A table to be filled in, a blank a row."""
    head = [("sheet", sheet.name, ""), ("student", "", ""), ("blank", "quantity", "answer")]
    return csv_text([*head, *((blank.number, blank.name, "") for blank in sheet.blanks)])


def form_json(sheet: Sheet) -> str:
    """The same as JSON: each quantity under its name, null where an answer goes."""
    answers = {
        asked.name: np.full(asked.shown.shape, None, object).tolist() for asked in sheet.asked
    }
    return to_json({"sheet": sheet.name, "student": "", **answers}, indent=2) + "\n"


def key_record(sheet: Sheet) -> dict[str, Any]:
    """What a key holds of a sheet: its network, and every blank with its answer."""
    return {
        "schema": "nncli.exercise/1",
        "sheet": sheet.name,
        "topic": sheet.kind.topic,
        "level": sheet.kind.level,
        "seed": sheet.seed,
        "decimals": DECIMALS,
        "spec": sheet.spec,
        "blanks": [
            {
                "blank": blank.number,
                "quantity": blank.name,
                "answer": blank.value,
                "tolerance": blank.tolerance,
                "working": working_words(sheet.working(blank)),
            }
            for blank in sheet.blanks
        ],
    }


def key_json(sheets: Sequence[Sheet]) -> str:
    """The key of a class: all its sheets."""
    records = [key_record(sheet) for sheet in sheets]
    return to_json({"schema": "nncli.key/1", "sheets": records}, indent=1) + "\n"

"""What is wrong with a command line, in our own words.

Typer says which parameter an error is about; what it expects is read from the command's own
annotations, and what came from the arguments. No text of Typer's, or of what it is built on, is
shown or looked at.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from nncli.core.text import brief, count_of, join_words, nearest, quote, quote_all

NUMBERS = {int: "a whole number", float: "a number"}


def usage_message(
    error: Any, commands: Mapping[str, Callable[..., object]], arguments: Sequence[str]
) -> str:
    """A sentence or two about an error that Typer raised of a command line.

    Args:
        commands: the functions of the commands, by name.
        arguments: what came after the program's name.
    """
    context = getattr(error, "ctx", None)
    command = getattr(context, "command", None)
    name = getattr(context, "info_name", None) if getattr(context, "parent", None) else None
    if context is None and arguments and arguments[0] in commands:
        name = arguments[0]
    hints = get_type_hints(commands[name], include_extras=True) if name and name in commands else {}
    of = f"nncli {name}" if name else "nncli"
    parameters = {p.name: p for p in getattr(command, "params", ())}
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "NoSuchOption" in kinds:
        known = [opt for p in parameters.values() for opt in (*p.opts, *p.secondary_opts)]
        option = error.option_name
        return f"there is no option {brief(option)}{nearest(option, known) or _help(of)}"
    if "MissingParameter" in kinds and error.param is not None:
        return f"{_shown(error.param)} is missing{_help(of)}"
    if "BadOptionUsage" in kinds:
        option = brief(error.option_name)
        is_switch = _is_switch(error.option_name, hints)
        return f"{option} {'takes no value' if is_switch else 'needs a value'}{_help(of)}"
    if "BadParameter" in kinds:
        if error.param is None:  # a command's own refusal
            return str(error.message)
        expected = expected_words(hints.get(error.param.name))
        value = _given(error.param.opts, arguments)
        came = "" if value is None else f", got {quote(value)}"
        return f"{_shown(error.param)}: expected {expected}{came}{_help(of)}"
    if not name:
        word = next((a for a in arguments if not a.startswith("-")), "")
        return f"there is no command {quote(word)}{nearest(word, commands) or _help(of)}"
    takes_only = [p for p in parameters.values() if p.param_type_name == "argument"]
    number = count_of(len(takes_only), "argument") if takes_only else "no argument"
    which = f", {join_words([_shown(p) for p in takes_only], 'and')}" if takes_only else ""
    extra = _positional(arguments[1:], hints)[len(takes_only) :]
    given = quote_all(extra) if extra else "more"
    return f"{of} takes {number}{which}, and was given {given} too{_help(of)}"


def expected_words(hint: Any) -> str:
    """What a parameter takes, by its annotation: a kind of number with its bounds, or words."""
    kind, *details = get_args(hint) or (hint,)
    kinds = [k for k in (get_args(kind) or (kind,)) if k is not type(None)]
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return join_words([str(member.value) for member in kind], "or")
    words = NUMBERS.get(kind, "another value")
    least, most = (
        next((getattr(d, key) for d in details if getattr(d, key, None) is not None), None)
        for key in ("min", "max")
    )
    if least is not None and most is not None:
        return f"{words} from {least} to {most}"
    if least is not None:
        return f"{words} of at least {least}"
    return words if most is None else f"{words} of at most {most}"


def _shown(parameter: Any) -> str:
    """An option by its long name, an argument by what the help calls it."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))


def _is_switch(option: str, hints: Mapping[str, Any]) -> bool:
    """Whether an option is there or not, and has no value."""
    for name, hint in hints.items():
        kind, *details = get_args(hint) or (hint,)
        written = [d for detail in details for d in getattr(detail, "param_decls", None) or ()]
        if option in (written or [f"--{name.strip('_').replace('_', '-')}"]):
            return kind is bool
    return False


def _positional(arguments: Sequence[str], hints: Mapping[str, Any]) -> list[str]:
    """What on a command line is neither an option nor the value of one."""
    found: list[str] = []
    is_value = False
    for k, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[k + 1 :]]
        if argument.startswith("-") and len(argument) > 1:
            is_value = "=" not in argument and not _is_switch(argument, hints)
            continue
        if not is_value:
            found.append(argument)
        is_value = False
    return found


def _given(options: Sequence[str], arguments: Sequence[str]) -> str | None:
    """The last value of an option on a command line; None where it cannot be told."""
    found = None
    for k, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in options:
            found = value if equals else next(iter(arguments[k + 1 : k + 2]), None)
    return found


def _help(of: str) -> str:
    return f"; {of} --help lists what there is"

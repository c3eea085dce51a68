"""Which training sample or latent point of a model the user means by a short text."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from riemaug.errors import InvalidInputError

Sources = Mapping[str, Sequence[str]]
"""For each class where its training samples came from, in the order of the metric's centroids."""


@dataclass(frozen=True)
class Endpoint:
    """One end of an interpolation.

    Attributes
    ----------
    class_name : str
    index : int or None
        Number of the training sample within its class, from 0; None for a latent point.
    source : str
        Where the sample came from; "" for a latent point.
    coordinates : tuple of float
        Of a latent point; empty for a training sample.
    """

    class_name: str
    index: int | None = None
    source: str = ""
    coordinates: tuple[float, ...] = ()


def resolve_endpoints(start: str, end: str, sources: Sources) -> tuple[Endpoint, Endpoint]:
    """Return what the texts A and B mean: SOURCE, INDEX or @x,y,..., with or without CLASS: before it.

    A source may be given by its file name alone where only one sample has it. An index counts the
    samples of the class from 0. Without a class, an index or point is of the model's only class or of
    that of the other end.

    Raises
    ------
    InvalidInputError
        A text that fits nothing or several samples, ends of two classes, or one end twice.
    """
    named = [_class_prefix(text, sources) for text in (start, end)]
    first = _resolve("A", start, sources, named[1])
    second = _resolve("B", end, sources, named[0] or first.class_name)
    if first.class_name != second.class_name:
        raise InvalidInputError(
            f"A and B must be of one class, {start!r} is of {first.class_name!r} and {end!r} of "
            f"{second.class_name!r}: each class has a metric of its own"
        )
    if first == second:
        raise InvalidInputError(f"A and B must differ, {start!r} and {end!r} are the same: choose another B")
    return first, second


def _class_prefix(text: str, sources: Sources) -> str | None:
    """Return the class with whose name and a colon the text begins, the longest if there are several."""
    if any(text in names for names in sources.values()):
        return None
    return max((name for name in sources if text.startswith(f"{name}:")), key=len, default=None)


def _resolve(which: str, text: str, sources: Sources, other_class: str | None) -> Endpoint:
    class_name = _class_prefix(text, sources)
    if class_name is not None:
        return _within(which, text[len(class_name) + 1 :], {class_name: sources[class_name]}, class_name)
    if len(sources) == 1:
        other_class = next(iter(sources))
    return _within(which, text, sources, other_class)


def _within(which: str, text: str, sources: Sources, default_class: str | None) -> Endpoint:
    """Find a source in the given classes, or an index or point in the default one."""
    found = list(_matches(text, sources))
    if len(found) > 1:
        shown = " and ".join(repr(f"{item.class_name}:{item.source}") for item in found[:2])
        raise InvalidInputError(
            f"{which} must be one training sample, {text!r} fits {shown}: give one of them"
        )
    if found:
        return found[0]
    if text.startswith("@"):
        return Endpoint(_needed(which, text, default_class, sources), coordinates=_coordinates(which, text))
    if text.isdecimal():
        class_name = _needed(which, text, default_class, sources)
        names, index = sources[class_name], int(text)
        if index >= len(names):
            raise InvalidInputError(
                f"{which} must be one of the {len(names)} training samples of class {class_name!r}, "
                f"numbered from 0, got {text}: use 0 to {len(names) - 1}"
            )
        return Endpoint(class_name, index, names[index])
    raise InvalidInputError(
        f"{which} must be a training sample of the model (CLASS:SOURCE or CLASS:INDEX) or a latent point "
        f"(CLASS:@x,y), {text!r} is neither; {_hint(text, sources)}"
    )


def _matches(text: str, sources: Sources) -> Iterator[Endpoint]:
    """Yield the samples of that source; if there is none, those of that file name."""
    samples = [
        Endpoint(name, index, source) for name, names in sources.items() for index, source in enumerate(names)
    ]
    exact = [sample for sample in samples if sample.source == text]
    yield from exact or [sample for sample in samples if _file_name(sample.source) == text]


def _file_name(source: str) -> str:
    return source.rsplit("/", 1)[-1]


def _needed(which: str, text: str, class_name: str | None, sources: Sources) -> str:
    if class_name is None:
        raise InvalidInputError(
            f"{which} must name its class, {text!r} does not and the model has {len(sources)}; write "
            f"{next(iter(sources))}:{text}, say"
        )
    return class_name


def _coordinates(which: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text[1:].split(","))
    except ValueError:
        values = (math.nan,)
    if not all(math.isfinite(value) for value in values):
        raise InvalidInputError(
            f"{which} must be numbers with commas between them, such as @0.5,-1, got {text!r}"
        )
    return values


def _hint(text: str, sources: Sources) -> str:
    """Return the nearest name, or what names there are."""
    before, colon, after = text.partition(":")
    close = difflib.get_close_matches(before, list(sources), 1) if colon else []
    if close:
        return f"did you mean {close[0] + colon + after!r}?"
    names = {source for listed in sources.values() for source in listed}
    for candidates in (names, {_file_name(name) for name in names}):
        close = difflib.get_close_matches(text, sorted(candidates), 1)
        if close:
            return f"did you mean {close[0]!r}?"
    shown = ", ".join(map(repr, list(sources)[:5])) + (", ..." if len(sources) > 5 else "")
    return f"its classes are {shown}, its samples are listed in model.json"

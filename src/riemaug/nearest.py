"""What was probably meant by a misspelt word."""

import difflib
from collections.abc import Iterable


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known word that is most like the given one, or nothing."""
    by_folded = {word.casefold(): word for word in known}
    close = difflib.get_close_matches(str(given).casefold(), list(by_folded), 1)
    return f"; did you mean {by_folded[close[0]]}?" if close else ""

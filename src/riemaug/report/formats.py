"""Numbers, times and sizes as people read them; whatever is unknown is a dash."""

import math
import re

import numpy as np

DASH = "\N{EN DASH}"
NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode categories Cc and Cs, but for line feed and tab."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: object, digits: int = 3) -> str:
    """Return a number with thousands separators and `digits` significant digits.

    Parameters
    ----------
    value : object
        A number, a bool (shown as yes or no), a string (shown as it is) or None. NaN and None are a dash.
    digits : int, default 3
        Significant digits of numbers that are not whole.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", MINUS)
    if not isinstance(value, float):
        return str(value) or DASH
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    return _real(value, digits).replace("-", MINUS)


def _real(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 1e6 or magnitude < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}\u202f×\u202f10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    if magnitude >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def percent(value: float | None) -> str:
    """Return a share between 0 and 1 as a percentage with three significant digits."""
    if value is None or math.isnan(value):
        return DASH
    shown = f"{100 * value:.3g}" if value < 0.999 or value == 1 else f"{100 * value:.2f}"
    return f"{shown}\u202f%"


def duration(seconds: float | None) -> str:
    """Return a time in the two largest units that matter: `12.3 s`, `3 min 12 s`, `1 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole = round(seconds)
    if seconds < 1:
        shown = f"{seconds:.2f} s"
    elif seconds < 59.95:
        shown = f"{seconds:.1f} s"
    elif whole < 3600:
        shown = f"{whole // 60} min {whole % 60:02d} s"
    elif whole < 86400:
        shown = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    else:
        shown = f"{whole // 86400} d {whole % 86400 // 3600} h"
    return shown.replace(" ", NO_BREAK)


def memory(megabytes: float | None) -> str:
    """Return a size in MB, or in GB from 1,024 MB on."""
    if megabytes is None or not math.isfinite(megabytes):
        return DASH
    return f"{megabytes:,.0f} MB" if megabytes < 1024 else f"{megabytes / 1024:.1f} GB"


def count(value: int, one: str, many: str | None = None) -> str:
    """Return `1 class`, `2 classes`: the number with the noun that agrees with it."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def clean(text: str) -> str:
    """Return the text without what no HTML file may hold: lone surrogates and control characters.

    Names of files that are not valid UTF-8 come with lone surrogates; each becomes a replacement mark.
    """
    return _UNFIT.sub("\ufffd", text)

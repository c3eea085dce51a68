"""What the name of a column says of it: that it may name subjects, or only numbers the rows."""

import re

_SUBJECT = re.compile(
    r"(subj(ect)?|patient|participant|proband)s?([_\-. ]?(id|no|nr|num|number|code|name))?"
    r"|(sub|case|person|donor|animal|mouse|specimen)[_\-. ]?(id|no|nr|num|number|code|name)"
    r"|pid|mrn",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"(.*[_\-. ])?(id|index|uuid|identifier)|unnamed: \d+", re.IGNORECASE)


def may_name_subjects(name: str | int) -> bool:
    """Tell whether a column is called as those of subjects are: "patient_id", "Subject", "MRN", ..."""
    return _SUBJECT.fullmatch(str(name)) is not None


def may_identify(name: str | int) -> bool:
    """Tell whether a column is called as those of identifiers are: "id", "sample_id", "index", ..."""
    return _IDENTIFIER.fullmatch(str(name)) is not None


def written_option(option: str, name: str | int) -> str:
    """Return an option with the name of a column as it is typed: "--drop-columns 'patient id'"."""
    text = str(name)
    return f"{option} {text}" if re.fullmatch(r"[\w.\-]+", text) else f"{option} {text!r}"

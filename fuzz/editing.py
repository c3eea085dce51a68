"""From bytes to edits of a JSON document: most leave it so nearly right that all checks are reached."""

import copy
import json
from typing import Any

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    3.5,
    10**12,
    2**63,
    -(10**400),
    1e308,
    float("nan"),
    float("inf"),
    "",
    "a",
    "../../up",
    "\ud800",
    "a\0b",
    "<script>",
    "rhvae",
    "cpu",
    "9" * 40,
    [],
    [0],
    [2, 2],
    [10**9, 10**9],
    ["x", 1],
    [[1.0]],
    {},
    {"a": 1},
    {"name": "x", "group": 0, "sources": []},
)
"""What edits put in place of a value."""
_EDIT_BYTES, _MOST_PLACES = 4, 10_000
_DELETE, _DOUBLE, _MOVE = 0, 1, 2


def edited(document: Any, data: bytes) -> Any:
    """Return a copy of a JSON document with one edit for every four bytes.

    Parameters
    ----------
    document : dict or list
    data : bytes
        Of each four: two for the place, one for what is done there, one for the new value.
    """
    changed = copy.deepcopy(document)
    for start in range(0, len(data) - _EDIT_BYTES + 1, _EDIT_BYTES):
        places = list(_places(changed))
        if not places or len(places) > _MOST_PLACES:  # edits that put a part into itself double it
            break
        holder, key = places[int.from_bytes(data[start : start + 2], "little") % len(places)]
        kind, value = data[start + 2], data[start + 3]
        if kind == _DELETE:
            del holder[key]
        elif kind == _DOUBLE and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == _MOVE:
            other, place = places[value % len(places)]
            holder[key] = copy.deepcopy(other[place])
        else:
            holder[key] = copy.deepcopy(VALUES[value % len(VALUES)])
    return changed


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Return all (container, key), outer ones first."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    for container in waiting:  # grows on the way
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def as_json(document: Any, data: bytes) -> bytes:
    """Return the text of the edited document; bytes that begin with a brace are taken as they are."""
    return data if data[:1] in (b"{", b"[") else json.dumps(edited(document, data)).encode()

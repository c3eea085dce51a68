"""From the options of a command to what it asks of `riemaug.run`."""

from collections.abc import Mapping
from typing import Any

from riemaug.cli import parsing
from riemaug.errors import InvalidInputError


def request(kind: type, chosen: Mapping[str, Any], **more: Any) -> Any:
    """Return a request, its parts made of the options that bear the names of their fields.

    Parameters
    ----------
    kind : type
        FitRequest, AugmentRequest or SampleRequest.
    chosen : mapping
        The command's options by name.
    **more
        Fields of the request itself.

    Raises
    ------
    InvalidInputError
        The first fault, as one line that names the option.
    """
    from riemaug.cli.console import command_line
    from riemaug.config import Amount, GeneratorConfig, SamplingConfig
    from riemaug.limits import parse_limits
    from riemaug.run.request import ReadOptions, RunOptions

    parts = {
        "reading": ReadOptions,
        "generator": GeneratorConfig,
        "sampling": SamplingConfig,
        "amount": Amount,
        "run": RunOptions,
    }
    if chosen.get("network") == "custom":  # a value of the configuration that only Python can fill
        raise InvalidInputError(
            "--network: input should be 'mlp' or 'conv', got 'custom'; networks of your own are given in "
            "Python, to riemaug.Augmentor"
        )
    parsers = {
        "resize": parsing.parse_size,
        "fit_shape": parsing.parse_fit_shape,
        "drop_columns": parsing.parse_columns,
    }
    parsed = {name: parsers[name](value) if name in parsers else value for name, value in chosen.items()}
    # options that may be repeated are lists
    parsed |= {name: chosen.get(name) or () for name in ("include", "exclude")}
    parsed["missing"] = chosen.get("missing") or None
    parsed["limits"] = parse_limits(chosen.get("limit") or (), chosen.get("follow_links", False))
    made = {name: _part(part, parsed) for name, part in parts.items() if name in kind.model_fields}  # type: ignore[attr-defined]
    return parsing.build(kind, **made, command=command_line(), **more)


def _part(kind: Any, values: Mapping[str, Any]) -> Any:
    return parsing.build(kind, **{name: values[name] for name in kind.model_fields if name in values})

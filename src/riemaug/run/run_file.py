"""run.json of a finished output, read back: where its model and its data are, and what it asked for."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from riemaug.data import Dataset
from riemaug.data.manifest_files import find_manifest
from riemaug.errors import InvalidInputError
from riemaug.limits import JSON_BYTES, Limits, read_bounded
from riemaug.run.request import ReadOptions
from riemaug.run.training_set import read_training_set
from riemaug.run.workdir import RUN_NAME, unfinished_run
from riemaug.serialization import DESCRIPTION_NAME, WEIGHTS_NAME, FittedGenerators, file_hash


def read_run(out: Path) -> dict[str, Any]:
    """Return the run.json of an output folder.

    Raises
    ------
    InvalidInputError
        The folder is no finished output, or its run.json is not as the run wrote it.
    """
    if unfinished_run(out):
        raise InvalidInputError(
            f"a report is of a finished run, that in {str(out)!r} is not: repeat its command with --resume"
        )
    if not os.path.isfile(out / RUN_NAME) or find_manifest(out) is None:
        what = "a model alone: draw from it with riemaug sample" if is_model(out) else "no such: name one"
        raise InvalidInputError(
            f"OUT must be the output of riemaug augment or riemaug sample, {str(out)!r} is {what}"
        )
    try:
        run = json.loads(read_bounded(out / RUN_NAME, JSON_BYTES, RUN_NAME))
        if not isinstance(run["request"], dict) or not isinstance(run["classes"], list):
            raise ValueError("wrong types")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(
            f"{RUN_NAME} must be as the run wrote it, that in {str(out)!r} cannot be read ({error}): run anew"
        ) from None
    return run


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a saved model."""
    return os.path.isfile(folder / DESCRIPTION_NAME)


def model_folder(out: Path, run: dict[str, Any]) -> Path:
    """Return the folder of the model that the samples in `out` were drawn from.

    Raises
    ------
    InvalidInputError
        It is neither `out` nor where the run found it.
    """
    if is_model(out):
        return out
    told = run["request"].get("model")

    def is_it(folder: Path) -> bool:
        return is_model(folder) and file_hash(folder / WEIGHTS_NAME) == run.get("model_sha256")

    found = _found(told, out, is_it) if isinstance(told, str) else None
    if found is not None:
        return found
    raise InvalidInputError(
        f"a report needs the model of the samples, not found at {told!r} (seen from here or "
        "from a folder around OUT): name its folder with --model MODEL"
    )


def _found(told: str, out: Path, is_it: Callable[[Path], bool]) -> Path | None:
    """Return where a path of run.json leads today; None if nowhere.

    One that is not absolute was meant from the folder that the run was started in, which is likely one that
    `out` lies in.
    """
    places = [Path(told), *(parent / told for parent in out.resolve().parents)]
    return next((place for place in places if is_it(place)), None)


def reading_of(run: dict[str, Any], model: Path, limits: Limits) -> ReadOptions:
    """Return how the training data were read, as the run or the model's own says, but within these limits.

    Raises
    ------
    InvalidInputError
        What is said there are no such options.
    """
    told = run
    if "data" not in run["request"] and os.path.isfile(model / RUN_NAME):
        told = _read_json(model / RUN_NAME)
    try:
        options = ReadOptions(**{**told["request"].get("reading", {}), "limits": limits})
    except (ValidationError, KeyError, TypeError, AttributeError):
        raise InvalidInputError(
            f"{RUN_NAME} must be as the run wrote it, its options are not: run anew"
        ) from None
    if options.participants is None:
        return options
    participants = _found(str(options.participants), model, os.path.isfile)
    return options if participants is None else options.model_copy(update={"participants": participants})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bounded(path, JSON_BYTES, RUN_NAME))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def training_set_of_run(
    out: Path, run: dict[str, Any], model: Path, generators: FittedGenerators, limits: Limits
) -> tuple[Dataset | None, str]:
    """Return the data that the run knows, or why these cannot be had.

    Parameters
    ----------
    out : Path
    run : dict
        Of `read_run`.
    model : Path
    generators : FittedGenerators
    limits : Limits

    Returns
    -------
    tuple of (Dataset, "") or (None, str)

    Raises
    ------
    InvalidInputError
        The run file says of no readable options how the data were read.
    """
    told = run["request"].get("data", run["request"].get("real"))
    if not isinstance(told, str):
        return None, "the run was not given the data"
    found = _found(told, out, os.path.exists)
    if found is None:
        return None, f"the data are no longer at {told}"
    reading = reading_of(run, model, limits)
    try:
        return read_training_set(found, reading, generators), ""
    except InvalidInputError:
        return None, f"the data at {told} are no longer those that the model was fitted on"

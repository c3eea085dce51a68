"""The data that a saved model was fitted on, read again so that samples can be compared with them."""

from pathlib import Path

from riemaug.data import Dataset
from riemaug.errors import InvalidInputError
from riemaug.run.request import ReadOptions
from riemaug.serialization import FittedGenerators

REREAD = (
    "name that data, with all options of reading as they were given to the fit: --resize, --pad, --crop, "
    "--fit-shape, --resample, --skip-bad, --include, --exclude, --group-from, --label-from, --drop-columns, "
    "--missing, --bids-suffix, --participants, --min-slices and --nan"
)
"""What to do about other data, where the options of the fit can be given."""


def read_training_set(
    path: Path, reading: ReadOptions, generators: FittedGenerators, advice: str = REREAD
) -> Dataset:
    """Return the training set of a saved model.

    Parameters
    ----------
    path : Path
    reading : ReadOptions
        As the data were read for the fit.
    generators : FittedGenerators
    advice : str
        What a refusal says is to be done.

    Raises
    ------
    InvalidInputError
        The data cannot be read, or are not the very samples that the model was fitted on.
    """
    dataset = reading.read(path)
    if dataset.fingerprint() == generators.data_fingerprint:
        return dataset
    sizes = f"{len(dataset.samples)} samples in {len(dataset.class_names)} classes"
    wanted = f"{sum(generators.class_sizes)} in {len(generators.class_sizes)}"
    raise InvalidInputError(
        f"--real must be the data that MODEL was fitted on ({wanted}), {str(path)!r} is not ({sizes}): "
        f"{advice}"
    )

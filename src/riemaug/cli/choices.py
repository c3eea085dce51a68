"""The values of options that take a name: completed by the shell, and guessed where one is misspelt.

They are written out here because the modules that define them load PyTorch, and a shell that completes a
word must not wait for that; a test compares the two.
"""

from collections.abc import Callable

from riemaug.errors import InvalidInputError
from riemaug.nearest import did_you_mean

VALUES: dict[str, tuple[str, ...]] = {
    "preset": ("auto", "paper", "conditional"),
    "sharing": ("measured", "always", "never"),
    "model": ("rhvae", "vae", "hvae", "vamp"),
    "network": ("mlp", "conv"),
    "likelihood": ("bernoulli", "continuous-bernoulli", "gaussian", "gaussian-learned"),
    "precision": ("float32", "bfloat16", "float16"),
    "sampler": ("mixture", "walk", "hmc", "prior", "walk-paper", "walk-paper-code"),
    "device": ("auto", "cpu", "cuda"),
    "include_real": ("copy", "link"),
    "layout": ("folders", "bids"),
    "shards": ("npz", "webdataset", "parquet", "zarr"),
    "log_level": ("debug", "info", "warning", "error"),
    "classifier": ("small-cnn", "cnn", "mlp", "densenet", "logistic", "boosted-trees"),
    "trained_on": ("real", "synthetic", "both", "classic", "all"),
    "classic": ("x5", "x10", "x15"),
    "features": ("pixels", "pca", "classifier"),
    "near duplicates of a test set": ("refuse", "ignore"),
    "near duplicates of a split": ("together", "ignore"),
    "imported": ("arrays", "png"),
    "data set of the study": ("mnist", "fashion", "emnist", "oasis"),
    "reading": ("draws", "paper"),
    "table or figure of the study": (
        *("table1", "table2", "table3", "orderings", "gains", "baselines", "curve"),
        *("fig1", "fig2", "fig3", "fig4"),
    ),
}


def completing(name: str) -> Callable[[str], list[str]]:
    """Return what completes the option whose values are `VALUES[name]`."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in VALUES[name] if value.startswith(incomplete)]

    return complete


def check_value(option: str, given: str, name: str) -> None:
    """Raise InvalidInputError if `given` is none of `VALUES[name]`; the message guesses what was meant."""
    known = VALUES[name]
    if given not in known:
        raise InvalidInputError(
            f"{option} takes one of {', '.join(known)}, got {given!r}{did_you_mean(given, known)}"
        )

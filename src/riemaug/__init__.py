"""Learn the geometry of a small labelled data set and draw new samples from it."""

from typing import TYPE_CHECKING, Any

from riemaug._version import __version__ as __version__

if TYPE_CHECKING:
    from riemaug.augmentor import Augmentor as Augmentor


def __getattr__(name: str) -> Any:
    """Import `Augmentor` when it is first asked for: the command line must not wait for PyTorch."""
    if name == "Augmentor":
        from riemaug.augmentor import Augmentor

        return Augmentor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What writes one sample as a file of its own."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from riemaug.data.dataset import SampleFormat


@runtime_checkable
class SampleWriter(Protocol):
    """Writes one sample as a file, whole or not at all; equal values give equal bytes."""

    def __call__(self, path: Path, sample: Shaped[np.ndarray, "..."], fmt: SampleFormat, /) -> None:
        """Write the file.

        Parameters
        ----------
        path : Path
            The file; its folder must exist.
        sample : ndarray (*fmt.sample_shape)
            In the dtype of the format.
        fmt : SampleFormat
            Of the kind that this writer is for.
        """
        ...

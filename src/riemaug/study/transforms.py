"""What changes the batches of the study's classifiers at random."""

import json
from functools import cache
from importlib import resources
from typing import Any

from riemaug.baselines.batch_transforms import AffineElastic, MixUp
from riemaug.errors import InvalidInputError
from riemaug.evaluation.training import BatchTransform

FILE = "affine_elastic.json"
MIXUP_ALPHA = 0.2


def transform_of(name: str, data: str) -> BatchTransform | None:
    """Return the transform of a cell, None for "none".

    Parameters
    ----------
    name : "none", "affine-elastic" or "mixup"
    data : str
        The data set: the strengths of affine + elastic transforms were chosen for each on real samples by
        `benchmarks/affine_elastic.py`.

    Raises
    ------
    InvalidInputError
        They were not chosen for this data set.
    """
    if name == "none":
        return None
    if name == "mixup":
        return MixUp(MIXUP_ALPHA)
    base = data.partition("@")[0]
    if base not in _chosen():
        raise InvalidInputError(
            f"the strengths of affine + elastic transforms are chosen first, those for {base} are not: run "
            f"benchmarks/affine_elastic.py --data {base}"
        )
    return AffineElastic(**_chosen()[base]["transform"])


@cache
def _chosen() -> dict[str, Any]:
    text = resources.files("riemaug.study").joinpath(FILE).read_text(encoding="utf-8")
    return json.loads(text)["data"]

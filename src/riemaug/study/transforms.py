"""What changes the batches of the study's classifiers at random."""

import json
from functools import cache
from importlib import resources
from typing import Any

from riemaug.baselines.batch_transforms import AffineElastic, MixUp
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
        `benchmarks/affine_elastic.py`; where they were not, they are the defaults.
    """
    if name == "none":
        return None
    if name == "mixup":
        return MixUp(MIXUP_ALPHA)
    chosen = _chosen().get(data.partition("@")[0])
    return AffineElastic() if chosen is None else AffineElastic(**chosen["transform"])


@cache
def _chosen() -> dict[str, Any]:
    text = resources.files("riemaug.study").joinpath(FILE).read_text(encoding="utf-8")
    return json.loads(text)["data"]

"""What the training sets that are compared are called; by itself, so that a report needs no classifier."""

from typing import Literal

TrainedOn = Literal["real", "synthetic", "both", "classic", "all"]
TRAINED_ON: tuple[TrainedOn, ...] = ("real", "synthetic", "both", "classic", "all")
WITH_CLASSIC = ("classic", "all")


def described(name: str, classic: str) -> str:
    """Return what a training set holds, for tables: "real + synthetic"."""
    classic = f"classic {classic}"
    return {
        "real": "real",
        "synthetic": "synthetic alone",
        "both": "real + synthetic",
        "classic": f"real + {classic}",
        "all": f"real + {classic} + synthetic",
    }[name]

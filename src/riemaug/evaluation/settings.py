"""What a user chooses when synthetic samples are to prove their worth."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from riemaug.config import Amount
from riemaug.evaluation.classifiers import Classifier, as_classifier
from riemaug.evaluation.set_names import TrainedOn
from riemaug.parallel import Engine

CLASSIC_FACTORS = {"x5": 5, "x10": 10, "x15": 15}


class EvaluationConfig(BaseModel):
    """How synthetic samples are judged.

    Attributes
    ----------
    classifiers : tuple
        What is trained on each training set: names (see `riemaug.evaluation.classifiers`), scikit-learn
        classifiers with `predict_proba`, or networks (nn.Module). By default the small CNN for signals,
        images and volumes, logistic regression for tables.
    trained_on : tuple of str, optional
        Training sets: "real"; "synthetic" alone; "both" (real + synthetic); "classic" (real + classic
        augmentation); "all" (real + classic + synthetic). By default all that there can be; "real" is
        always among them, as the others are compared with it.
    seeds : int
        Trainings of each classifier on each training set.
    seed : int
        From which everything is drawn.
    validation_share : float
        Share of the real samples by which all trainings stop.
    classic : "x5", "x10" or "x15"
        Classic augmentation; see `riemaug.baselines.classic`.
    gain, fidelity, copying : bool
        Which of the three questions are asked.
    features : "pixels", "pca" or "classifier"
        Space in which fidelity is measured; see `riemaug.evaluation.features`.
    near_duplicates : "refuse" or "ignore"
        Of real samples in the test set; exact copies are always refused.
    cv : int
        Folds of a cross-validation.
    amount : Amount
        Synthetic samples a class in a cross-validation.
    num_sides : 0, 1, 2 or 3
        Of arrays: how many axes of a sample are sides of a picture or volume; one axis more, the last or the
        first, holds channels. 0 goes by the shape, where a volume of few slices looks like an image with
        channels. Files of images and volumes need none: their format tells.
    jobs : int, optional
        Processes; None takes as many as there are cores. Changes no result.
    engine : str
        "loky" (processes of this machine), "dask://HOST:PORT" or "ray://HOST:PORT". Changes no result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    classifiers: tuple[Any, ...] = ()
    trained_on: tuple[TrainedOn, ...] | None = None
    seeds: int = Field(default=5, ge=1)
    seed: int = Field(default=0, ge=0)
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    classic: Literal["x5", "x10", "x15"] = "x5"
    gain: bool = True
    fidelity: bool = True
    copying: bool = True
    features: Literal["pixels", "pca", "classifier"] = "pca"
    near_duplicates: Literal["refuse", "ignore"] = "refuse"
    cv: int = Field(default=5, ge=2)
    amount: Amount = Amount()
    num_sides: int = Field(default=0, ge=0, le=3)
    jobs: int | None = Field(default=None, ge=1)
    engine: str = "loky"

    @field_validator("engine")
    @classmethod
    def _of_a_known_form(cls, value: str) -> str:
        return str(Engine.parse(value))

    @field_validator("trained_on")
    @classmethod
    def _some_set(cls, value: tuple[TrainedOn, ...] | None) -> tuple[TrainedOn, ...] | None:
        if value == ():
            raise ValueError("name a training set, or leave it out for all")
        return value

    @property
    def factor(self) -> int:
        """Of classic augmentation: real and transformed samples together, in units of the real ones."""
        return CLASSIC_FACTORS[self.classic]

    def classifiers_for(self, shape: tuple[int, ...]) -> dict[str, Classifier]:
        """Return the classifiers by name, for samples of a shape; equal names are numbered."""
        chosen = self.classifiers or (("small-cnn",) if len(shape) > 1 else ("logistic",))
        found: dict[str, Classifier] = {}
        for classifier in map(as_classifier, chosen):
            name, number = classifier.name, 2
            while name in found:
                name, number = f"{classifier.name} {number}", number + 1
            found[name] = classifier
        return found

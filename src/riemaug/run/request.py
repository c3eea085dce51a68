"""What the commands `augment`, `fit` and `sample` were asked to do."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from riemaug.config import Amount, GeneratorConfig, SamplingConfig
from riemaug.data import Dataset, SampleFormat, read_dataset
from riemaug.limits import DEFAULT_LIMITS, Limits
from riemaug.parallel import Engine
from riemaug.run.sample_names import ShardKind


class ReadOptions(BaseModel):
    """How a data set is read; see `riemaug.data.read_dataset`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: tuple[int, int] | None = None
    pad: bool = False
    crop: bool = False
    fit_shape: tuple[int, ...] | None = None
    resample: bool = False
    skip_bad: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    group_from: str | None = None
    label_from: str | None = None
    drop_columns: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    bids_suffix: str | None = None
    participants: Path | None = None
    layout: Literal["folders", "bids"] | None = None
    min_slices: int | None = Field(default=None, ge=1)
    nan: float | None = Field(default=None, allow_inf_nan=False)
    limits: Limits = DEFAULT_LIMITS

    def read(self, path: Path, like: SampleFormat | None = None) -> Dataset:
        """Return the data set at `path`; see `riemaug.data.read_dataset`."""
        return read_dataset(path, **dict(self), like=like)


class RunOptions(BaseModel):
    """How a run is carried out; none of these changes a byte of the samples.

    Attributes
    ----------
    jobs : int, optional
        Tasks at once, each a class or a segment of one; None takes as many as pay and the memory allows.
    engine : str
        "loky" (processes of this machine), "dask://HOST:PORT" or "ray://HOST:PORT".
    batch_size : int
        Samples decoded and written at once.
    resume : bool
        Continue an unfinished run in OUT.
    log_level : "debug", "info", "warning" or "error"
        Of the least that OUT's run.log keeps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: int | None = Field(default=None, ge=1)
    engine: str = "loky"
    batch_size: int = Field(default=256, ge=1)
    resume: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("engine")
    @classmethod
    def _of_a_known_form(cls, value: str) -> str:
        return str(Engine.parse(value))


class FitRequest(BaseModel):
    """Learn the generators of DATA and save them in OUT."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    out: Path
    reading: ReadOptions = ReadOptions()
    generator: GeneratorConfig = GeneratorConfig()
    run: RunOptions = RunOptions()
    command: str = ""


class AugmentRequest(FitRequest):
    """Fit, sample, write and report.

    Attributes
    ----------
    drop_copies : bool
        Write no sample that is flagged as a copy, but further draws in its place.
    shards : "npz", "webdataset", "parquet" or "zarr", optional
        Write shards of `shard_size` samples of one class each, or one Zarr store; by default files as DATA
        has.
    """

    sampling: SamplingConfig = SamplingConfig()
    amount: Amount = Amount()
    drop_copies: bool = False
    shards: ShardKind | None = None
    shard_size: int = Field(default=10_000, ge=1)
    include_real: Literal["copy", "link"] | None = None
    real_in_report: bool = True


class SampleRequest(BaseModel):
    """Draw from a saved model.

    Attributes
    ----------
    real : Path, optional
        The data that the model was fitted on, to compare the samples with.
    reading : ReadOptions
        How those are read: as for the fit.
    drop_copies : bool
        As of `AugmentRequest`; needs `real`.
    shards : "npz", "webdataset", "parquet" or "zarr", optional
        Write shards of `shard_size` samples of one class each, or one Zarr store; by default files as the
        input had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path
    out: Path
    sampling: SamplingConfig = SamplingConfig()
    amount: Amount = Amount()
    real: Path | None = None
    reading: ReadOptions = ReadOptions()
    drop_copies: bool = False
    shards: ShardKind | None = None
    shard_size: int = Field(default=10_000, ge=1)
    run: RunOptions = RunOptions()
    real_in_report: bool = True
    command: str = ""

    @model_validator(mode="after")
    def _copies_of_something(self) -> "SampleRequest":
        if self.drop_copies and self.real is None:
            raise ValueError(
                "--drop-copies needs the training samples, a model folder has none: name the data that MODEL "
                "was fitted on with --real DATA"
            )
        return self


def identity_of(
    request: BaseModel,
    fingerprint: str,
    version: str,
    device: str | None = None,
    subjects: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return all that decides a run's result, JSON-safe, for its journal.

    Parameters
    ----------
    request : FitRequest, AugmentRequest or SampleRequest
    fingerprint : str
        Hash of the data, or of the model that is drawn from.
    version : str
        Of riemaug.
    device : str, optional
        The device that training uses: "auto" may find another one next time.
    subjects : sequence of str, optional
        Whose each training sample is: they decide what trainings hold out, and are no part of `fingerprint`.
    """
    fields = request.model_dump(mode="json", exclude={"run", "command", "out", "data", "model"})
    reading = fields.get("reading", {})
    reading.pop("limits", None)  # they decide what is refused, not what comes of the rest
    reading.pop("participants", None)  # what stands there is among the data's contents
    if "real" in fields:  # what is there is checked against the model
        fields["real"] = fields["real"] is not None
    if device is not None:
        fields["generator"]["device"] = device.split(":")[0]
    job = type(request).__name__.removesuffix("Request").lower()
    decided = {"job": job, **fields, "data contents": fingerprint, "riemaug version": version}
    if subjects is not None:
        decided["subjects"] = hashlib.sha256(json.dumps(list(subjects)).encode()).hexdigest()
    return decided

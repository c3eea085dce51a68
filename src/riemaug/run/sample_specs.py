"""What each class of a job is to draw."""

from dataclasses import replace

import numpy as np

from riemaug.data import Dataset, SampleFormat
from riemaug.data.bids_names import first_numbers
from riemaug.run.jobs import SampleSpec
from riemaug.run.request import AugmentRequest, SampleRequest
from riemaug.run.segments import segment_size


def of_classes(
    spec: SampleSpec, counts: tuple[int, ...], labels: np.ndarray | None = None
) -> tuple[SampleSpec, ...]:
    """Return what each class is to draw, and from which number on its files count.

    Parameters
    ----------
    spec : SampleSpec
        What all have in common.
    counts : tuple of int
    labels : ndarray (k,), optional
        What stands for each class in the input.
    """
    numbers = first_numbers(spec.sample_format, counts)
    values = [None] * len(counts) if labels is None else labels.tolist()
    return tuple(
        replace(spec, count=count, first_number=number, label=label)
        for count, number, label in zip(counts, numbers, values, strict=True)
    )


def sample_spec(request: AugmentRequest | SampleRequest, fmt: SampleFormat, sampler: str) -> SampleSpec:
    """Return what all classes have in common, with no samples and no training set as yet.

    Parameters
    ----------
    request : AugmentRequest or SampleRequest
    fmt : SampleFormat
    sampler : str
        See `SamplingConfig.sampler_for`.
    """
    spec = SampleSpec(0, request.sampling, fmt, request.run.batch_size, request.out.absolute())
    if request.shards is not None:
        spec = replace(spec, shards=request.shards, shard_size=request.shard_size)
    spec = replace(spec, drop_copies=request.drop_copies)
    return replace(spec, segment_size=segment_size(spec, sampler))


def with_reference(spec: SampleSpec, training_set: Dataset | None) -> SampleSpec:
    """Return the same with the samples to compare with, where they are at hand."""
    if training_set is None:
        return spec
    return replace(
        spec,
        reference=training_set.samples,
        reference_labels=training_set.labels,
        reference_names=training_set.names,
    )

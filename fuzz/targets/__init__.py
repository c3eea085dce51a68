"""What is fuzzed: a module a target, each with `target(data)` and `seeds()`.

A target takes any bytes and returns, or raises one of the errors that the package documents, which
`fuzz.running.run_one` lets pass. Anything else is a fault.
"""

from fuzz.targets import (
    arrays,
    config,
    dicom,
    documents,
    images,
    imported,
    manifests,
    metadata,
    model,
    nifti,
    shards,
    tables,
)

TARGETS = {
    "images": images,
    "arrays": arrays,
    "metadata": metadata,
    "config": config,
    "model": model,
    "nifti": nifti,
    "tables": tables,
    "dicom": dicom,
    "imported": imported,
    "documents": documents,
    "manifests": manifests,
    "shards": shards,
}
"""By name, as on the command line and as the folders of the corpus."""

"""What whoever gets a model folder learns of its training samples."""

from riemaug.models import ModelKind


def what_it_reveals(kind: ModelKind, knows_data: bool) -> str:
    """Return what whoever gets the model learns of its training samples."""
    if not knows_data:
        holds = "holds the encodings of its training samples (one centroid each)"
        what = holds if kind == "rhvae" else "was trained elsewhere"
        return (
            f"This model {what}, no names of files; its decoder can reproduce samples close to those that it "
            "was trained on."
        )
    text = (
        "This model holds the encodings of its training samples (one centroid each) and their file names; "
        "its decoder can reproduce samples close to them."
    )
    if kind == "rhvae":
        return text
    text = "This model holds the file names of its training samples; its decoder can reproduce samples close "
    return text + ("to them, and its pseudo-inputs began as some of them." if kind == "vamp" else "to them.")

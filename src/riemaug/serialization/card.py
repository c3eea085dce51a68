"""The model card: what a saved model is, for people who find it."""

import re
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from riemaug._version import __version__
from riemaug.class_model import ClassModel
from riemaug.config import SamplerName, SamplingConfig
from riemaug.data.dataset import SampleFormat
from riemaug.data.scaling import RangeScaler
from riemaug.errors import InvalidInputError
from riemaug.models import ModelKind
from riemaug.serialization.generators import FittedGenerators, classes_by_model

CARD_NAME = "MODEL_CARD.md"
_MARK_UP = re.compile(r"[!#$&*+:;<>@\[\\\]^_`(){|}~]|\.(?!\d)")
"""What may be mark-up within a line; a full stop as in an address, not as in a number."""
_KINDS: dict[ModelKind, str] = {
    "rhvae": "A Riemannian Hamiltonian variational autoencoder (RHVAE): it learns a metric of its latent "
    "space, by which new points are drawn where the training samples are.",
    "hvae": "A Hamiltonian variational autoencoder: its posterior is refined by Hamiltonian dynamics.",
    "vae": "A plain variational autoencoder.",
    "vamp": "A variational autoencoder whose prior is a mixture of posteriors (VAMP).",
}
_SAMPLES = {
    "folder": "images",
    "stacks": "stacks of images",
    "npy": "arrays in npy files",
    "volumes": "NIfTI volumes",
    "arrays": "arrays",
    "table": "rows of a table, as numbers,",
}


def model_card(
    generators: FittedGenerators,
    digest: str,
    reveals: str,
    knows_data: bool,
    file_names: tuple[str, str],
) -> str:
    """Return the text of MODEL_CARD.md; the same for the same model, as it tells no time.

    Parameters
    ----------
    generators : FittedGenerators
    digest : str
        Of the file of the tensors.
    reveals : str
        What the model tells of its training samples.
    knows_data : bool
        Whether it was fitted by riemaug, which knows the data's hash.
    file_names : (str, str)
        Of the tensors and of the description.
    """
    config, fmt = generators.config, generators.sample_format
    first = generators.classes[0].model.config
    environment = Environment(
        loader=PackageLoader("riemaug.serialization", "templates"),
        autoescape=False,  # this is no HTML; `md` keeps names from being Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = in_markdown
    return environment.get_template("model_card.md.j2").render(
        version=__version__,
        classes=list(zip(generators.class_names, generators.class_sizes, strict=True)),
        what=_SAMPLES[fmt.kind],
        shape=_shape(fmt),
        dtype=fmt.dtype,
        range=_range(generators.scaler),
        fingerprint=generators.data_fingerprint if knows_data else "not known",
        kind_in_words=_KINDS[first.kind],
        latent_dim=first.latent_dim,
        preset=config.preset if knows_data else "of another library",
        seed=config.seed if knows_data else "not known",
        models=[_row(classes) for classes in classes_by_model(generators.classes)],
        is_custom=first.network == "custom",
        samplers=samplers_of(first.kind),
        reveals=reveals,
        digest=digest,
        weights_name=file_names[0],
        description_name=file_names[1],
    )


def samplers_of(kind: ModelKind) -> list[SamplerName]:
    """Return the samplers by which a kind of model can be drawn from, the default first."""
    default = SamplingConfig().sampler_for(kind)
    return sorted(filter(lambda name: _fits(name, kind), get_args(SamplerName)), key=lambda n: n != default)


def _fits(name: SamplerName, kind: ModelKind) -> bool:
    try:
        SamplingConfig(sampler=name).check_against(kind)
    except InvalidInputError:
        return False
    return True


def in_markdown(text: object) -> str:
    """Return text that Markdown shows as it is: on one line, with no mark-up, link or HTML in it."""
    shown = "".join(c if c.isprintable() else f"<{ord(c):04x}>" for c in str(text))
    return _MARK_UP.sub(r"\\\g<0>", shown)


def _row(classes: Sequence[ClassModel]) -> dict[str, Any]:
    """Return what the card says of one model."""
    model, history = classes[0].model, classes[0].history
    return {
        "whose": classes[0].name if len(classes) == 1 else f"all {len(classes)} classes",
        "kind": model.config.kind,
        "network": model.config.network,
        "weights": f"{sum(weight.numel() for weight in model.parameters()):,}",
        "epochs": history.num_epochs or "not known",
        "elbo": f"{history.best_elbo:.2f}" if np.isfinite(history.best_elbo) else "not known",
        "ending": history.stop_reason or "not known",
    }


def _shape(fmt: SampleFormat) -> str:
    written, modelled = ("x".join(map(str, shape)) for shape in (fmt.shape, fmt.model_shape))
    return written if written == modelled else f"{written} (modelled as {modelled})"


def _range(scaler: RangeScaler) -> str:
    if scaler.low.ndim:
        return "each feature has its own"
    return f"{scaler.low:g} to {scaler.high:g}"

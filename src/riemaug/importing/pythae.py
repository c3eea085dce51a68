"""What pythae 0.1 calls the weights of its default networks, and the models that can be imported."""

from riemaug.models.config import LikelihoodName, ModelKind

LIBRARY = "pythae"
KINDS: dict[str, ModelKind] = {"VAEConfig": "vae", "RHVAEConfig": "rhvae"}
"""From the name in model_config.json to the kind of model."""

LIKELIHOODS: dict[str, tuple[LikelihoodName, float]] = {"bce": ("bernoulli", 1.0), "mse": ("gaussian", 1.0)}
"""From the reconstruction loss to a law and its scale: pythae's squared error is that of unit variance."""

LAYERS = {
    "encoder.layers.0.0": "encoder.trunk.hidden.0",
    "encoder.embedding": "encoder.mean",
    "encoder.log_var": "encoder.log_variance",
    "decoder.layers.0.0": "decoder.hidden.0",
    "decoder.layers.1.0": "decoder.logits",
    "metric.layers.0": "metric_network.trunk.hidden.0",
    "metric.diag": "metric_network.log_diagonal",
    "metric.lower": "metric_network.below",
}
"""From the names of pythae's dense layers to ours; both end a decoder by a sigmoid."""

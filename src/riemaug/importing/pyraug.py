"""What pyraug 0.0 calls the weights of its default networks; all its models are RHVAEs."""

LIBRARY = "pyraug"

LAYERS = {
    "encoder.layers.0": "encoder.trunk.hidden.0",
    "encoder.mu": "encoder.mean",
    "encoder.std": "encoder.log_variance",
    "decoder.layers.0": "decoder.hidden.0",
    "decoder.layers.2": "decoder.logits",
    "metric.layers.0": "metric_network.trunk.hidden.0",
    "metric.diag": "metric_network.log_diagonal",
    "metric.lower": "metric_network.below",
}
"""From the names of pyraug's dense layers to ours; its "std" gives log-variances, whatever its name."""

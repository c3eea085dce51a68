"""What a sampler that only copies gets from `riemaug evaluate` (docs/evaluate.md).

    python benchmarks/memorising.py | tee benchmarks/results/memorising.txt

From 300 real digits of scikit-learn 1,000 are drawn with replacement and passed as synthetic ones; the other
1,497 are the test set. Nothing new is shown to the classifiers, so "no effect shown" is right.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

from riemaug.evaluation import EvaluationConfig, evaluate_gain

NUM_REAL, NUM_COPIES = 300, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--classifiers", nargs="+", default=["small-cnn", "logistic", "mlp"])
    options = parser.parse_args()
    bunch = load_digits()
    images, labels = np.asarray(bunch.images).astype(np.uint8), np.asarray(bunch.target)
    config = EvaluationConfig(
        classifiers=tuple(options.classifiers),
        trained_on=("both",),
        fidelity=False,
        copying=False,
        seeds=options.seeds,
    )
    for draw in range(options.draws):
        order = np.random.default_rng(draw).permutation(len(labels))
        real, test = order[:NUM_REAL], order[NUM_REAL:]
        copies = real[np.random.default_rng(draw + 100).integers(0, NUM_REAL, NUM_COPIES)]
        parts = [(images[rows], labels[rows]) for rows in (real, copies, test)]
        for verdict in evaluate_gain(parts[0], parts[1], parts[2], config).verdicts:
            print(f"draw {draw}: {verdict.words}", flush=True)


if __name__ == "__main__":
    main()

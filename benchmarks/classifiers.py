"""How many images a second the classifiers train on, with their weights in either order of the axes.

    python benchmarks/classifiers.py

One thread, processor time, batches of 64 random images of 28 x 28: passes forward and back and Adam's step.
"""

import argparse
import time

import torch
from torch.nn import functional

from riemaug.evaluation.networks import DenseNet, PaperCNN, Perceptron, SmallCNN
from riemaug.parallel import one_thread
from riemaug.random import Stream

BATCH, STEPS, WARM_UP = 64, 10, 3
ORDERS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def images_a_second(kind: type, order: torch.memory_format) -> float:
    """Return the rate of the fastest of some steps."""
    generator = torch.Generator().manual_seed(0)
    model = kind((1, 28, 28), 10, Stream(0)).to(memory_format=order)
    images = torch.rand(BATCH, 1, 28, 28, generator=generator)
    labels = torch.randint(0, 10, (BATCH,), generator=generator)
    optimizer, times = torch.optim.Adam(model.parameters(), fused=True), []
    for _ in range(WARM_UP + STEPS):
        started = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        times.append(time.process_time() - started)
    return BATCH / min(times[WARM_UP:])


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with one_thread():
        for kind in (Perceptron, SmallCNN, PaperCNN, DenseNet):
            rates = {name: images_a_second(kind, order) for name, order in ORDERS.items()}
            shown = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
            print(f"{kind.__name__}: images a second, {shown}", flush=True)


if __name__ == "__main__":
    main()

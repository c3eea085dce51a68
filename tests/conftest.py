"""One thread a process: the tests run in several, and threads that wait for each other would slow them."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import torch

torch.set_num_threads(1)

"""Writes all that the tests compare with: `main.py FOLDER`. Each module's head says what it writes there."""

import sys
from pathlib import Path

import torch

import checkpoints
import encoders
import fidelity
import metrics
import networks
import objectives
import step

if __name__ == "__main__":
    # Tensors this small only wait for a second thread.
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for part in (checkpoints, encoders, fidelity, metrics, networks, objectives, step):
        part.record(folder)

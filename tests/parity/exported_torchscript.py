"""Runs exported TorchScript programs with PyTorch, which knows nothing of the networks: `exported_torchscript.py FOLDER`.
Prints the largest difference of each case (see `exported_cases.py`) as JSON.
"""

import json
import sys
from pathlib import Path

import torch

from exported_cases import difference, differences


@torch.no_grad()
def run(path):
    program = torch.jit.load(path, map_location="cpu").eval()
    assert not program.training, path
    # What is made where it was traced stays there when the program moves: only places of words are, and they follow.
    made = [line for line in program.code.splitlines() if "torch.device" in line]
    assert all(" = torch.arange(" in line for line in made), made
    return difference(path, lambda arrays: program(**{k: torch.from_numpy(v) for k, v in arrays.items()}).numpy())


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(differences(Path(sys.argv[1]), "pt", run)))

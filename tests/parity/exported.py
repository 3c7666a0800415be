"""Loads exported weights into the reference's networks: `exported.py FOLDER`. For every case of `FOLDER/cases.json` it
takes `<case>.pth`, as `torch.load` gives it where only weights are allowed, strictly; `<case>.safetensors`, which must hold
the same; and `<case>.npz` with `x` and this program's answer `y`. Prints the largest difference of each case as JSON.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

from checkpoints import KINDS
from reference import is_conv

KIND = {"F32": np.float32, "I64": np.int64}


def read_safetensors(path):
    """As the format's description has it: the header's length, the header as JSON, the numbers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")

    def tensor(entry):
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        return torch.from_numpy(np.frombuffer(data[begin:end], KIND[entry["dtype"]]).reshape(entry["shape"]).copy())

    return {name: tensor(entry) for name, entry in header.items()}


@torch.no_grad()
def difference(folder, name, net):
    settings = dict(net)
    net = KINDS[settings.pop("kind")](**settings)
    if settings.get("norm") == "none":
        # The published networks have no biases then.
        *convs, _ = [module for module in net.modules() if is_conv(module)]
        for conv in convs:
            conv.register_parameter("bias", None)
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    # Asked for here too, as old state dicts may lack what counts batches.
    assert net.state_dict().keys() == state.keys(), name
    net.load_state_dict(state, strict=True)
    other = read_safetensors(folder / f"{name}.safetensors")
    assert state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state), name
    arrays = {key: torch.from_numpy(array) for key, array in np.load(folder / f"{name}.npz").items()}
    return (net.eval()(arrays["x"]) - arrays["y"]).abs().max().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    cases = json.loads((folder / "cases.json").read_text())
    print(json.dumps({case["case"]: difference(folder, case["case"], case["net"]) for case in cases}))

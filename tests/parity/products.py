"""Prints how many products PyTorch's own counter finds in what the tests count too, as JSON.

`generator`: the 9-block generator on one image of 256²; `step`: a step of `step.py`'s networks on two images of each space.
The counter takes two operations for a product.
"""

import json

import torch
from torch.utils.flop_counter import FlopCounterMode

from reference import CycleGan, ResnetGenerator
from step import SIZE, networks

BATCH = 2


def products(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // 2


def generator():
    # Tensors without values: shapes are all that counts.
    with torch.device("meta"):
        net, image = ResnetGenerator(), torch.empty(1, 3, 256, 256)
    return products(lambda: net(image))


def step():
    gan = CycleGan(**networks(), pool=0)
    x, y = torch.randn(2, BATCH, 3, SIZE, SIZE)
    never = [False] * BATCH, [0] * BATCH
    return products(lambda: gan.step(x, y, {"x": never, "y": never}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"generator": generator(), "step": step()}))

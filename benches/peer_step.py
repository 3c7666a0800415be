"""A CycleGAN training step in plain eager PyTorch, to time beside ours.

Reads lines from standard input; for each `step`, does one step and prints one line `{"ms": …}`, so that a driver
can alternate it with another program on the same machine. The warm-up is part of the first answer's wait and not of
its time. Ends at the end of the input, or after `--steps`.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "parity"))
from reference import CycleGan, PatchDiscriminator, ResnetGenerator, initialise

POOL, RESIDENT = 50, 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the images, in pixels")
    parser.add_argument("--width", type=int, default=64, help="channels after the generators' first layer")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks of the generators")
    parser.add_argument("--disc-width", type=int, default=64, help="channels after the discriminators' first layer")
    parser.add_argument("--layers", type=int, default=3, help="layers of the discriminators")
    parser.add_argument("--upsample", choices=["transpose", "resize"], default="transpose")
    parser.add_argument("--skip", action="store_true", help="the generators have skips at equal sizes")
    parser.add_argument("--batch", type=int, default=1, help="images of each space a step")
    parser.add_argument("--steps", type=int, help="end after so many timed steps")
    parser.add_argument("--warmup", type=int, default=3, help="steps before the first timed one")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    return parser.parse_args()


def build(args):
    """A function that draws one step's input, and one that does a step on it."""
    torch.manual_seed(0)
    random.seed(0)
    options = dict(upsample=args.upsample, skip=args.skip)
    x_to_y, y_to_x = (initialise(ResnetGenerator(args.width, args.blocks, **options)) for _ in "xy")
    dx, dy = (initialise(PatchDiscriminator(args.disc_width, args.layers)) for _ in "xy")
    gan = CycleGan(*(net.to(args.device) for net in (x_to_y, y_to_x, dx, dy)), pool=POOL)
    images = torch.rand(2, RESIDENT, 3, args.size, args.size, device=args.device) * 2 - 1

    def choice():
        return [random.random() < 0.5 for _ in range(args.batch)], [random.randrange(POOL) for _ in range(args.batch)]

    def draw():
        x, y = (images[space, random.sample(range(RESIDENT), args.batch)] for space in (0, 1))
        return x, y, {"x": choice(), "y": choice()}

    def step(inputs):
        gan.step(*inputs)
        if args.device != "cpu":
            torch.cuda.synchronize()

    return draw, step


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    draw, step = build(args)
    done = 0
    for line in sys.stdin:
        if line.strip() != "step":
            sys.exit(f"error: read `{line.strip()}`, expected `step`")
        if done == 0:
            for _ in range(args.warmup):
                step(draw())
        inputs = draw()
        start = time.perf_counter()
        step(inputs)
        print(json.dumps({"ms": 1e3 * (time.perf_counter() - start)}), flush=True)
        done += 1
        if done == args.steps:
            break


if __name__ == "__main__":
    main()

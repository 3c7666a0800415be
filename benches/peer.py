"""Plain PyTorch beside `translate`, taking turns on one machine: training steps, or translating files.

What else the machine does falls on all alike then, and what counts is the ratio of the medians. `translate bench … --serve`
does one step for each line that it is sent; its first line says the recipe, of which the same networks are built here, with
weights of their own. The apply side is the loop that people write: open with Pillow, network at batch 1, save.

    peer.py train -r cyclegan-small --translate target/release/translate
    peer.py apply -r cyclegan --steps 1 --batch 4 --device cuda --modes eager,channels-last+bf16+compile

Modes are joined by `+`: `eager`, `channels-last` (memory order), `bf16` (autocast), `compile` (`torch.compile`) and
`cuda-graphs` (the same with `mode="reduce-overhead"`, which records each network as CUDA graphs). One that does not work here is told of, and the others go on. Needs PyTorch 2.11, Pillow and numpy, and `reference.py` beside this
file or in `tests/parity`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "parity")]
from reference import CycleGan, PatchDiscriminator, ResnetGenerator, initialise

PARTS = ("eager", "channels-last", "bf16", "compile", "cuda-graphs")
BATCHES = 4  # different ones, shown in turn
GENERATOR = {"width", "blocks", "norm", "dropout", "downsample", "upsample", "skip"}
DISCRIMINATOR = {"width", "layers", "norm"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "apply"])
    parser.add_argument("-r", "--recipe", default="demo", help="as `translate bench -r`")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as `translate bench --set`")
    parser.add_argument(
        "--with", action="append", default=[], dest="variants", metavar="FIELD=VALUE", help="ours once more, with this too"
    )
    parser.add_argument("--translate", default="target/release/translate", help="the program")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--turns", type=int, help="turns of each; by default 20 of training, 5 of translating")
    parser.add_argument("--warm-up", type=int, default=3, help="turns before, which are not measured")
    parser.add_argument("--steps", type=int, default=2, help="apply: batches of ours in a turn")
    parser.add_argument("--batch", type=int, default=8, help="apply: images of ours in a batch")
    parser.add_argument("--size", type=int, help="apply: side of the images; by default that of the training")
    parser.add_argument("--modes", default="eager,channels-last,bf16,compile", help="of PyTorch, by commas")
    parser.add_argument("--threads", type=int, help="CPU threads of both; by default PyTorch's own choice")
    args = parser.parse_args()
    args.modes = [tuple(mode.split("+")) for mode in args.modes.split(",")]
    for part in {part for mode in args.modes for part in mode} - set(PARTS):
        parser.error(f"no mode `{part}`; expected {', '.join(PARTS)}, joined by `+`")
    args.turns = args.turns or {"train": 20, "apply": 5}[args.what]
    return args


class Ours:
    """A process of ours, which does one step for every line that it reads."""

    def __init__(self, args, variant=None):
        self.name = f"translate, {variant}" if variant else "translate"
        sets = [*args.set, *([variant] if variant else [])]
        command = [args.translate, "bench", args.what, "--serve", "-r", args.recipe, "--device", args.device]
        command += [word for field in sets for word in ("--set", field)]
        command += ["--warm-up", str(args.warm_up)]
        if args.what == "apply":
            command += ["--steps", str(args.steps), "--batch", str(args.batch)]
            command += ["--size", str(args.size)] if args.size else []
        self.asks = {"train": "step", "apply": "files"}[args.what]
        threads = {"OMP_NUM_THREADS": str(args.threads)} if args.threads else {}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **threads}
        )
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"error: `{' '.join(self.process.args)}` ended with status {self.process.wait()}")
        return json.loads(line)

    def turn(self):
        """Milliseconds."""
        self.process.stdin.write(f"{self.asks}\n")
        self.process.stdin.flush()
        answer = self.read()
        self.memory = answer["peak_memory_bytes"]
        return answer["ms"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Mode:
    """One way to do the same in PyTorch, warmed up. `make` gives a function that does a turn."""

    def __init__(self, parts, make, args):
        self.name, self.on_gpu = named(parts), args.device == "cuda"
        before = torch.cuda.memory_allocated() if self.on_gpu else 0
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        self.work = make(parts)
        for _ in range(args.warm_up):
            self.turn()
        # On a CPU one process holds all modes, and nothing tells them apart.
        self.memory = torch.cuda.max_memory_allocated() - before if self.on_gpu else None

    def turn(self):
        """Milliseconds."""
        start = time.perf_counter()
        self.work()
        if self.on_gpu:
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - start)


def named(parts):
    return f"PyTorch, {' + '.join(parts)}"


class InBf16(torch.nn.Module):
    """A network under autocast; what comes out is float32."""

    def __init__(self, net, device):
        super().__init__()
        self.net, self.device = net, device

    def forward(self, x):
        with torch.autocast(self.device, torch.bfloat16):
            return self.net(x).float()


def as_mode(net, parts, device):
    net = net.to(device)
    if "channels-last" in parts:
        net = net.to(memory_format=torch.channels_last)
    if "bf16" in parts:
        net = InBf16(net, device)
    if "cuda-graphs" in parts:
        return torch.compile(net, mode="reduce-overhead")
    return torch.compile(net) if "compile" in parts else net


def checked(net, kind, known):
    """The fields of a recipe's network, where the reference has that network."""
    fields = dict(net)
    if fields.pop("kind") != kind or not fields.keys() <= known:
        sys.exit(f"error: the reference has no network `{net}`\nhint: take a recipe of `resnet` and `patch` networks")
    return fields


def generator(net):
    return initialise(ResnetGenerator(**checked(net, "resnet", GENERATOR)))


def discriminator(judge):
    if judge.get("spectral_norm") or judge.get("augment") or judge.get("sees_source"):
        sys.exit("error: the reference's discriminators have neither spectral norm nor augmentation, nor see a source")
    return initialise(PatchDiscriminator(**checked(judge["net"], "patch", DISCRIMINATOR)))


def to_images(data, device, parts):
    """uint8 `[batch, height, width, 3]` to float32 `[batch, 3, height, width]` in [-1, 1]."""
    images = data.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    order = torch.channels_last if "channels-last" in parts else torch.contiguous_format
    return images.contiguous(memory_format=order)


class Average:
    """The moving average of the generators, where the recipe has one."""

    def __init__(self, nets, decay):
        self.now = [p for net in nets for p in net.parameters()]
        self.kept, self.decay = [p.detach().clone() for p in self.now], decay

    @torch.no_grad()
    def update(self):
        for kept, now in zip(self.kept, self.now, strict=True):
            kept.lerp_(now, 1 - self.decay)


def trainer(recipe, device):
    """Makes the training step of a recipe in a mode."""
    loss, train, size = recipe["loss"], recipe["train"], recipe["data"]["size"]
    arrows, judges = recipe["generators"], recipe["discriminators"]
    if set(arrows) != {"x_to_y", "y_to_x"} or loss["adversarial"]["kind"] != "lsgan" or loss.get("paired"):
        sys.exit("error: the reference trains by CycleGAN's step only\nhint: take `demo`, `cyclegan-small` or `cyclegan`")

    def make(parts):
        torch.manual_seed(0)
        random.seed(0)
        nets = [*(generator(arrows[name]["net"]) for name in ("x_to_y", "y_to_x"))]
        nets += [discriminator(judges[space]) for space in "xy"]
        x_to_y, y_to_x, dx, dy = (as_mode(net, parts, device) for net in nets)
        weights = {"cycle": loss["cycle"], "identity": loss["identity"], "pool": loss["pool"]}
        gan = CycleGan(x_to_y, y_to_x, dx, dy, **weights, lr=recipe["optim"]["lr"], betas=recipe["optim"]["betas"])
        average = Average((x_to_y, y_to_x), train["ema"]) if train["ema"] else None
        shape = (BATCHES, 2, train["batch"], size, size, 3)
        batches = torch.randint(256, shape, dtype=torch.uint8)
        shown = 0

        def choice():
            batch, pool = train["batch"], max(loss["pool"], 1)
            return [random.random() < 0.5 for _ in range(batch)], [random.randrange(pool) for _ in range(batch)]

        def step():
            nonlocal shown
            # What the step before has left is not asked for any more, so graphs may write over it.
            torch.compiler.cudagraph_mark_step_begin()
            x, y = (to_images(data, device, parts) for data in batches[shown % BATCHES])
            shown += 1
            gan.step(x, y, {"x": choice(), "y": choice()})
            if average:
                average.update()

        return step

    return make


def translator(hello, device, folder):
    """Makes the loop over the files in a mode."""
    files = sorted(Path(hello["files"]).iterdir())
    net = hello["recipe"]["generators"][hello["generator"]]["net"]

    def make(parts):
        torch.manual_seed(0)
        translate = as_mode(generator(net).eval(), parts, device)
        out = Path(tempfile.mkdtemp(dir=folder))

        @torch.no_grad()
        def loop():
            for file in files:
                picture = torch.from_numpy(np.array(Image.open(file).convert("RGB")))
                drawn = translate(to_images(picture.unsqueeze(0), device, parts))
                data = ((drawn[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
                Image.fromarray(data.cpu().numpy()).save(out / file.name)

        return loop

    return make


def ready(args, make):
    """The modes that work here, and what is wrong with the others."""
    modes, wrong = [], {}
    for parts in args.modes:
        try:
            modes.append(Mode(parts, make, args))
        except Exception as error:  # whatever a compiler or a device lacks
            wrong[named(parts)] = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return modes, wrong


def table(args, found, images, wrong):
    """Markdown. `found` holds who took turns, and the milliseconds of each turn."""
    medians = [statistics.median(times) for _, times in found]
    unit, each = ("a step", 1) if args.what == "train" else ("an image", images)
    lines = [f"| {args.what} `{args.recipe}` on {args.device} | ms {unit} | images/s | memory | translate / this |"]
    lines.append("|---|--:|--:|--:|--:|")
    for (turner, _), ms in zip(found, medians, strict=True):
        memory = f"{turner.memory / 1e6:.0f} MB" if turner.memory else ""
        lines.append(f"| {turner.name} | {ms / each:.1f} | {1e3 * images / ms:.2f} | {memory} | {medians[0] / ms:.3f} |")
    lines += [f"| {name} | | | | does not work here: {reason} |" for name, reason in wrong.items()]
    return "\n".join(lines)


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    # As the original CycleGAN sets it, and as ours does.
    torch.backends.cudnn.benchmark = True
    ours = [Ours(args), *(Ours(args, variant) for variant in args.variants)]
    hello = ours[0].hello
    with tempfile.TemporaryDirectory(prefix="translate-peer-") as folder:
        if args.what == "train":
            make, images = trainer(hello["recipe"], args.device), hello["recipe"]["train"]["batch"]
        else:
            make, images = translator(hello, args.device, folder), args.steps * args.batch
        modes, wrong = ready(args, make)
        found = [(turner, []) for turner in (*ours, *modes)]
        for _ in range(args.turns):
            for turner, times in found:
                times.append(turner.turn())
        for process in ours:
            process.end()
    sets = "".join(f", {field}" for field in args.set)
    threads = f"{torch.get_num_threads()} CPU threads, PyTorch {torch.__version__}"
    print(f"{table(args, found, images, wrong)}\n\n{args.turns} turns of each{sets}, medians; {threads}")


if __name__ == "__main__":
    main()

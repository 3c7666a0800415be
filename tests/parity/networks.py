"""Writes what each network computes, for the tests to compare with.

`record(FOLDER)` makes `FOLDER/cases.json`, which lists the cases: name, network settings, and whether y and the gradients are of training mode.
`FOLDER/<case>.npz` holds, all float32:

- `w.<name>`: the state dict (without `num_batches_tracked`, which nothing uses)
- `x`, `y`: input and output; `y_eval`: with batch norm, the output by running statistics
- `gy`: a random cotangent of y; `gx`, `g.<name>`: the gradients of sum(y·gy). Biases that an instance norm cancels
  are left out: their gradient is rounding and nothing else
- `after.<name>`: with batch norm in training mode, the running statistics after that one call
"""

import json

import numpy as np
import torch

import reference
from reference import PatchDiscriminator, PixelDiscriminator, ResnetGenerator, UnetGenerator

NETS = {"resnet": ResnetGenerator, "unet": UnetGenerator, "patch": PatchDiscriminator, "pixel": PixelDiscriminator}


def resnet(width, blocks, norm, dropout=False, upsample="transpose", skip=False):
    return dict(
        kind="resnet", width=width, blocks=blocks, norm=norm, dropout=dropout, upsample=upsample, skip=skip
    )


def unet(width, downs, norm, dropout=False):
    return dict(kind="unet", width=width, downs=downs, norm=norm, dropout=dropout)


def patch(width, layers, norm):
    return dict(kind="patch", width=width, layers=layers, norm=norm)


def pixel(width, norm):
    return dict(kind="pixel", width=width, norm=norm)


# name: settings, input [batch, height, width]
CASES = {
    "resnet_instance_1": (resnet(8, 1, "instance"), (1, 24, 32)),
    "resnet_instance_2": (resnet(8, 2, "instance"), (2, 32, 24)),
    "resnet_instance_9": (resnet(4, 9, "instance"), (1, 32, 40)),
    "resnet_batch_2": (resnet(8, 2, "batch"), (3, 24, 32)),
    "resnet_none_2": (resnet(8, 2, "none"), (2, 24, 32)),
    "resnet_instance_dropout": (resnet(8, 2, "instance", dropout=True), (2, 24, 32)),
    "resnet_batch_dropout": (resnet(8, 2, "batch", dropout=True), (2, 24, 32)),
    "resnet_instance_resize": (resnet(8, 2, "instance", upsample="resize"), (2, 24, 32)),
    "resnet_none_resize": (resnet(8, 1, "none", upsample="resize"), (2, 32, 24)),
    "resnet_instance_skip": (resnet(8, 2, "instance", skip=True), (2, 24, 32)),
    "unet_instance_5": (unet(8, 5, "instance"), (2, 64, 96)),
    "unet_batch_5": (unet(8, 5, "batch"), (3, 32, 64)),
    "unet_none_5": (unet(4, 5, "none"), (2, 64, 32)),
    "unet_batch_7_dropout": (unet(4, 7, "batch", dropout=True), (2, 128, 128)),
    "patch_instance_1": (patch(8, 1, "instance"), (2, 24, 32)),
    "patch_instance_3": (patch(8, 3, "instance"), (2, 48, 64)),
    "patch_instance_5": (patch(4, 5, "instance"), (1, 192, 160)),
    "patch_batch_3": (patch(8, 3, "batch"), (3, 48, 40)),
    "patch_none_3": (patch(8, 3, "none"), (2, 40, 48)),
    "pixel_instance": (pixel(8, "instance"), (2, 12, 16)),
    "pixel_batch": (pixel(8, "batch"), (2, 12, 16)),
    "pixel_none": (pixel(8, "none"), (2, 12, 16)),
}


def state(net, prefix):
    tensors = net.state_dict().items()
    return {f"{prefix}.{k}": v.detach().numpy().copy() for k, v in tensors if not k.endswith("num_batches_tracked")}


def compute(settings, shape, train):
    """The arrays of one case."""
    settings = dict(settings)
    net = NETS[settings.pop("kind")](**settings)
    reference.randomise(net)
    batch, height, width = shape
    x = torch.rand(batch, 3, height, width) * 2 - 1
    arrays = state(net, "w")
    if settings["norm"] == "batch":
        with torch.no_grad():
            arrays["y_eval"] = net.eval()(x)

    x.requires_grad_()
    y = net.train(train)(x)
    gy = torch.randn_like(y)
    y.backward(gy)
    arrays |= {"x": x.detach(), "y": y.detach(), "gy": gy, "gx": x.grad}
    cancelled = reference.cancelled_biases(net)
    arrays |= {f"g.{name}": p.grad for name, p in net.named_parameters() if name not in cancelled}
    if settings["norm"] == "batch" and train:
        arrays |= {k: v for k, v in state(net, "after").items() if "running_" in k}
    return {k: np.ascontiguousarray(v) for k, v in arrays.items()}


def record(folder):
    listed = []
    for seed, (name, (settings, shape)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        # Two programs cannot draw the same dropout masks, so those networks are compared without them.
        train = not settings.get("dropout", False)
        np.savez(folder / f"{name}.npz", **compute(settings, shape, train))
        listed.append({"case": name, "net": settings, "train": train})
    (folder / "cases.json").write_text(json.dumps(listed, indent=1))

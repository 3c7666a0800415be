"""Writes what each network computes, for the tests to compare with.

`record(FOLDER)` makes `FOLDER/cases.json`, which lists the cases: name, role, network settings, whether its weights are
spectrally normalised, how many classes it is given, and whether y and the gradients are of training mode.
`FOLDER/<case>.npz` holds, all float32:

- `w.<name>`: the state dict (without `num_batches_tracked`, which nothing uses)
- `x`, `y`: input and output; `c`: int64 labels, of networks with classes; `y_eval`: with batch or spectral norm, the
  output before training mode changes their statistics
- `gy`: a random cotangent of y; `gx`, `g.<name>`: the gradients of sum(y·gy). Biases that an instance norm cancels
  are left out: their gradient is rounding and nothing else
- `after.<name>`: in training mode, batch norm's running statistics and spectral norm's vectors after that one call
"""

import json

import numpy as np
import torch

import drawing
import reference
from mobile import MobileResnetGenerator
from reference import PatchDiscriminator, PixelDiscriminator, ResnetGenerator, UnetGenerator

NETS = {
    ("generator", "resnet"): ResnetGenerator,
    ("generator", "mobile-resnet"): MobileResnetGenerator,
    ("generator", "unet"): UnetGenerator,
    ("generator", "dcgan"): drawing.DcganGenerator,
    ("generator", "residual"): drawing.ResidualGenerator,
    ("discriminator", "patch"): PatchDiscriminator,
    ("discriminator", "pixel"): PixelDiscriminator,
    ("discriminator", "dcgan"): drawing.DcganDiscriminator,
    ("discriminator", "residual"): drawing.ResidualDiscriminator,
}
# Of the networks that are made for one size.
SIZE = 32


def resnet(width, blocks, norm, **others):
    return dict(role="generator", net=dict(kind="resnet", width=width, blocks=blocks, norm=norm, **others))


def mobile(width, blocks, **uneven):
    return dict(role="generator", net=dict(kind="mobile-resnet", width=width, blocks=blocks, **uneven))


def unet(width, downs, norm, dropout=False, upsample="transpose"):
    net = dict(kind="unet", width=width, downs=downs, norm=norm, dropout=dropout, upsample=upsample)
    return dict(role="generator", net=net)


def patch(width, layers, norm, spectral_norm=False):
    net = dict(kind="patch", width=width, layers=layers, norm=norm)
    return dict(role="discriminator", net=net, spectral_norm=spectral_norm)


def pixel(width, norm):
    return dict(role="discriminator", net=dict(kind="pixel", width=width, norm=norm))


def from_noise(kind, noise, width, norm, classes=0):
    return dict(role="generator", net=dict(kind=kind, noise=noise, width=width, norm=norm), classes=classes)


def whole(kind, spectral_norm=False, classes=0, **net):
    net = dict(kind=kind, **net)
    return dict(role="discriminator", net=net, spectral_norm=spectral_norm, classes=classes)


# name: settings, input [batch, height, width] or, of noise, [batch, numbers]
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
    "resnet_batch_skip_resize": (resnet(4, 1, "batch", upsample="resize", skip=True), (3, 24, 32)),
    "resnet_instance_blur": (resnet(8, 2, "instance", downsample="blur", upsample="blur"), (2, 24, 32)),
    "resnet_instance_blur_down": (resnet(4, 1, "instance", downsample="blur"), (2, 8, 12)),
    "resnet_batch_blur_up": (resnet(4, 1, "batch", upsample="blur"), (3, 24, 32)),
    "resnet_instance_blur_skip": (resnet(4, 1, "instance", downsample="blur", upsample="blur", skip=True), (2, 24, 32)),
    "resnet_untracked_2": (resnet(8, 2, "batch-untracked"), (3, 24, 32)),
    "mobile_2": (mobile(8, 2), (2, 24, 32)),
    "mobile_uneven": (mobile(4, 3, down=[4, 6, 16], inner=[8, 12, 16], up=[6, 5]), (2, 32, 24)),
    "unet_instance_4_blur": (unet(4, 4, "instance", upsample="blur"), (2, 32, 48)),
    "unet_instance_5": (unet(8, 5, "instance"), (2, 64, 96)),
    "unet_batch_5": (unet(8, 5, "batch"), (3, 32, 64)),
    "unet_instance_2": (unet(4, 2, "instance"), (2, 24, 32)),
    "unet_instance_4_resize": (unet(4, 4, "instance", upsample="resize"), (2, 32, 48)),
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
    "patch_spectral_3": (patch(8, 3, "none", spectral_norm=True), (2, 40, 48)),
    "patch_spectral_instance_2": (patch(8, 2, "instance", spectral_norm=True), (2, 40, 48)),
    "dcgan_generator_batch": (from_noise("dcgan", 10, 8, "batch"), (4, 10)),
    "dcgan_generator_none": (from_noise("dcgan", 6, 4, "none"), (2, 6)),
    "dcgan_discriminator_batch": (whole("dcgan", width=8, norm="batch"), (4, SIZE, SIZE)),
    "dcgan_discriminator_spectral": (whole("dcgan", True, width=8, norm="none"), (2, SIZE, SIZE)),
    "residual_generator_batch": (from_noise("residual", 10, 8, "batch"), (4, 10)),
    "residual_generator_instance": (from_noise("residual", 6, 4, "instance"), (2, 6)),
    "residual_discriminator": (whole("residual", width=8), (2, SIZE, SIZE)),
    "residual_discriminator_spectral": (whole("residual", True, width=8), (2, SIZE, SIZE)),
    "dcgan_generator_classes": (from_noise("dcgan", 10, 8, "batch", 5), (4, 10)),
    "residual_generator_classes": (from_noise("residual", 10, 8, "batch", 5), (4, 10)),
    "dcgan_discriminator_classes": (whole("dcgan", classes=5, width=8, norm="none"), (3, SIZE, SIZE)),
    "dcgan_discriminator_classes_spectral": (whole("dcgan", True, classes=5, width=8, norm="none"), (3, SIZE, SIZE)),
    "dcgan_discriminator_classes_batch": (whole("dcgan", classes=5, width=8, norm="batch"), (4, SIZE, SIZE)),
    "residual_discriminator_classes": (whole("residual", True, classes=5, width=8), (3, SIZE, SIZE)),
}


def plain(name):
    """The name of a weight, whether spectral norm keeps it under another or not."""
    return name.removesuffix("_orig")


def state(net, prefix):
    tensors = net.state_dict().items()
    return {
        f"{prefix}.{plain(k)}": v.detach().numpy().copy() for k, v in tensors if not k.endswith("num_batches_tracked")
    }


def build(case):
    settings = dict(case["net"])
    kind = settings.pop("kind")
    if kind in ("dcgan", "residual"):
        settings |= {"size": SIZE, "classes": case["classes"]}
    net = NETS[case["role"], kind](**settings)
    reference.randomise(net)
    return drawing.spectral(net) if case.get("spectral_norm") else net


def compute(case, shape, train):
    """The arrays of one case."""
    net = build(case)
    x = torch.randn(shape) if len(shape) == 2 else torch.rand(shape[0], 3, *shape[1:]) * 2 - 1
    labels = [torch.randint(case["classes"], (len(x),))] if case.get("classes") else []
    arrays = state(net, "w") | {"c": label for label in labels}
    changes = case["net"].get("norm") == "batch" or case.get("spectral_norm")
    if changes:
        with torch.no_grad():
            arrays["y_eval"] = net.eval()(x, *labels)

    x.requires_grad_()
    y = net.train(train)(x, *labels)
    gy = torch.randn_like(y)
    y.backward(gy)
    arrays |= {"x": x.detach(), "y": y.detach(), "gy": gy, "gx": x.grad}
    cancelled = reference.cancelled_biases(net)
    arrays |= {f"g.{plain(name)}": p.grad for name, p in net.named_parameters() if name not in cancelled}
    if changes and train:
        ends = ("running_mean", "running_var", "weight_u", "weight_v")
        arrays |= {k: v for k, v in state(net, "after").items() if k.endswith(ends)}
    return {k: np.ascontiguousarray(v) for k, v in arrays.items()}


def listed(name, case, train=True):
    """A case as the tests read it."""
    return {"case": name, "train": train, "spectral_norm": False, "classes": 0} | case


def record(folder):
    cases = []
    for seed, (name, (case, shape)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        # Two programs cannot draw the same dropout masks, so those networks are compared without them.
        train = not case["net"].get("dropout", False)
        np.savez(folder / f"{name}.npz", **compute(case, shape, train))
        cases.append(listed(name, case, train))
    (folder / "cases.json").write_text(json.dumps(cases, indent=1))

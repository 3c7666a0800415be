"""Writes generators' checkpoints as PyTorch saves them, and what they make of a picture.

`record(FOLDER)` fills `FOLDER/checkpoints`:

- `cases.json`: for each case its name and the `net` of a recipe that says the same
- `<case>.zip.pth`, `<case>.legacy.pth`: its state dict in both forms
- `<case>.npz`: `x`, a picture's bytes `[1, height, width, 3]`; `y`, float32 from 0 to 255 of the same shape
- `tiny.zip.pth`, `tiny.legacy.pth`, and the same as `n.pth` to `nnn….pth` with names of up to 40 characters
- files that are no generator's state dict, under the names of `others`
"""

import json
import os

import numpy as np
import torch
from torch import nn

import reference
from mobile import MobileResnetGenerator
from reference import PatchDiscriminator, PixelDiscriminator, ResnetGenerator, UnetGenerator

KINDS = {"resnet": ResnetGenerator, "mobile-resnet": MobileResnetGenerator, "unet": UnetGenerator}
# Of a published student of GAN Compression.
STUDENT = dict(width=16, down=[16, 32, 128], inner=[64] * 3 + [128] * 6, up=[32, 16])


def resnet(blocks, norm="instance", **others):
    return dict(kind="resnet", width=8, blocks=blocks, norm=norm, **others)


def unet(downs, norm, **others):
    return dict(kind="unet", width=8, downs=downs, norm=norm, **others)


# name: the network, and how its state dict is changed before it is saved
CASES = {
    "resnet_6": (resnet(6), []),
    "resnet_9": (resnet(9), []),
    "resnet_6_dropout": (resnet(6, dropout=True), []),
    "resnet_9_dropout": (resnet(9, dropout=True), []),
    "resnet_1": (resnet(1), []),
    "resnet_batch": (resnet(2, "batch"), []),
    "resnet_batch_dropout": (resnet(2, "batch", dropout=True), []),
    "resnet_untracked": (resnet(2, "batch-untracked"), []),
    "resnet_none": (resnet(2, "none"), ["without biases"]),
    "resnet_parallel": (resnet(2), ["module", "stale statistics"]),
    "resnet_half": (resnet(2), ["half"]),
    "resnet_double": (resnet(2), ["double"]),
    "cut": (resnet(3, downsample="blur", upsample="blur"), []),
    "cut_dropout": (resnet(3, downsample="blur", upsample="blur", dropout=True), []),
    "cut_down": (resnet(2, downsample="blur"), []),
    "cut_up": (resnet(2, upsample="blur"), []),
    "cut_batch": (resnet(2, "batch", downsample="blur", upsample="blur"), ["module"]),
    "unet_instance": (unet(6, "instance"), []),
    "unet_instance_dropout": (unet(7, "instance", dropout=True), ["stale statistics"]),
    "unet_batch": (unet(6, "batch"), []),
    "unet_batch_dropout": (unet(7, "batch", dropout=True), ["module"]),
    "unet_untracked": (unet(6, "batch-untracked"), []),
    "unet_none": (unet(5, "none"), ["without biases"]),
    "unet_2": (unet(2, "batch"), []),
    "mobile": (dict(kind="mobile-resnet", width=8, blocks=9), []),
    "mobile_student": (dict(kind="mobile-resnet", blocks=9, **STUDENT), []),
    "mobile_parallel": (dict(kind="mobile-resnet", width=6, blocks=6, up=[10, 7]), ["module", "stale statistics"]),
}


def build(net):
    settings = dict(net)
    net = KINDS[settings.pop("kind")](**settings)
    reference.randomise(net)
    return net


def changed(net, state, changes):
    """The state dict after the changes. Where biases are left out they are made 0 first, but for the last one's."""
    if "stale statistics" in changes:
        for name, module in net.named_modules():
            if isinstance(module, nn.InstanceNorm2d):
                size = module.num_features
                state[f"{name}.running_mean"] = torch.randn(size)
                state[f"{name}.running_var"] = torch.rand(size)
                state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    if "without biases" in changes:
        *biases, _ = [name for name in state if name.endswith("bias")]
        for name in biases:
            del state[name]
    for change, kind in (("half", torch.float16), ("double", torch.float64)):
        if change in changes:
            state = {name: tensor.to(kind) for name, tensor in state.items()}
    return {f"module.{name}": tensor for name, tensor in state.items()} if "module" in changes else state


def save_both(value, path):
    torch.save(value, f"{path}.zip.pth")
    torch.save(value, f"{path}.legacy.pth", _use_new_zipfile_serialization=False)


@torch.no_grad()
def prepare(net, changes):
    """What the changes of the state dict take away is taken away in the network too."""
    if "without biases" in changes:
        *biases, _ = [p for name, p in net.named_parameters() if name.endswith("bias")]
        for bias in biases:
            bias.zero_()
    if "half" in changes:
        net.half().float()
    return net.eval()


@torch.no_grad()
def picture(net, folder, name, size):
    x = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)
    y = net((x.float() / 127.5 - 1).permute(0, 3, 1, 2))
    np.savez(folder / f"{name}.npz", x=x, y=(y.permute(0, 2, 3, 1) + 1) * 127.5)


class Command:
    """What a hostile pickle holds: a call, made by whoever runs the pickle."""

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def others(folder):
    """Files that are refused, and small ones."""
    net = build(resnet(1))
    state = net.state_dict()
    save_both(net, folder / "module")
    tiny = ResnetGenerator(width=1, blocks=1).state_dict()
    save_both(tiny, folder / "tiny")
    save_both(PatchDiscriminator(8).state_dict(), folder / "patch")
    save_both(PixelDiscriminator(8).state_dict(), folder / "pixel")
    spectral = torch.nn.utils.spectral_norm
    torch.save(nn.ModuleDict({"model": nn.Sequential(spectral(nn.Conv2d(3, 8, 4)))}).state_dict(), folder / "spectral.pth")
    torch.save({"conv1.weight": torch.zeros(8, 3, 7, 7), "fc.weight": torch.zeros(2, 8)}, folder / "foreign.pth")
    torch.save({"epoch": 3}, folder / "no_tensors.pth")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save(state | {"model.10.conv_block.1.weight": torch.zeros(4, 4).to_sparse()}, folder / "sparse.pth")
    torch.save(state | {"model.1.weight": torch.zeros(8, 1, 7, 7)}, folder / "gray.pth")
    more = {f"model.{i}.extra": torch.zeros(2) for i in (30, 4)}
    torch.save(state | more, folder / "more.pth")
    torch.save({k: v for k, v in state.items() if k != "model.4.bias"}, folder / "less.pth")
    torch.save(state | {"model.4.weight": state["model.4.weight"] / 0}, folder / "infinite.pth")
    torch.save(state | {"model.4.weight": state["model.4.weight"].long()}, folder / "whole_numbers.pth")
    deep = {"model.model.0.weight": torch.zeros(1, 3, 4, 4)}
    for level in range(1, 40):
        name = f"model.model.1.model{'.3.model' * (level - 1)}.1.weight"
        deep[name] = torch.zeros(min(2**level, 8), min(2 ** (level - 1), 8), 4, 4)
    torch.save(deep, folder / "deep.pth")
    # A view of one number that claims to be a large tensor.
    torch.save({"model.1.weight": torch.zeros(1).expand(512, 3, 7, 7)}, folder / "claims.pth")
    torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 1))).save(folder / "script.pth")
    # The folder inside an archive is called as the file is.
    for length in range(1, 41):
        torch.save(tiny, folder / f"{'n' * length}.pth")
    # A generator's, with a command in it.
    command = Command()
    command.canary = folder / "canary"
    torch.save(state | {"note": command}, folder / "command.pth")


def record(folder):
    folder = folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    listed = []
    for seed, (name, (settings, changes)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        net = prepare(build(settings), changes)
        side = 2 ** settings["downs"] if settings["kind"] == "unet" else 32
        picture(net, folder, name, (side, 2 * side) if side < 64 else (side, side))
        state = net.state_dict()
        save_both(changed(net, state, changes), folder / name)
        listed.append({"case": name, "net": settings})
    (folder / "cases.json").write_text(json.dumps(listed, indent=1))
    others(folder)

"""Adversarial objectives and penalties as PyTorch has them, with small discriminators on 32².

`record(FOLDER)` writes `FOLDER/objectives.json`, the cases as `networks.py` lists them, and of each
`FOLDER/objectives-<case>.npz`:

- `w.<name>`: the discriminator's state dict; `real`, `fake`: float32 `[2, 3, 32, 32]`; `mix`: float32 `[2, 1, 1, 1]`;
  `c`: int64 labels, of a discriminator with classes
- `gradient-penalty.discriminator`, `r1.discriminator`: the penalties, without their weights, after one step of spectral
  norm's power iteration where there is one; `<penalty>.g.<name>`: their gradients by the discriminator's weights. Biases
  that an instance norm cancels are left out, and what a penalty does not depend on
- of the case `patch_none` also `<objective>.generator`, `<objective>.discriminator`: the losses; `<objective>.fake`: the
  gradient of the generator's loss at the fakes; `<objective>.g.<name>`: the gradients of the discriminator's
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

import networks
from reference import cancelled_biases

CASES = {
    "patch_none": networks.patch(4, 2, "none"),
    "patch_instance": networks.patch(4, 2, "instance"),
    "dcgan_classes_spectral": networks.whole("dcgan", True, classes=5, width=4, norm="none"),
}


def cross_entropy(verdicts, target):
    return F.binary_cross_entropy_with_logits(verdicts, torch.full_like(verdicts, target))


# (what the generator lowers, what the discriminator lowers), of verdicts on real images and on fakes.
OBJECTIVES = {
    "minimax": (lambda f: -cross_entropy(f, 0.0), lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0)),
    "non-saturating": (lambda f: cross_entropy(f, 1.0), lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0)),
    "lsgan": (
        lambda f: F.mse_loss(f, torch.ones_like(f)),
        lambda r, f: (F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f))) / 2,
    ),
    "hinge": (lambda f: -f.mean(), lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean()),
    "wgan": (lambda f: -f.mean(), lambda r, f: f.mean() - r.mean()),
}


def slopes(net, at, labels):
    """The slope of an image's mean verdict, one image at a time."""
    for i, x in enumerate(at):
        x = x[None].clone().requires_grad_()
        verdicts = net(x, *(some[i : i + 1] for some in labels))
        yield torch.autograd.grad(verdicts.mean(), x, create_graph=True)[0]


def gradient_penalty(net, real, fake, mix, labels):
    between = mix * real + (1 - mix) * fake
    return torch.stack([(slope.norm() - 1) ** 2 for slope in slopes(net, between, labels)]).mean()


def r1(net, real, labels):
    return torch.stack([slope.square().sum() / 2 for slope in slopes(net, real, labels)]).mean()


class Record:
    """What one discriminator gives, as it is collected."""

    def __init__(self, case):
        self.net = networks.build(case)
        self.real, self.fake = torch.rand(2, 2, 3, networks.SIZE, networks.SIZE) * 2 - 1
        self.mix = torch.rand(2, 1, 1, 1)
        self.labels = [torch.randint(case["classes"], (2,))] if case.get("classes") else []
        self.arrays = networks.state(self.net, "w") | {"c": labels.numpy() for labels in self.labels}
        self.arrays |= {"real": self.real.numpy(), "fake": self.fake.numpy(), "mix": self.mix.numpy()}

    def keep(self, name, loss):
        self.net.zero_grad()
        loss.backward()
        self.arrays[f"{name}.discriminator"] = loss.detach().numpy()
        cancelled = cancelled_biases(self.net)
        for of, p in self.net.named_parameters():
            if p.grad is not None and of not in cancelled:
                self.arrays[f"{name}.g.{networks.plain(of)}"] = p.grad.numpy().copy()

    def objectives(self):
        for name, (generator, discriminator) in OBJECTIVES.items():
            self.keep(name, discriminator(self.net(self.real), self.net(self.fake)))
            moving = self.fake.clone().requires_grad_()
            loss = generator(self.net(moving))
            loss.backward()
            self.arrays |= {f"{name}.generator": loss.detach().numpy(), f"{name}.fake": moving.grad.numpy()}

    def penalties(self):
        # One call moves spectral norm's vectors as one call for the whole batch does; those for each image leave them.
        with torch.no_grad():
            self.net.train()(self.real, *self.labels)
        self.net.eval()
        self.keep("gradient-penalty", gradient_penalty(self.net, self.real, self.fake, self.mix, self.labels))
        self.keep("r1", r1(self.net, self.real, self.labels))


def record(folder):
    for seed, (name, case) in enumerate(CASES.items(), start=5):
        torch.manual_seed(seed)
        kept = Record(case)
        if name == "patch_none":
            kept.objectives()
        kept.penalties()
        arrays = {key: np.ascontiguousarray(xs) for key, xs in kept.arrays.items()}
        np.savez(folder / f"objectives-{name}.npz", **arrays)
    listed = [networks.listed(name, case) for name, case in CASES.items()]
    (folder / "objectives.json").write_text(json.dumps(listed, indent=1))

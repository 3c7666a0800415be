"""Adversarial objectives and penalties as PyTorch has them, with a patch discriminator of width 4 and 2 layers on 32².

`record(FOLDER)` writes `FOLDER/objectives.npz`:

- `w.<name>`: the discriminator's weights; `real`, `fake`: float32 `[2, 3, 32, 32]`; `mix`: float32 `[2, 1, 1, 1]`
- `<objective>.generator`, `<objective>.discriminator`: the losses; `<objective>.fake`: the gradient of the generator's
  loss at the fakes; `<objective>.g.<name>`: the gradients of the discriminator's. Those of `gradient-penalty` and `r1`
  are there likewise, without their weights
"""

import numpy as np
import torch
import torch.nn.functional as F

from reference import PatchDiscriminator, randomise


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


def gradient_penalty(net, real, fake, mix):
    """(‖∇f‖ − 1)² where f is an image's mean verdict, one image at a time."""
    terms = []
    for r, f, m in zip(real, fake, mix):
        between = (m * r + (1 - m) * f)[None].requires_grad_()
        (slope,) = torch.autograd.grad(net(between).mean(), between, create_graph=True)
        terms.append((slope.norm() - 1) ** 2)
    return sum(terms) / len(terms)


def r1(net, real):
    terms = []
    for r in real:
        r = r[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(r).mean(), r, create_graph=True)
        terms.append(slope.square().sum() / 2)
    return sum(terms) / len(terms)


def record(folder):
    torch.manual_seed(5)
    net = PatchDiscriminator(4, 2, "none")
    randomise(net)
    real, fake = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    mix = torch.rand(2, 1, 1, 1)
    arrays = {f"w.{name}": p.detach().numpy().copy() for name, p in net.named_parameters()}
    arrays |= {"real": real.numpy(), "fake": fake.numpy(), "mix": mix.numpy()}

    def keep(name, loss):
        net.zero_grad()
        loss.backward()
        arrays[f"{name}.discriminator"] = loss.detach().numpy()
        arrays.update({f"{name}.g.{of}": p.grad.numpy().copy() for of, p in net.named_parameters() if p.grad is not None})

    for name, (generator, discriminator) in OBJECTIVES.items():
        keep(name, discriminator(net(real), net(fake)))
        moving = fake.clone().requires_grad_()
        loss = generator(net(moving))
        loss.backward()
        arrays |= {f"{name}.generator": loss.detach().numpy(), f"{name}.fake": moving.grad.numpy()}
    keep("gradient-penalty", gradient_penalty(net, real, fake, mix))
    keep("r1", r1(net, real))
    np.savez(folder / "objectives.npz", **{name: np.ascontiguousarray(xs) for name, xs in arrays.items()})

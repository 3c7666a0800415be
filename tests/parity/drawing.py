"""Networks that draw images from noise, and discriminators of whole images, in plain PyTorch after the papers.

- the convolutional pair: Radford et al. 2016, https://arxiv.org/abs/1511.06434
- the residual pair: Miyato et al. 2018, https://arxiv.org/abs/1802.05957
- spectral normalisation: the same paper, by `torch.nn.utils.spectral_norm`
- the projection discriminator: Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637

With `classes` a network takes a label of each sample, as an embedding: beside the noise, or by projection.
All go from or to a 4×4 map; channels double a level, up to eight times.
"""

import torch
from torch import nn
from torch.nn import functional as F

from reference import SLOPE, has_bias, norm_layer


def channels(width, size):
    """From the image's end to the 4×4 map, one number for each halving."""
    levels = (size // 4).bit_length() - 1
    return [width * min(2**level, 8) for level in range(levels)]


# Numbers of a class's embedding.
CONDITION = 6


class Conditional(nn.Module):
    """Has an embedding of the labels where there are any, divided by the root of its width."""

    def __init__(self, classes):
        super().__init__()
        self.encoder = nn.Embedding(classes, CONDITION) if classes else None

    def encode(self, labels):
        return self.encoder(labels) / CONDITION**0.5

    def beside(self, z, labels):
        return torch.cat([z, self.encode(labels)], 1) if self.encoder else z


class Judge(Conditional):
    """A discriminator: the verdict on an image's features, and the product of their sum with the projected condition."""

    def __init__(self, classes, features):
        super().__init__(classes)
        self.projection = nn.Linear(CONDITION, features, bias=False) if classes else None

    def judge(self, summed, verdict, labels):
        verdict = verdict.flatten()
        if self.projection:
            verdict = verdict + torch.einsum("nc,nc->n", summed, self.projection(self.encode(labels)))
        return verdict[:, None, None, None]


class DcganGenerator(Conditional):
    def __init__(self, noise, width, norm, size, classes=None):
        super().__init__(classes)
        layers, before = [], noise + (CONDITION if classes else 0)
        for i, c in enumerate(reversed(channels(width, size))):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            conv = nn.ConvTranspose2d(before, c, 4, stride, padding, bias=has_bias(norm))
            layers += [conv, norm_layer(norm, c), nn.ReLU()]
            before = c
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(before, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z, labels=None):
        return self.main(self.beside(z, labels)[:, :, None, None])


class DcganDiscriminator(Judge):
    def __init__(self, width, norm, size, classes=None):
        super().__init__(classes, channels(width, size)[-1])
        first, *rest = channels(width, size)
        layers, before = [nn.Conv2d(3, first, 4, 2, 1), nn.LeakyReLU(SLOPE)], first
        for c in rest:
            conv = nn.Conv2d(before, c, 4, 2, 1, bias=has_bias(norm))
            layers += [conv, norm_layer(norm, c), nn.LeakyReLU(SLOPE)]
            before = c
        self.main = nn.Sequential(*layers, nn.Conv2d(before, 1, 4))

    def forward(self, x, labels=None):
        features = self.main[:-1](x)
        return self.judge(features.mean((2, 3)) * 4, self.main[-1](features), labels)


class Up(nn.Module):
    def __init__(self, before, after, norm):
        super().__init__()
        self.norm1, self.norm2 = norm_layer(norm, before), norm_layer(norm, after)
        bias = has_bias(norm)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=bias)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=bias)
        self.shortcut = nn.Conv2d(before, after, 1, bias=bias)

    def forward(self, x):
        y = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2))
        return self.conv2(F.relu(self.norm2(y))) + self.shortcut(F.interpolate(x, scale_factor=2))


class ResidualGenerator(Conditional):
    def __init__(self, noise, width, norm, size, classes=None):
        super().__init__(classes)
        after = channels(width, size)[::-1]
        self.head = nn.Linear(noise + (CONDITION if classes else 0), after[0] * 16)
        self.blocks = nn.Sequential(*(Up(b, a, norm) for b, a in zip(after[:1] + after, after)))
        self.norm = norm_layer(norm, width)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        if norm == "instance":
            # Every sum that a block's bias shifts is normalised before the tail.
            self.cancelled = [f"blocks.{name}" for name, _ in self.blocks.named_parameters() if name.endswith("bias")]

    def forward(self, z, labels=None):
        y = self.blocks(self.head(self.beside(z, labels)).view(len(z), -1, 4, 4))
        return torch.tanh(self.tail(F.relu(self.norm(y))))


class Down(nn.Module):
    def __init__(self, before, after, first):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)
        self.first = first

    def forward(self, x):
        y = self.conv1(x if self.first else F.relu(x))
        return F.avg_pool2d(self.conv2(F.relu(y)), 2) + self.shortcut(F.avg_pool2d(x, 2))


class ResidualDiscriminator(Judge):
    def __init__(self, width, size, classes=None):
        super().__init__(classes, channels(width, size)[-1])
        after = channels(width, size)
        self.blocks = nn.Sequential(*(Down(b, a, i == 0) for i, (b, a) in enumerate(zip([3] + after, after))))
        self.tail = nn.Linear(after[-1], 1)

    def forward(self, x, labels=None):
        summed = F.relu(self.blocks(x)).sum((2, 3))
        return self.judge(summed, self.tail(summed), labels)


def spectral(net):
    """Every weight divided by its largest singular value."""
    for module in list(net.modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.utils.spectral_norm(module)
    return net

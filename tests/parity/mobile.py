"""The separable residual generator of GAN Compression in plain PyTorch (Li et al. 2020, https://arxiv.org/abs/2003.08936),
with the state-dict names of the published students.
"""

from itertools import pairwise

from torch import nn

from reference import upsampling


class Separable(nn.Module):
    """3×3 within each channel, instance norm, 1×1 between channels."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(c_in, c_in, 3, groups=c_in), nn.InstanceNorm2d(c_in), nn.Conv2d(c_in, c_out, 1)
        )

    def forward(self, x):
        return self.conv(x)


class MobileBlock(nn.Module):
    """x + conv_block(x), with `inner` channels in between."""

    def __init__(self, channels, inner):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            Separable(channels, inner),
            nn.InstanceNorm2d(inner),
            nn.ReLU(),
            nn.Dropout(0.0),
            nn.ReflectionPad2d(1),
            Separable(inner, channels),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class MobileResnetGenerator(nn.Module):
    """As the residual generator, with separable blocks. `down`, `inner` and `up` are widths where they are uneven."""

    def __init__(self, width=32, blocks=9, down=None, inner=None, up=None):
        super().__init__()
        c0, c1, c2 = down or (width, 2 * width, 4 * width)
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, c0, 7), nn.InstanceNorm2d(c0), nn.ReLU()]
        for c_in, c_out in ((c0, c1), (c1, c2)):
            layers += [nn.Conv2d(c_in, c_out, 3, 2, 1), nn.InstanceNorm2d(c_out), nn.ReLU()]
        layers += [MobileBlock(c2, c) for c in inner or [4 * width] * blocks]
        up = up or (2 * width, width)
        for c_in, c_out in pairwise((c2, *up)):
            layers += [*upsampling(c_in, c_out, True, "transpose"), nn.InstanceNorm2d(c_out), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(up[-1], 3, 7), nn.Tanh())

    def forward(self, x):
        return self.model(x)

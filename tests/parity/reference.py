"""CycleGAN in plain eager PyTorch, written from the papers: what the tests and the speed comparison measure by.

Networks carry the state-dict names of the published checkpoints, so module order inside each `Sequential` matters.
Images are float32 `[batch, 3, height, width]` in [-1, 1].

- CycleGAN: Zhu et al. 2017, https://arxiv.org/abs/1703.10593
- residual generator: Johnson et al. 2016, https://arxiv.org/abs/1603.08155
- U-Net, PatchGAN and pixel discriminators: Isola et al. 2017, https://arxiv.org/abs/1611.07004
- least-squares objective: Mao et al. 2017, https://arxiv.org/abs/1611.04076
- replay pool: Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828
- resize-convolution: Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard/
- low-pass filters where the size changes: Zhang 2019, https://arxiv.org/abs/1904.11486, as in CUT: Park et al. 2020,
  https://arxiv.org/abs/2007.15651
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.2  # of every LeakyReLU


def norm_layer(norm, channels):
    """A slot for the normalisation; `none` keeps the slot, so that the indices after it stay the same."""
    match norm:
        case "instance":
            return nn.InstanceNorm2d(channels)
        case "batch":
            return nn.BatchNorm2d(channels)
        case "batch-untracked":
            return nn.BatchNorm2d(channels, track_running_stats=False)
        case "none":
            return nn.Identity()
    raise ValueError(f"norm is `{norm}`, expected instance, batch or none")


def has_bias(norm):
    """Batch norm has a shift of its own, which makes a bias before it redundant."""
    return not norm.startswith("batch")


class ResnetBlock(nn.Module):
    """x + conv_block(x), with no activation after the sum."""

    def __init__(self, channels, norm, dropout):
        super().__init__()
        bias = has_bias(norm)
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
            nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    """Two halvings, residual blocks, two doublings; height and width divide by 4."""

    def __init__(
        self, width=64, blocks=9, norm="instance", dropout=False, downsample="stride", upsample="transpose", skip=False
    ):
        super().__init__()
        bias = has_bias(norm)
        first = "none" if skip else norm
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=has_bias(first))]
        layers += [norm_layer(first, width), nn.ReLU()]
        kept = []  # indices of the layers whose results are added
        for c in (width, 2 * width):
            kept.append(len(layers) - 1)
            stride = 1 if downsample == "blur" else 2
            layers += [nn.Conv2d(c, 2 * c, 3, stride, 1, bias=bias), norm_layer(norm, 2 * c), nn.ReLU()]
            layers += [BlurDown(2 * c)] if downsample == "blur" else []
        layers += [ResnetBlock(4 * width, norm, dropout) for _ in range(blocks)]
        self.skips = {}  # index of a layer: of the one whose result is added to its own
        for c in (2 * width, width):
            layers += [*upsampling(2 * c, c, bias, upsample), norm_layer(norm, c), nn.ReLU()]
            if skip:
                self.skips[len(layers) - 1] = kept.pop()
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        results = []
        for i, layer in enumerate(self.model):
            x = layer(x)
            if i in self.skips:
                x = x + results[self.skips[i]]
            results.append(x)
        return torch.tanh(x)


def binomial_filter(row, channels):
    """A row of Pascal's triangle times itself, adding up to 1, once for each channel."""
    row = torch.tensor(row)
    square = torch.outer(row, row)
    return (square / square.sum()).expand(channels, 1, *square.shape).clone()


class BlurDown(nn.Module):
    """Low-pass, then every second pixel."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("filt", binomial_filter([1.0, 2.0, 1.0], channels))

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), self.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Zeros between the pixels, then low-pass; the gain of 4 makes up for the zeros."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("filt", 4 * binomial_filter([1.0, 3.0, 3.0, 1.0], channels))

    def forward(self, x):
        height, width = x.shape[2:]
        padded = F.pad(x, (1, 1, 1, 1), "replicate")
        whole = F.conv_transpose2d(padded, self.filt, stride=2, groups=x.shape[1])
        # The first pixel of `x` begins at 2 without the border, and half of the filter lies before it.
        return whole[:, :, 3 : 3 + 2 * height, 3 : 3 + 2 * width]


def upsampling(c_in, c_out, bias, upsample, kernel=3):
    """The layers that double height and width; `kernel` is a transposed convolution's, 3 or 4."""
    match upsample:
        case "transpose":
            return [nn.ConvTranspose2d(c_in, c_out, kernel, 2, 1, output_padding=4 - kernel, bias=bias)]
        case "resize":
            conv = nn.Conv2d(c_in, c_out, 3, bias=bias)
            return [nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), conv)]
        case "blur":
            return [BlurUp(c_in), nn.Conv2d(c_in, c_out, 3, padding=1, bias=bias)]
    raise ValueError(f"upsample is `{upsample}`, expected transpose, resize or blur")


class UnetLevel(nn.Module):
    """Halves the size, runs the level below, doubles the size, and appends the result to the level's input.

    Whatever follows begins with a ReLU, so it is the same whether the input is appended before its own LeakyReLU
    (here) or after it (implementations that work in place).
    """

    def __init__(self, outer, inner, below, norm, dropout=False, upsample="transpose"):
        super().__init__()
        bias = has_bias(norm)
        down = [nn.LeakyReLU(SLOPE), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)]
        # What comes up from the level below is that level's input and output together.
        up = [nn.ReLU(), *upsampling(2 * inner if below else inner, outer, bias, upsample, kernel=4)]
        middle = [norm_layer(norm, inner), below] if below else []
        last = [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*down, *middle, *up, norm_layer(norm, outer), *last)

    def forward(self, x):
        return torch.cat([x, self.model(x)], 1)


class UnetOutermost(nn.Module):
    """The level that meets the images: no norm, no skip, tanh at the end."""

    def __init__(self, inner, below, norm, upsample):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(3, inner, 4, 2, 1, bias=has_bias(norm)),
            below,
            nn.ReLU(),
            *upsampling(2 * inner, 3, True, upsample, kernel=4),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.model(x)


class UnetGenerator(nn.Module):
    """`downs` ≥ 2 halvings; height and width divide by 2^downs. Dropout only between two levels of full width."""

    def __init__(self, downs=8, width=64, norm="batch", dropout=False, upsample="transpose"):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(downs)]
        level = None
        for i in reversed(range(1, downs)):
            full_width = 4 <= i < downs - 1
            level = UnetLevel(widths[i - 1], widths[i], level, norm, dropout and full_width, upsample)
        self.model = UnetOutermost(width, level, norm, upsample)

    def forward(self, x):
        return self.model(x)


class PatchDiscriminator(nn.Module):
    """One unbounded score for each patch; with 3 layers a patch is 70×70 pixels and 256² gives 30×30 scores."""

    def __init__(self, width=64, layers=3, norm="instance"):
        super().__init__()
        model = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        c = width
        for i in range(1, layers + 1):
            c_in, c, stride = c, width * min(2**i, 8), 1 if i == layers else 2
            model += [nn.Conv2d(c_in, c, 4, stride, 1, bias=has_bias(norm))]
            model += [norm_layer(norm, c), nn.LeakyReLU(SLOPE)]
        self.model = nn.Sequential(*model, nn.Conv2d(c, 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


class PixelDiscriminator(nn.Module):
    """One unbounded score for each pixel."""

    def __init__(self, width=64, norm="instance"):
        super().__init__()
        bias = has_bias(norm)
        self.net = nn.Sequential(
            nn.Conv2d(3, width, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 1, bias=bias),
            norm_layer(norm, 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, 1, bias=bias),
        )

    def forward(self, x):
        return self.net(x)


def is_conv(module):
    return isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))


@torch.no_grad()
def initialise(net):
    """Convolutions N(0, 0.02), batch-norm scales N(1, 0.02), biases 0."""
    for module in net.modules():
        if is_conv(module) or isinstance(module, nn.BatchNorm2d):
            module.weight.normal_(0.0 if is_conv(module) else 1.0, 0.02)
            if module.bias is not None:
                module.bias.zero_()
    return net


@torch.no_grad()
def randomise(net):
    """Weights that keep every layer's activations near unit size: no output is lost in rounding or in tanh."""
    for module in net.modules():
        if is_conv(module):
            fan_in = module.weight[0].numel()  # what one output sums up, whatever the groups
            if isinstance(module, nn.ConvTranspose2d):
                # Laid out [in, out, k, k]; each output pixel is reached by one tap in stride² of them.
                taps = module.weight[0, 0].numel() / module.stride[0] ** 2
                fan_in = module.in_channels * taps
            module.weight.normal_(0.0, (1.5 / fan_in) ** 0.5)
            if module.bias is not None:
                module.bias.normal_(0.0, 0.1)
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0.0, (1.5 / module.in_features) ** 0.5)
            if module.bias is not None:
                module.bias.normal_(0.0, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.normal_(1.0, 0.2)
            module.bias.normal_(0.0, 0.2)
            if module.track_running_stats:
                module.running_mean.normal_(0.0, 0.3)
                module.running_var.uniform_(0.5, 2.0)


def cancelled_biases(net):
    """Names of the biases whose effect an instance norm after them takes away: right after, or, where blocks add up,
    after all of them.

    Their gradient is zero but for rounding, which Adam blows up to full-sized steps; they agree between no two
    programs and change no output.
    """
    leaves = [(name, module) for name, module in net.named_modules() if not list(module.children())]
    before_norm = {
        f"{name}.bias"
        for (name, module), (_, after) in pairwise(leaves)
        if is_conv(module) and isinstance(after, nn.InstanceNorm2d)
    }
    return before_norm | set(getattr(net, "cancelled", ()))


class ImagePool:
    """A store of earlier fakes. `swap` and `slot` are its random choices, one pair for each image of a batch."""

    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes, swap, slot):
        """The images to show to the discriminator.

        Until the pool is full an image is stored and returned, whatever its choices. Then it goes in at `slot` and
        what was there comes back (`swap`), or it is returned and not stored.
        """
        out = []
        for fake, s, k in zip(fakes.detach(), swap, slot, strict=True):
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size > 0 and s:
                fake, self.images[k] = self.images[k], fake.clone()
            out.append(fake)
        return torch.stack(out)


def linear_decay(epoch, constant, decaying):
    """Factor of the learning rate in `epoch`, counted from 1: 1 for `constant` epochs, then down in equal steps."""
    return 1.0 - max(0, epoch - constant) / (decaying + 1)


def lsgan(scores, target):
    return F.mse_loss(scores, torch.full_like(scores, target))


class CycleGan:
    """The training step, one plain call at a time, in the order of the paper's code.

    `x_to_y` is judged by `dy`, the discriminator of space y; `y_to_x` by `dx`.
    """

    def __init__(self, x_to_y, y_to_x, dx, dy, *, cycle=10.0, identity=0.5, pool=50, lr=2e-4, betas=(0.5, 0.999)):
        self.x_to_y, self.y_to_x, self.dx, self.dy = x_to_y, y_to_x, dx, dy
        self.cycle, self.identity = cycle, identity
        self.pools = {"x": ImagePool(pool), "y": ImagePool(pool)}
        self.generators = torch.optim.Adam([*x_to_y.parameters(), *y_to_x.parameters()], lr, betas)
        self.discriminators = torch.optim.Adam([*dx.parameters(), *dy.parameters()], lr, betas)

    def set_lr(self, lr):
        for optimizer in (self.generators, self.discriminators):
            for group in optimizer.param_groups:
                group["lr"] = lr

    def freeze_discriminators(self, frozen):
        for d in (self.dx, self.dy):
            d.requires_grad_(not frozen)

    def step(self, x, y, choices):
        """One update of all four networks. `choices[space]` is (swap, slot) for that space's pool.

        Returns every loss term, before its weight.
        """
        fake_y, fake_x = self.x_to_y(x), self.y_to_x(y)
        rec_x, rec_y = self.y_to_x(fake_y), self.x_to_y(fake_x)

        self.freeze_discriminators(True)
        terms = {
            "identity.x_to_y": F.l1_loss(self.x_to_y(y), y),
            "identity.y_to_x": F.l1_loss(self.y_to_x(x), x),
            "adversarial.x_to_y": lsgan(self.dy(fake_y), 1.0),
            "adversarial.y_to_x": lsgan(self.dx(fake_x), 1.0),
            "cycle.x": F.l1_loss(rec_x, x),
            "cycle.y": F.l1_loss(rec_y, y),
        }
        weights = {"identity": self.cycle * self.identity, "adversarial": 1.0, "cycle": self.cycle}
        self.generators.zero_grad()
        sum(weights[name.split(".")[0]] * term for name, term in terms.items()).backward()
        self.generators.step()

        self.freeze_discriminators(False)
        self.discriminators.zero_grad()
        for space, d, real, fake in (("y", self.dy, y, fake_y), ("x", self.dx, x, fake_x)):
            pooled = self.pools[space].query(fake, *choices[space])
            loss = 0.5 * (lsgan(d(real), 1.0) + lsgan(d(pooled), 0.0))
            loss.backward()
            terms[f"discriminator.{space}"] = loss
        self.discriminators.step()
        return {name: term.detach() for name, term in terms.items()}

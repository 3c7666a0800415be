"""Writes what encoders of labels and captions compute, for the tests to compare with.

`record(FOLDER)` makes `FOLDER/encoders.json`, which lists the cases: name, how many labels or tokens there are, and the
encoder's settings. `FOLDER/encoder_<case>.npz` holds, float32 but for the condition:

- `w.<name>`: the weights
- `condition`: int64, labels `[batch]` or tokens `[batch, length]`; `y`: the vectors `[batch, width]`, those of captions
  normalised over the width, all divided by its root
- `gy`: a random cotangent of y; `g.<name>`: the gradients of sum(y·gy)
- `gg.<name>`: those of the sum of all squares of these gradients, which is how a gradient penalty differentiates.
  Weights that it does not depend on are left out
"""

import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence

# Every length from one word to the whole row, not in order.
LENGTHS = (4, 7, 1, 6, 2, 7, 3, 5)


class Gru(nn.Module):
    def __init__(self, entries, words, width):
        super().__init__()
        self.embedding = nn.Embedding(entries, words, padding_idx=0)
        self.gru = nn.GRU(words, width, batch_first=True)

    def forward(self, tokens):
        lengths = (tokens != 0).sum(1)
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        return self.gru(packed)[1][-1]


class Transformer(nn.TransformerEncoder):
    def __init__(self, entries, width, heads, layers, feed_forward):
        layer = nn.TransformerEncoderLayer(width, heads, feed_forward, 0.0, "relu", batch_first=True, norm_first=True)
        super().__init__(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.embedding = nn.Embedding(entries, width, padding_idx=0)

    def forward(self, tokens):
        length, width = tokens.shape[1], self.embedding.embedding_dim
        xs = self.embedding(tokens) + positions(length, width)
        ys = super().forward(xs, src_key_padding_mask=tokens == 0)
        # One row at a time, so that nothing here is a mask of ours.
        return torch.stack([y[: (row != 0).sum()].mean(0) for y, row in zip(ys, tokens)])


def positions(length, width):
    """sin(p / 10000^(2i/width)) at 2i and the cosine at 2i + 1, in double precision."""
    table = torch.zeros(length, width, dtype=torch.float64)
    for i in range(width):
        angles = torch.arange(length, dtype=torch.float64) / 10000 ** ((i - i % 2) / width)
        table[:, i] = angles.cos() if i % 2 else angles.sin()
    return table.float()


KINDS = {"label": nn.Embedding, "gru": Gru, "transformer": Transformer}


def transformer(width, heads, layers, feed_forward):
    return dict(kind="transformer", width=width, heads=heads, layers=layers, feed_forward=feed_forward)


# name: labels or tokens, settings
CASES = {
    "label": (5, dict(kind="label", width=6)),
    "gru": (11, dict(kind="gru", words=6, width=10)),
    "gru_default": (30, dict(kind="gru", words=64, width=128)),
    "transformer": (11, transformer(12, 3, 2, 20)),
    "transformer_odd": (11, transformer(5, 1, 1, 8)),
    "transformer_default": (30, transformer(128, 4, 2, 256)),
}


def conditions(kind, entries):
    if kind == "label":
        return torch.randint(entries, (len(LENGTHS),))
    tokens = torch.randint(1, entries, (len(LENGTHS), max(LENGTHS)))
    return tokens * (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None])


def compute(kind, entries, settings):
    """The arrays of one case."""
    settings = {("embedding_dim" if kind == "label" and key == "width" else key): v for key, v in settings.items()}
    net = KINDS[kind](entries, **settings)
    with torch.no_grad():
        # Biases begin at zero and norms at one, where a missing one would not show; so would layers that are equal.
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        if kind != "label":
            net.embedding.weight[0] = 0
    condition = conditions(kind, entries)
    y = net(condition)
    if kind != "label":
        y = F.layer_norm(y, (y.shape[1],))
    y = y / y.shape[1] ** 0.5
    gy = torch.randn_like(y)
    names, weights = zip(*net.named_parameters())
    first = torch.autograd.grad((y * gy).sum(), weights, create_graph=True)
    arrays = {f"w.{name}": p for name, p in zip(names, weights)} | {"condition": condition, "y": y, "gy": gy}
    arrays |= {f"g.{name}": g for name, g in zip(names, first)}
    if kind != "label":
        second = torch.autograd.grad(sum(g.square().sum() for g in first), weights, allow_unused=True)
        arrays |= {f"gg.{name}": g for name, g in zip(names, second) if g is not None}
    return {name: np.ascontiguousarray(a.detach().numpy()) for name, a in arrays.items()}


def record(folder):
    listed = []
    for seed, (name, (entries, net)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        settings = dict(net)
        # The other ways to compute attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            arrays = compute(settings.pop("kind"), entries, settings)
        np.savez(folder / f"encoder_{name}.npz", **arrays)
        listed.append({"case": name, "entries": entries, "net": net})
    (folder / "encoders.json").write_text(json.dumps(listed, indent=1))

"""Whether a conditional model draws what it is asked for, read from its pictures by a reader fitted to real images.

    asked.py words REAL MODEL   as many samples of every pair of eye and hair colour, 200 in all or some more; REAL is a
                                folder of portraits with the metadata.jsonl that `translate demo-data` writes
    asked.py digits REAL MODEL  500 samples, as many of each class; REAL has a folder for each class. What is right in all
                                of them may still be one picture a class, so their diversity is told too: the mean L2
                                distance of two samples of a class, as a share of that of two real images
    asked.py any REAL MODEL     500 samples of a model that knows no classes: which classes they are read as, and how
                                sure the reader is of that

A reader is a small convolutional network. That of words sees an attribute's pixels alone, those where the colours of
real portraits depend on the attribute most; the others are black to it. No reader sees a sample before it is fitted; how
often it is right on real images that it was not fitted to is printed first, as samples cannot be read better than that.
Real images are split in files of odd and even position.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

# Pixels that an attribute is read from, as a share of the picture.
SHARE = {"eye_color": 0.06, "hair_color": 0.25}


def load(files, size):
    """Images as `[count, size, size, 3]`, 0 to 1."""
    def one(file):
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BOX), np.float32) / 255

    return np.stack([one(file) for file in files])


def sample(program, model, count, option=None, asked=()):
    """`count` pictures of each thing asked for, as files in a folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(dir=SCRATCH.name)) / "drawn"
    command = [program, "sample", model, "-o", folder, "-n", count]
    command += [word for thing in asked for word in (option, thing)]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return sorted(folder.glob("*.png"))


def fit(net, images, labels, epochs, decay=0.0, vary=lambda images: images):
    """Trains a classifier; the same numbers every time."""
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * (-(-len(images) // 64)))
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(net(vary(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def read(net, images):
    """The probabilities of the classes, `[count, classes]`."""
    return net(images).softmax(1)


def dependence(images, labels):
    """For every pixel, the share of its colours' variance that the classes explain, `[size, size]`."""
    total = images.var(0).sum(-1) + 1e-6
    means = np.stack([images[labels == label].mean(0) for label in np.unique(labels)])
    weights = np.bincount(labels) / len(labels)
    return (((means - images.mean(0)) ** 2).sum(-1) * weights[:, None, None]).sum(0) / total


class Reader:
    """Reads classes from images, or from some of their pixels: a small convolutional network, fitted to real
    images that are varied as `vary` says."""

    def __init__(self, images, labels, vary, mask=None):
        def level(channels, to):
            return nn.Conv2d(channels, to, 3, padding=1), nn.BatchNorm2d(to), nn.ReLU(), nn.MaxPool2d(2)

        self.mask = mask
        classes = int(labels.max()) + 1
        self.net = nn.Sequential(
            *level(3, 16),
            *level(16, 32),
            *level(32, 64),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * (images.shape[1] // 8) ** 2, classes),
        )
        varied = lambda images: self.seen(vary(images))
        fit(self.net, torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels), 15, vary=varied)

    def seen(self, images):
        return images if self.mask is None else images * self.mask

    def probabilities(self, images):
        return read(self.net, self.seen(torch.from_numpy(images).permute(0, 3, 1, 2))).numpy()

    def __call__(self, images):
        return self.probabilities(images).argmax(1)


def noisy(images):
    """Noise of each image's own strength: a generator's colours are less even than a drawing's."""
    strength = 0.15 * torch.rand(len(images), 1, 1, 1)
    return (images + strength * torch.randn_like(images)).clamp(0, 1)


def shifted(images):
    return torch.roll(images, tuple(torch.randint(-2, 3, (2,)).tolist()), (2, 3))


def words(args):
    lines = [json.loads(line) for line in (args.real / "metadata.jsonl").read_text().splitlines()]
    images = load([args.real / line["file_name"] for line in lines], args.size)
    readers, names = {}, {}
    for attribute, share in SHARE.items():
        names[attribute] = sorted({line[attribute] for line in lines})
        labels = np.array([names[attribute].index(line[attribute]) for line in lines])
        found = dependence(images, labels)
        mask = torch.from_numpy(found >= np.quantile(found, 1 - share))
        readers[attribute] = Reader(images[::2], labels[::2], noisy, mask)
        right = (readers[attribute](images[1::2]) == labels[1::2]).mean()
        print(f"reader of {attribute}: right on {right:.1%} of {len(labels[1::2])} real portraits")
    if args.model is None:
        return
    pairs = [(eyes, hair) for eyes in names["eye_color"] for hair in names["hair_color"]]
    each = -(-args.count // len(pairs))
    texts = [f"{eyes} eyes, {hair} hair" for eyes, hair in pairs]
    files = sample(args.program, args.model, each, "--text", texts)
    asked = [(names["eye_color"].index(eyes), names["hair_color"].index(hair)) for eyes, hair in pairs for _ in range(each)]
    drawn, asked = load(files, args.size), np.array(asked)
    right = np.stack([readers[attribute](drawn) for attribute in SHARE], 1) == asked
    for i, attribute in enumerate(SHARE):
        print(f"{attribute}: as asked in {right[:, i].mean():.1%} of {len(drawn)} samples")
    print(f"both: as asked in {right.all(1).mean():.1%}")


def distance(images):
    """The mean L2 distance of two of the images."""
    return torch.nn.functional.pdist(torch.from_numpy(images).flatten(1)).mean().item()


def digits(args):
    names = sorted(folder.name for folder in args.real.iterdir() if folder.is_dir())
    files = [(file, label) for label, name in enumerate(names) for file in sorted((args.real / name).glob("*.png"))]
    images, labels = load([file for file, _ in files], 32), np.array([label for _, label in files])
    reader = Reader(images[::2], labels[::2], shifted)
    right = (reader(images[1::2]) == labels[1::2]).mean()
    print(f"reader of classes: right on {right:.1%} of {len(labels[1::2])} real images")
    if args.model is None:
        return
    if args.what == "any":
        found = reader.probabilities(load(sample(args.program, args.model, args.count), 32))
        counts = np.bincount(found.argmax(1), minlength=len(names))
        print("read as", ", ".join(f"{name}: {count}" for name, count in zip(names, counts)))
        sure, real = found.max(1).mean(), reader.probabilities(images[1::2]).max(1).mean()
        print(f"mean confidence of the reader: {sure:.1%}, {real:.1%} on real images")
        return
    each = args.count // len(names)
    drawn = load(sample(args.program, args.model, each, "--label", names), 32)
    right = (reader(drawn).reshape(-1, each) == np.arange(len(names))[:, None]).mean(1)
    drawn = drawn.reshape(-1, each, *drawn.shape[1:])
    diverse = [distance(drawn[label]) / distance(images[labels == label]) for label in range(len(names))]
    for name, share, diversity in zip(names, right, diverse):
        print(f"{name}: as asked in {share:.1%} of {each} samples, diversity {diversity:.2f}")
    print(f"all: as asked in {np.mean(right):.1%}, diversity {np.mean(diverse):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["words", "digits", "any"])
    parser.add_argument("real", type=Path, help="a folder of real images")
    parser.add_argument("model", type=Path, nargs="?", help="a run or a model file; without it the reader alone is measured")
    parser.add_argument("--program", default="target/release/translate", help="the program that draws")
    parser.add_argument("--count", type=int, help="samples in all")
    parser.add_argument("--size", type=int, default=32, help="side that portraits are read at, in pixels")
    args = parser.parse_args()
    args.count = args.count or {"words": 200}.get(args.what, 500)
    torch.manual_seed(0)
    SCRATCH = tempfile.TemporaryDirectory()
    (words if args.what == "words" else digits)(args)

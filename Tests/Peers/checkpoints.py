"""The fixtures, and what torch says is in them."""

import pathlib
import warnings

import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "torch"
NAMES = sorted(path.name for path in FOLDER.glob("*.pt"))

# Files that hold what torch's safe loader refuses, so that the way back changes it into its nearest plain form.
SUBSTITUTED = {"objects.pt", "protocol1.pt", "protocol3.pt", "protocol4.pt", "protocol5.pt"}


def load_original(path):
    return load(path, weights_only=False)


def load_safely(path, **options):
    return load(path, weights_only=True, **options)


def load(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, **options)


def tensors(tree, path=()):
    """(path, tensor) for every tensor of a tree, in its order. Keys and list positions are joined by dots."""
    if isinstance(tree, torch.Tensor):
        yield ".".join(path), tree
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from tensors(item, (*path, str(key)))
    elif isinstance(tree, (list, tuple)):
        for index, item in enumerate(tree):
            yield from tensors(item, (*path, str(index)))


def dtype_name(tensor):
    return str(tensor.dtype).removeprefix("torch.")

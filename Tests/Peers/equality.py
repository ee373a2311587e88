"""Judges whether two objects that torch loaded are the same tree, and says where they are not."""

import argparse
import datetime
import decimal
import enum
import pathlib
import struct
import types
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import torch

LONGEST_INT = 255 * 8  # bits; what torch's safe loader takes


def differences(expected, got):
    """Lines of the form `path: what differs`. An empty list means: same tree."""
    judge = Judge()
    judge.compare(expected, got, "root")
    judge.compare_ties()
    return judge.lines


def assert_same(expected, got):
    lines = differences(expected, got)
    more = [f"... and {len(lines) - 20} more"] if len(lines) > 20 else []
    assert not lines, "not the same tree:\n  " + "\n  ".join(lines[:20] + more)


class Judge:
    def __init__(self):
        self.lines = []
        self.ties = []

    def report(self, path, what):
        self.lines.append(f"{path}: {what}")

    def compare(self, expected, got, path):
        if isinstance(expected, AnyText):
            if type(got) is not str or not expected.matches(got):
                self.report(path, f"expected text {expected.meaning}, got {got!r}")
            return
        if type(expected) is not type(got):
            self.report(path, f"expected type {type(expected).__name__}, got {type(got).__name__} ({got!r:.80})")
            return
        if isinstance(expected, torch.Tensor):
            self.compare_tensors(expected, got, path)
        elif isinstance(expected, dict):
            self.compare_dicts(expected, got, path)
        elif isinstance(expected, (list, tuple)):
            self.compare_sequences(expected, got, path)
        elif isinstance(expected, (float, complex)):
            if float_bits(expected) != float_bits(got):
                self.report(path, f"expected {expected!r}, got {got!r}")
        elif expected != got:
            self.report(path, f"expected {expected!r:.80}, got {got!r:.80}")

    def compare_sequences(self, expected, got, path):
        if len(expected) != len(got):
            self.report(path, f"expected {len(expected)} items, got {len(got)}")
        for index, pair in enumerate(zip(expected, got)):
            self.compare(*pair, f"{path}[{index}]")

    def compare_dicts(self, expected, got, path):
        expected_keys, got_keys = typed_keys(expected), typed_keys(got)
        if expected_keys != got_keys:
            self.report(path, f"keys or their order differ: {first_difference(expected_keys, got_keys)}")
            return
        for key, other in zip(expected, got):
            self.compare(expected[key], got[other], f"{path}[{key!r:.40}]")
        self.compare_attributes(expected, got, path)

    def compare_attributes(self, expected, got, path):
        """A state dict's `_metadata`, a buffer's marks."""
        mine, other = getattr(expected, "__dict__", {}), getattr(got, "__dict__", {})
        if mine or other:
            self.compare(dict(mine), dict(other), f"{path}.__dict__")

    def compare_tensors(self, expected, got, path):
        for aspect in ("dtype", "shape", "layout", "requires_grad", "is_quantized"):
            mine, other = getattr(expected, aspect), getattr(got, aspect)
            if mine != other:
                self.report(path, f"{aspect}: expected {mine}, got {other}")
                return
        parts = tensor_parts(expected)
        for part, mine, other in zip(parts, parts.values(), tensor_parts(got).values()):
            if isinstance(mine, torch.Tensor):
                self.compare_bytes(mine, other, f"{path}.{part}")
            elif mine != other:
                self.report(f"{path}.{part}", f"expected {mine}, got {other}")
        self.compare_attributes(expected, got, path)
        if expected.layout == torch.strided and expected.numel():
            self.ties.append((path, place(expected), place(got)))

    def compare_bytes(self, expected, got, path):
        if expected.dtype != got.dtype or expected.shape != got.shape:
            self.report(path, f"expected {expected.dtype} {tuple(expected.shape)}, got {got.dtype} {tuple(got.shape)}")
            return
        mine, other = raw_bytes(expected), raw_bytes(got)
        if not torch.equal(mine, other):
            where = int((mine != other).nonzero()[0])
            self.report(path, f"bytes differ, first at {where} of {mine.numel()}: expected {mine[where]}, got {other[where]}")

    def compare_ties(self):
        """Tensors that are the same view of one storage must be so in both."""
        mine = groups((path, where) for path, where, _ in self.ties)
        other = groups((path, where) for path, _, where in self.ties)
        for tie in sorted(mine - other):
            self.report("ties", f"lost: {', '.join(tie)}")
        for tie in sorted(other - mine):
            self.report("ties", f"made up: {', '.join(tie)}")


def typed_keys(mapping):
    return [typed(key) for key in mapping]


def typed(key):
    """A key with its type, since 1 == True == 1.0, and -0.0 == 0.0."""
    if isinstance(key, tuple):
        return ("tuple", *map(typed, key))
    return (type(key).__name__, float_bits(key) if isinstance(key, float) else key)


def first_difference(mine, other):
    for index, (a, b) in enumerate(zip(mine, other)):
        if a != b:
            return f"at {index} expected {a!r:.80}, got {b!r:.80}"
    if len(mine) > len(other):
        return f"missing {mine[len(other)]!r:.80}"
    return f"unexpected {other[len(mine)]!r:.80}"


def float_bits(value):
    if isinstance(value, complex):
        return float_bits(value.real) + float_bits(value.imag)
    return struct.pack("<d", value)


def tensor_parts(tensor):
    """What a tensor is made of: plain tensors, and the scalars of a quantised one."""
    tensor = tensor.detach()
    if tensor.is_quantized:
        return quantised_parts(tensor)
    if tensor.layout == torch.sparse_coo:
        return {"indices": tensor._indices(), "values": tensor._values(), "is_coalesced": tensor.is_coalesced()}
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return {"crow": tensor.crow_indices(), "col": tensor.col_indices(), "values": tensor.values()}
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return {"ccol": tensor.ccol_indices(), "row": tensor.row_indices(), "values": tensor.values()}
    return {"data": tensor}


def quantised_parts(tensor):
    parts = {"qscheme": tensor.qscheme(), "storage": storage_bytes(tensor)}
    if tensor.qscheme() == torch.per_tensor_affine:
        return parts | {"scale": tensor.q_scale(), "zero_point": tensor.q_zero_point()}
    scales, zeros = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return parts | {"scales": scales, "zero_points": zeros, "axis": tensor.q_per_channel_axis()}


def storage_bytes(tensor):
    return torch.tensor(list(tensor.contiguous().untyped_storage()), dtype=torch.uint8)


def raw_bytes(tensor):
    """The logical bytes, row by row, whatever the strides and whatever conj and neg bits say."""
    tensor = tensor.resolve_conj().resolve_neg().contiguous()
    return as_uint8(tensor) if tensor.numel() else torch.empty(0, dtype=torch.uint8)


def as_uint8(tensor):
    start = tensor.storage_offset() * tensor.element_size()
    length = tensor.numel() * tensor.element_size()
    flat = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    return flat[start : start + length]


def place(tensor):
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.is_conj(), tensor.is_neg())


def groups(places):
    """The sets of paths that lie at one place, of two paths and more."""
    found = {}
    for path, where in places:
        found.setdefault(where, []).append(path)
    return {tuple(paths) for paths in found.values() if len(paths) > 1}


class AnyText:
    """Stands for a text of which the contract fixes the meaning and not the spelling."""

    def __init__(self, meaning, matches):
        self.meaning, self.matches = meaning, matches


def one_of(*texts):
    return AnyText(f"one of {texts}", lambda text: text in texts)


def plain(value):
    """What the safe loader shall give for `value`: itself, or the nearest plain form the contract names."""
    for kinds, convert in SUBSTITUTIONS:
        if isinstance(value, kinds):
            return convert(value)
    if isinstance(value, dict):
        return plain_dict(value)
    if isinstance(value, (list, set)):
        return type(value)(plain(item) for item in value)
    if isinstance(value, tuple) and not isinstance(value, torch.Size):
        return tuple(plain(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() >= LONGEST_INT:
        return str(value)
    if type(value).__module__ == "fixture_objects":
        return plain(value.__dict__)
    return value


def plain_dict(value):
    kind = type(value) if type(value) in (OrderedDict, Counter) else dict
    result = kind()
    for key, item in value.items():
        result[plain(key)] = plain(item)
    if kind is OrderedDict:
        result.__dict__.update(value.__dict__)
    return result


def plain_array(value):
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))


SUBSTITUTIONS = [
    (np.ndarray, plain_array),
    (np.generic, lambda value: value.item()),
    ((argparse.Namespace, types.SimpleNamespace), lambda value: plain(vars(value))),
    (frozenset, lambda value: {plain(item) for item in value}),
    (defaultdict, plain_dict),
    (pathlib.PurePath, lambda value: str(value)),
    ((datetime.datetime, datetime.date), lambda value: one_of(str(value), value.isoformat())),
    (datetime.timedelta, lambda value: AnyText("of a timedelta", bool)),
    (decimal.Decimal, str),
    (enum.Enum, lambda value: AnyText(f"that names {value.value!r}", lambda text: str(value.value) in text)),
]

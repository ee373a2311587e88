"""The judge itself, tried on torch alone."""

import copy
import math
from collections import OrderedDict

import pytest
import torch
from checkpoints import FOLDER, NAMES, SUBSTITUTED, load_original, load_safely
from equality import assert_same, differences, plain


@pytest.mark.parametrize("name", sorted(set(NAMES) - SUBSTITUTED))
def test_a_file_equals_itself(name):
    assert_same(load_original(FOLDER / name), load_original(FOLDER / name))


@pytest.mark.parametrize("name", NAMES)
def test_plain_form_survives_torch(name, tmp_path):
    """What we ask the command for can be had: torch saves it and its safe loader takes it."""
    expected = plain(load_original(FOLDER / name))
    if name in SUBSTITUTED:
        expected = without_open_texts(expected)
    torch.save(without_empty_bytes(expected), tmp_path / "saved.pt")
    assert_same(without_empty_bytes(expected), load_safely(tmp_path / "saved.pt"))


@pytest.mark.parametrize("name", sorted(set(NAMES) - SUBSTITUTED))
def test_plain_leaves_plain_alone(name):
    assert_same(load_original(FOLDER / name), plain(load_original(FOLDER / name)))


def without_open_texts(tree):
    return {key: item for key, item in tree.items() if type(item).__name__ != "AnyText"}


def without_empty_bytes(tree):
    """torch.save writes b"" in a form that its own safe loader refuses."""
    if type(tree) is dict:
        return {key: without_empty_bytes(item) for key, item in tree.items()}
    if type(tree) is list:
        return [without_empty_bytes(item) for item in tree if item != b"" or type(item) is not bytes]
    return None if type(tree) is bytes and tree == b"" else tree


def tied():
    weight = torch.ones(2)
    return {"a": weight, "b": weight.view(2)}


UNEQUAL = {
    "int and bool": (1, True),
    "int and float": (1, 1.0),
    "int and bool keys": ({1: 0}, {True: 0}),
    "key order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "list and tuple": ([1], (1,)),
    "dict and OrderedDict": ({}, OrderedDict()),
    "zero and minus zero": (0.0, -0.0),
    "nan and number": (math.nan, 0.0),
    "shape": (torch.ones(1), torch.ones(())),
    "dtype": (torch.ones(1), torch.ones(1).double()),
    "tensor minus zero": (torch.zeros(1), -torch.zeros(1)),
    "requires_grad": (torch.ones(1), torch.ones(1).requires_grad_()),
    "parameter": (torch.ones(1, requires_grad=True), torch.nn.Parameter(torch.ones(1))),
    "lost tie": (tied(), {"a": torch.ones(2), "b": torch.ones(2)}),
    "made-up tie": ({"a": torch.ones(2), "b": torch.ones(2)}, tied()),
    "sparse values": (torch.eye(2).to_sparse(), (2 * torch.eye(2)).to_sparse()),
    "sparse layout": (torch.eye(2).to_sparse_csr(), torch.eye(2).to_sparse_csc()),
    "shorter list": ([1, 2], [1]),
    "extra key": ({"a": 1}, {"a": 1, "b": 2}),
    "unicode form": ("\u00e9", "e\u0301"),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_differences_are_seen(case):
    expected, got = UNEQUAL[case]
    assert len(differences([expected], [got])) == 1


def test_metadata_is_compared():
    expected = torch.nn.BatchNorm1d(2).state_dict()
    got = copy.deepcopy(expected)
    assert_same(expected, got)
    got._metadata[""]["version"] = 3
    assert differences(expected, got) == ["root.__dict__['_metadata']['']['version']: expected 2, got 3"]
    del got._metadata
    assert len(differences(expected, got)) == 1


def test_nan_payloads_are_compared():
    quiet, other = (torch.tensor([bits], dtype=torch.int32).view(torch.float32) for bits in (0x7FC00000, 0x7FC00001))
    assert_same(quiet, quiet.clone())
    assert differences(quiet, other) == ["root.data: bytes differ, first at 0 of 4: expected 0, got 1"]


def test_views_are_compared_by_value():
    base = torch.arange(6.0).view(2, 3)
    assert_same(base.T, base.T.contiguous())
    assert_same(torch._neg_view(base), -base)

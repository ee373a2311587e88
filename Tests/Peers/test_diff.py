"""`diff`: equal or not, what differs, and by how much."""

import copy

import pytest
import torch
from checkpoints import NAMES, load_safely


@pytest.fixture(scope="module")
def checkpoint(journey):
    return load_safely(journey("sgd_momentum.pt").pt)


@pytest.fixture
def changed(ckpt, checkpoint, journey, tmp_path):
    """changed(edit, options...): the diff between the fixture and a copy of it that `edit` changed."""

    def diff(edit, *options, code=1):
        other = copy.deepcopy(checkpoint)
        other = edit(other) or other
        torch.save(other, tmp_path / "changed.pt")
        return ckpt.json("diff", journey("sgd_momentum.pt").h5, tmp_path / "changed.pt", *options, code=code)

    return diff


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_equals_its_conversion(ckpt, journey, name):
    trip = journey(name)
    report = ckpt.json("diff", trip.pt, trip.h5)
    assert report == {"schema": "ckpt.diff/1", "equal": True, "only_in_a": [], "only_in_b": [], "changed": []}


@pytest.mark.parametrize("pair", [("pt", "pt"), ("h5", "h5"), ("h5", "back")])
def test_equal(ckpt, journey, pair):
    trip = journey("transformer_adamw.pt")
    ckpt.succeed("diff", *(getattr(trip, which) for which in pair))


def test_value(changed):
    def edit(other):
        other["model"]["fc1.weight"][2, 3] += 0.5

    report = changed(edit)
    assert not report["equal"]
    (change,) = report["changed"]
    assert (change["path"], change["what"], change["differing"]) == ("model.fc1.weight", "value", 1)
    assert change["max_abs"] == pytest.approx(0.5)


def test_dtype_and_shape(changed):
    def edit(other):
        other["model"]["fc1.weight"] = other["model"]["fc1.weight"].double()
        other["model"]["fc2.bias"] = other["model"]["fc2.bias"].view(1, 3)

    assert {change["path"]: change["what"] for change in changed(edit)["changed"]} == {"model.fc1.weight": "dtype", "model.fc2.bias": "shape"}


def test_missing_and_new(changed):
    def edit(other):
        del other["model"]["fc1.bias"]
        other["model"]["fc3.bias"] = torch.ones(2)
        other["note"] = "new"

    report = changed(edit)
    assert report["only_in_a"] == ["model.fc1.bias"]
    assert sorted(report["only_in_b"]) == ["model.fc3.bias", "note"]


def test_group_value(changed):
    def edit(other):
        other["optimizer"]["param_groups"][0]["lr"] = 0.25

    (change,) = changed(edit)["changed"]
    assert change["path"] == "optimizer.param_groups.0.lr"
    assert (change["what"], change["a"], change["b"]) == ("value", 0.05, 0.25)


def test_type(changed):
    def edit(other):
        other["optimizer"]["param_groups"][0]["maximize"] = 0

    (change,) = changed(edit)["changed"]
    assert (change["path"], change["what"]) == ("optimizer.param_groups.0.maximize", "type")


def test_order(changed):
    def edit(other):
        other["model"] = type(other["model"])(reversed(other["model"].items()))

    assert "order" in {change["what"] for change in changed(edit)["changed"]}


def test_moment(changed):
    def edit(other):
        other["optimizer"]["state"][0]["momentum_buffer"].mul_(2)

    (change,) = changed(edit)["changed"]
    assert change["path"] == "optimizer.state.0.momentum_buffer"
    assert change["max_rel"] > 0


def nudged(other):
    other["model"]["fc1.weight"].mul_(1 + 1e-5)


def test_tolerances(changed):
    assert not changed(nudged)["equal"]
    assert changed(nudged, "--rtol", "1e-3", code=0)["equal"]
    assert changed(nudged, "--atol", "1e-3", code=0)["equal"]
    assert not changed(nudged, "--rtol", "1e-9")["equal"]


def test_ignore(changed):
    assert changed(nudged, "--ignore", "model.fc1.*", code=0)["equal"]


def test_human_view_names_the_path(ckpt, journey, tmp_path, checkpoint):
    other = copy.deepcopy(checkpoint)
    nudged(other)
    torch.save(other, tmp_path / "b.pt")
    result = ckpt.expect(1, "diff", journey("sgd_momentum.pt").h5, tmp_path / "b.pt")
    assert "fc1.weight" in result.out


def test_stored_digest_is_not_believed(ckpt, journey, tmp_path):
    """The bytes differ, the digests in the file do not say so."""
    trip = journey("state_dict.pt")
    weight = load_safely(trip.pt)["conv2.weight"].numpy().tobytes()
    data = bytearray(trip.h5.read_bytes())
    data[data.index(weight)] ^= 1
    (tmp_path / "flipped.h5").write_bytes(data)
    assert ckpt.run("diff", trip.h5, tmp_path / "flipped.h5").code in (1, 65)
    ckpt.succeed("diff", trip.h5, tmp_path / "flipped.h5", "--trust-digests")


def test_nan_equals_itself(ckpt, tmp_path):
    for name in ("a.pt", "b.pt"):
        torch.save({"t": torch.tensor([float("nan"), 1.0]), "v": float("nan")}, tmp_path / name)
    ckpt.succeed("diff", tmp_path / "a.pt", tmp_path / "b.pt")

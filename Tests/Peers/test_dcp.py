"""Distributed checkpoints: torch's own engine loads what the command writes, on 1, 2 and 4 processes, and goes on."""

import subprocess
import sys

import dcp_jobs
import pytest
import torch
import torch.distributed.checkpoint as dcp
from checkpoints import load_safely
from conftest import FIXTURES
from equality import assert_same
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

FOLDERS = sorted(path for path in (FIXTURES / "dcp").iterdir() if path.name != "expected")
# torch saves them, and cannot load them itself.
ONLY_SAVED = {"quantised", "safetensors_distcp"}
SINGLE = [path for path in FOLDERS if (path / ".metadata").is_file() and path.name not in ONLY_SAVED]


def job(world, task, *folders):
    done = subprocess.run(
        [sys.executable, dcp_jobs.__file__, str(world), task, *map(str, folders)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dcp")
    job(4, "save", folder)
    return folder


def texts(value):
    """As torch gives a distributed checkpoint back: every key a text, no empty dict."""
    if isinstance(value, dict):
        return {str(key): texts(item) for key, item in value.items() if item != {} or not isinstance(item, dict)}
    return [texts(item) for item in value] if isinstance(value, list) else value


def gathered(folder, tmp_path):
    dcp_to_torch_save(folder, tmp_path / "whole.pt")
    return torch.load(tmp_path / "whole.pt", weights_only=False)


def unordered(value):
    """Dicts in the order of their keys: torch's order depends on which rank saved what."""
    if isinstance(value, dict):
        return {key: unordered(value[key]) for key in sorted(value)}
    return [unordered(item) for item in value] if isinstance(value, list) else value


def test_both_forms_of_a_sharded_run_are_its_whole_state(ckpt, saved, tmp_path):
    want = load_safely(saved / "whole.pt")
    ckpt.succeed("convert", saved / "both", tmp_path / "a.pt")
    ckpt.succeed("convert", saved / "model", saved / "optimizer", tmp_path / "b.pt")
    ckpt.succeed("convert", saved / "flat", tmp_path / "c.pt")
    both = load_safely(tmp_path / "a.pt")
    assert both.pop("epoch") == 3 and both.pop("losses") == [0.5, 0.25]
    assert_same(unordered(want), unordered(both))
    assert_same(unordered(want), unordered(load_safely(tmp_path / "b.pt")))
    # The flat form keeps no groups; parameters with the same options make one.
    flat = load_safely(tmp_path / "c.pt")
    for group in flat["optimizer"]["param_groups"]:
        group["params"].sort()
    for group in want["optimizer"]["param_groups"]:
        group["params"].sort()
    assert_same(unordered(want), unordered(flat))


def test_a_run_goes_through_hdf5_and_on_with_any_number_of_ranks(ckpt, saved, tmp_path):
    """dcp -> h5 -> dcp, and .pt -> dcp: loaded whole, and the next step is that of the run itself."""
    h5 = tmp_path / "a.h5"
    ckpt.succeed("convert", saved / "both", h5)
    ckpt.succeed("verify", h5)
    ckpt.succeed("convert", h5, tmp_path / "dcp", "--to", "dcp", "--shards", "3")
    ckpt.succeed("convert", saved / "flat", tmp_path / "flat", "--to", "dcp", "--optimizer-keys", "flat")
    # As a run on one machine has it: parameters by number.
    model, optimizer = dcp_jobs.make(1, sharded=False)
    for number in range(2):
        dcp_jobs.step(model, optimizer, number)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "one.pt")
    ckpt.succeed("convert", tmp_path / "one.pt", tmp_path / "one", "--to", "dcp", "--shards", "4")
    dcp_jobs.step(model, optimizer, 2)
    folders = [tmp_path / name for name in ("dcp", "flat", "one")]
    for world in (2, 4):
        job(world, "load", *folders)
        for folder in folders[:2]:
            for name in ("whole", "next"):
                assert_same(load_safely(saved / f"{name}.pt"), load_safely(f"{folder}.{name}.pt"))
        # One process alone adds its gradients up in another order.
        last = load_safely(f"{folders[2]}.next.pt")["model"]
        for name, tensor in model.state_dict().items():
            assert torch.allclose(last[name], tensor, rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("folder", SINGLE, ids=lambda path: path.name)
def test_torch_gathers_the_same_from_what_is_written(ckpt, folder, tmp_path):
    keys = "ids" if folder.name in ("ids", "no_state") else "names"
    for shards in (1, 4):
        out = tmp_path / f"out{shards}"
        ckpt.succeed("convert", folder, out, "--to", "dcp", "--shards", shards, "--optimizer-keys", keys)
        ckpt.succeed("verify", out)
        assert ckpt.json("diff", folder, out)["equal"]
        ckpt.succeed("convert", out, tmp_path / f"{shards}.pt")
        again = load_safely(tmp_path / f"{shards}.pt")
        assert_same(unordered(texts(again)), unordered(texts(gathered(out, tmp_path))))
        if folder.name != "flat_optimizer":
            assert_same(unordered(gathered(folder, tmp_path)), unordered(texts(again)))


def test_one_process_loads_by_number(ckpt, tmp_path):
    model, optimizer = dcp_jobs.make(1, sharded=False)
    dcp_jobs.step(model, optimizer, 0)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 4}, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "d", "--to", "dcp", "--optimizer-keys", "ids")
    other, resumed = dcp_jobs.make(2, sharded=False)
    dcp_jobs.step(other, resumed, 5)
    state = {"model": other.state_dict(), "optimizer": resumed.state_dict(), "epoch": 0}
    dcp.load(state, checkpoint_id=tmp_path / "d", no_dist=True)
    other.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    assert state["epoch"] == 4
    for pair in ((model, optimizer), (other, resumed)):
        dcp_jobs.step(*pair, 1)
    assert_same(model.state_dict(), other.state_dict())
    assert_same(optimizer.state_dict(), resumed.state_dict())


def test_the_flat_form_is_torchs_own(ckpt, tmp_path):
    """An optimizer that knows its parameters' names keeps them in each parameter's options."""
    model, _ = dcp_jobs.make(1, sharded=False)
    optimizer = torch.optim.AdamW(model.named_parameters(), lr=0.1)
    dcp_jobs.step(model, optimizer, 0)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "d", "--to", "dcp", "--optimizer-keys", "flat")
    other, _ = dcp_jobs.make(2, sharded=False)
    resumed = torch.optim.AdamW(other.named_parameters(), lr=0.2)
    state = dcp_jobs.state_of(other, resumed, dcp_jobs.FLAT)
    dcp.load(state, checkpoint_id=tmp_path / "d", no_dist=True)
    dcp_jobs.set_state_dict(
        other, resumed, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=dcp_jobs.FLAT)  # fmt: skip
    for pair in ((model, optimizer), (other, resumed)):
        dcp_jobs.step(*pair, 1)
    assert_same(model.state_dict(), other.state_dict())
    # And back: one group, which has the names.
    ckpt.succeed("convert", tmp_path / "d", tmp_path / "b.pt")
    groups = load_safely(tmp_path / "b.pt")["optimizer"]["param_groups"]
    assert [group["param_names"] for group in groups] == [group["params"] for group in groups]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_command_takes_a_folder(ckpt, folder, tmp_path):
    h5 = tmp_path / "a.h5"
    kind = "dcp-safetensors" if folder.name.startswith("safetensors") and folder.name not in ONLY_SAVED else "dcp"
    report = ckpt.json("inspect", folder)
    assert report["format"] == kind
    assert report["bytes"] > 0
    checked = ckpt.json("verify", folder)
    assert checked["ok"] and len(checked["files"][0]["checked"]) >= 2
    ckpt.succeed("convert", folder, h5)
    assert ckpt.json("diff", folder, h5)["equal"]
    listed = ckpt.json("inspect", h5)
    for key in ("tensors", "values"):
        assert [row["path"] for row in report[key]] == [row["path"] for row in listed[key]]


def test_damage_has_its_exit_codes(ckpt, tmp_path):
    folder = tmp_path / "d"
    ckpt.succeed("convert", FIXTURES / "dcp" / "fsdp2", folder, "--to", "dcp", "--shards", "2")
    (folder / ".metadata").rename(folder / "away")
    assert "was not finished" in ckpt.expect(65, "convert", folder, tmp_path / "a.h5").err
    assert "was not finished" in ckpt.expect(1, "verify", folder).out
    (folder / "away").rename(folder / ".metadata")
    (folder / "__0_0.distcp").unlink()
    assert "__0_0.distcp" in ckpt.expect(65, "convert", folder, tmp_path / "a.h5").err
    assert "__0_0.distcp" in ckpt.expect(1, "verify", folder).out
    assert not (tmp_path / "a.h5").exists()
    ckpt.expect(64, "convert", FIXTURES / "dcp" / "fsdp2", tmp_path / "e", "--to", "dcp", "--shards", "0")
    assert ckpt.expect(73, "convert", FIXTURES / "dcp" / "fsdp2", folder, "--to", "dcp")

"""Files older than PyTorch's zip archives: streams, tar archives, plain pickles. What real torch and pickle find counts."""

import io
import os
import pickle
import subprocess
import sys
import tarfile

import make_legacy_fixtures
import numpy as np
import pytest
import torch
from checkpoints import load_safely
from conftest import FIXTURES
from equality import assert_same, plain

FOLDERS = [FIXTURES / "legacy", *sorted(FIXTURES.glob("torch-[0-9]*"))]
FILES = [path for folder in FOLDERS for path in sorted(folder.iterdir()) if path.suffix in (".pt", ".pkl")]
# Python cannot read these itself, or has not got the package; the Swift tests know what is in them.
UNREADABLE = {"big_endian_counts.pt", "joblib.pkl"}
READABLE = [path for path in FILES if path.name not in UNREADABLE and "module" not in path.name]
MODULES = [path for path in FILES if "module" in path.name]


def label(path):
    return f"{path.parent.name}/{path.name}"


def kind(path):
    if path.name.startswith("tar"):
        return "torch-tar"
    if path.suffix == ".pkl":
        return "pickle"
    return "torch-legacy" if path.parent.name == "legacy" or "legacy" in path.name else "torch-zip"


@pytest.mark.parametrize("path", READABLE, ids=label)
def test_same_tree_after_conversion(ckpt, path, tmp_path):
    h5, back = tmp_path / "a.h5", tmp_path / "a.pt"
    ckpt.succeed("convert", path, h5)
    ckpt.succeed("convert", h5, back)
    assert_same(plain(make_legacy_fixtures.load(path)), load_safely(back))


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_command_takes_it(ckpt, path, tmp_path):
    h5 = tmp_path / "a.h5"
    assert ckpt.json("inspect", path)["format"] == kind(path)
    report = ckpt.json("verify", path)
    assert report["ok"] and len(report["files"][0]["checked"]) >= 2
    ckpt.succeed("convert", path, h5)
    assert ckpt.json("diff", path, h5)["equal"]
    ckpt.succeed("verify", h5)


@pytest.mark.parametrize("path", READABLE, ids=label)
def test_both_containers_list_the_same(ckpt, path, tmp_path):
    ckpt.succeed("convert", path, tmp_path / "a.h5")
    old, new = (ckpt.json("inspect", file) for file in (path, tmp_path / "a.h5"))
    for key in ("tensors", "values"):
        assert [row["path"] for row in old[key]] == [row["path"] for row in new[key]]


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 3}, {"pickle_protocol": 5}])
def test_optimizer_resumes_from_a_legacy_file(ckpt, tmp_path, options):
    """The next step after the conversion is that of the run itself."""
    torch.manual_seed(1)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    step(model, optimizer)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=False, **options)
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "b.pt")
    loaded = load_safely(tmp_path / "b.pt")
    other = torch.nn.Linear(4, 3)
    other.load_state_dict(loaded["model"])
    resumed = torch.optim.Adam(other.parameters(), lr=0.1)
    resumed.load_state_dict(loaded["optimizer"])
    step(model, optimizer)
    step(other, resumed)
    assert torch.equal(model.weight, other.weight) and torch.equal(model.bias, other.bias)


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(2, 4)).pow(2).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_tensors_and_arrays(ckpt, tmp_path, protocol):
    value = {
        "w": torch.randn(3, 4), "t": torch.randn(4, 3).t(), "n": np.random.rand(3, 2), "f": np.asfortranarray(np.random.rand(3, 2)),
        "nested": {1: [torch.tensor(2), (None, "x")]}, "s": np.float64(0.5),
    }  # fmt: skip
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
    ckpt.succeed("convert", tmp_path / "a.pkl", tmp_path / "b.pt")
    assert_same(plain(value), load_safely(tmp_path / "b.pt"))


def test_damage_is_damage(ckpt, tmp_path):
    """A known kind, cut off or changed in its structure: `verify` says 1, `convert` 65 and leaves nothing."""
    for name in ("checkpoint.pt", "tar_gnu.pt", "plain_protocol4.pkl"):
        data = (FIXTURES / "legacy" / name).read_bytes().rstrip(b"\0")
        damaged = tmp_path / name
        damaged.write_bytes(data[: len(data) * 2 // 3])
        report = ckpt.json("verify", damaged, code=1)
        assert report["files"][0]["problems"]
        result = ckpt.run("convert", damaged, tmp_path / "out.h5")
        assert result.code == 65 and name in result.err, result
        assert not (tmp_path / "out.h5").exists()


def test_other_files_are_named(ckpt, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("readme.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    for name, data, words in [("a.pt", buffer.getvalue(), "tar archive"), ("b.pt", b"x = 1\ny = 2\n", "no format known"), ("c.pkl", b"x\x9c\xed\xfd", "zlib")]:
        (tmp_path / name).write_bytes(data)
        result = ckpt.run("inspect", tmp_path / name)
        assert result.code == 65 and words in result.err, result


def test_nothing_is_called(ckpt, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch EXECUTED",)

    torch.save({"w": torch.ones(1), "evil": Evil()}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps([Evil()]))
    (tmp_path / "c.pkl").write_bytes(pickle.dumps([Evil()], 0))
    for name in ("a.pt", "b.pkl", "c.pkl"):
        result = ckpt.run("convert", tmp_path / name, tmp_path / "out.h5", cwd=tmp_path)
        assert result.code == 65 and "runs code" in result.err, result
    assert not (tmp_path / "EXECUTED").exists()


def test_large_files_take_little_memory(ckpt, tmp_path):
    """The bytes are never copied: 300 MB in each kind, far less in memory of its own."""
    big = torch.zeros(75_000_000)
    torch.save({"w": big}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with open(tmp_path / "b.pkl", "wb") as file:
        pickle.dump({"w": big, "n": big.numpy()[:1000]}, file)
    for name in ("a.pt", "b.pkl"):
        out = tmp_path / (name + ".h5")
        assert private_megabytes([ckpt.path, "convert", "--quiet", tmp_path / name, out]) < 100
        os.remove(out)


def private_megabytes(command):
    """The peak of a command's anonymous memory, as a launcher sees it."""
    script = (
        "import re,subprocess,sys\np=subprocess.Popen(sys.argv[1:])\nm=0\n"
        "while p.poll() is None:\n"
        "  t=open(f'/proc/{p.pid}/status').read()\n  f=re.search(r'RssAnon:\\s*(\\d+)',t)\n  m=max(m,int(f[1]) if f else 0)\n"
        "print(m//1024)\nsys.exit(p.returncode)"
    )
    done = subprocess.run([sys.executable, "-SE", "-c", script, *map(str, command)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)

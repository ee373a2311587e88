"""What the system may do to the command: it never ends by a signal, and never takes one name for another."""

import os
import resource
import subprocess
import time

import pytest
import torch
from conftest import FIXTURES

SOURCE = FIXTURES / "torch" / "state_dict.pt"


def test_a_limit_on_file_sizes_is_an_error(ckpt, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    for out in ("out.h5", "out.pt"):
        result = ckpt.run("convert", SOURCE, out, cwd=tmp_path, preexec_fn=limit)
        assert result.code == 74, result
        assert result.err.startswith("ckpt: error: out"), result
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_utf8_is_refused_and_not_changed(ckpt, tmp_path):
    for arguments in ([b"inspect", b"\xff.pt"], [b"convert", os.fsencode(SOURCE), b"o\xff.h5"]):
        done = subprocess.run([ckpt.path, *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == 64
        assert b"not UTF-8" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["pt", "h5"])
def test_an_input_that_becomes_shorter_is_an_error(ckpt, tmp_path, kind):
    source = tmp_path / f"in.{kind}"
    torch.save({str(i): torch.rand(1 << 20) for i in range(16)}, tmp_path / "in.pt")
    if kind == "h5":
        ckpt.succeed("convert", tmp_path / "in.pt", source)
    # The file is cut at whatever moment; none may end in a signal.
    for delay in (0, 0.005, 0.01, 0.02):
        copy = tmp_path / f"copy.{kind}"
        copy.write_bytes(source.read_bytes())
        process = subprocess.Popen([ckpt.path, "verify", copy], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay)
        os.truncate(copy, 100_000)
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1, 65, 74), (process.returncode, err)

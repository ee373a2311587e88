"""SIGTERM and SIGINT end a run in order; a second one ends it at once, and leaves nothing half done."""

import json
import random
import re
import shlex
import signal
import time

import numpy as np
import pytest
from conftest import FIXTURES
from train_runs import CASES, config, digest, start, step_file, steps_of, wait_until

EXAMPLES = FIXTURES / "examples"
FOREVER = 2_000_000


def is_logged(folder):
    file = folder / "metrics.csv"
    return lambda: file.exists() and file.read_bytes().count(b"\n") > 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(ckpt, tmp_path, number):
    data, _ = CASES["mlp"].data(tmp_path)
    path = config("mlp", tmp_path, data, steps=FOREVER, log_every=50, checkpoint={"every": FOREVER})
    process = start(ckpt, path)
    wait_until(is_logged(tmp_path / "run"), process)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    [step] = steps_of(tmp_path / "run")
    ckpt.succeed("verify", step_file(tmp_path / "run", step))
    words = shlex.split(re.search(r"Go on with: ckpt (.*)", out)[1])
    ckpt.succeed(*words, "--steps", step + 5, "--set", f"steps={step + 5}", "--quiet")

    # Nobody can tell from the result that there was a signal.
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--set", f"steps={step + 5}", "--quiet")
    assert digest(step_file(tmp_path / "run", step + 5)) == digest(step_file(tmp_path / "whole", step + 5))


def test_a_signal_while_a_run_is_made_ready_loses_nothing(ckpt, tmp_path):
    """The moment when its folder is there and no step is done yet."""
    data, _ = CASES["mlp"].data(tmp_path)
    path = config("mlp", tmp_path, data, steps=FOREVER, checkpoint={"every": FOREVER}, ema=0.9)
    process = start(ckpt, path)
    wait_until((tmp_path / "run/run.yaml").exists, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    end = steps_of(tmp_path / "run")[0] + 3
    ckpt.succeed("train", "--resume", tmp_path / "run", "--set", f"steps={end}", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--set", f"steps={end}", "--quiet")
    assert digest(step_file(tmp_path / "run", end)) == digest(step_file(tmp_path / "whole", end))


def test_a_checkpoint_every_so_many_minutes(ckpt, tmp_path):
    data, _ = CASES["mlp"].data(tmp_path)
    process = start(ckpt, config("mlp", tmp_path, data, steps=FOREVER, checkpoint={"minutes": 0.002, "keep": 2}))
    seen = set()
    wait_until(lambda: seen.update(steps_of(tmp_path / "run")) or len(seen) > 3, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(steps_of(tmp_path / "run")) == 2 and min(steps_of(tmp_path / "run")) > min(seen)


def test_a_second_signal_ends_it_at_once_and_leaves_no_half_file(ckpt, tmp_path):
    """The model has so many weights that its save is still under way when the second signal comes."""
    width = 3072
    np.savez(tmp_path / "data.npz", x=np.ones((4, width), np.float32), y=np.zeros((4, 8), np.float32))
    settings = {
        "model": {"sequential": [{"linear": {"in": width, "out": width}}, {"linear": {"in": width, "out": 8}}]},
        "loss": "mse", "steps": FOREVER, "log_every": 1, "out": "run", "optimizer": {"adam": {}},
        "data": {"train": {"file": "data.npz", "inputs": "x", "targets": "y"}, "batch": 1}}
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(settings))
    folder = tmp_path / "run"
    process = start(ckpt, path)
    wait_until(is_logged(folder), process)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: list(folder.glob(".step-*ckpt-tmp*")), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert steps_of(folder) == []
    result = ckpt.succeed("train", "--resume", folder, "--steps", 2)
    assert "from the beginning" in result.err, result
    assert steps_of(folder) == [2]
    ckpt.succeed("verify", step_file(folder, 2))
    step_file(folder, 2).unlink()  # pytest would keep its 200 MB for days


def test_signals_change_no_bit(ckpt, tmp_path):
    """Twenty-five signals at random moments, in the middle of a matrix product's generated code too."""
    words = [EXAMPLES / "digits-mlp.yaml", "--set", "epochs=500", "--set", "checkpoint.every=3000", "--quiet", "--out"]
    ckpt.succeed("train", *words, tmp_path / "whole")
    chance = random.Random(7)
    folder = tmp_path / "run"
    for _ in range(25):
        begun = (folder / "run.yaml").exists() and steps_of(folder)
        process = start(ckpt, *(["--resume", folder, "--quiet"] if begun else [*words, folder, "--overwrite"]))
        time.sleep(chance.uniform(0.05, 0.25))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGTERM), errors
    ckpt.succeed("train", "--resume", folder, "--quiet")
    assert digest(step_file(folder, 11500)) == digest(step_file(tmp_path / "whole", 11500))

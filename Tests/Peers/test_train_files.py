"""The files of a run: which stay, and what happens when they cannot be written."""

import resource
import shutil
import signal

import h5py
import pytest
from train_runs import CASES, column, config, digest, step_file, steps_of


def make(folder, name="mlp", **settings):
    """A run that is validated, where it is at all, on the data that it learns from."""
    data, _ = CASES[name].data(folder)
    return config(name, folder, data, validation=data if "evaluate" in settings else None, **settings)


@pytest.mark.parametrize("policy,kept", [
    ({"every": 10}, [10, 20, 30, 40, 50, 60, 65]),
    ({"every": 10, "keep": 2}, [60, 65]),
    ({"every": 10, "keep": 1, "async": False}, [65]),
    ({"every": 10, "keep": 2, "keep_every": 30}, [30, 60, 65]),
    ({"every": 10, "keep": 3, "keep_every": 20, "async": False}, [20, 40, 50, 60, 65]),
])
def test_what_is_kept(ckpt, tmp_path, policy, kept):
    ckpt.succeed("train", make(tmp_path, steps=65, checkpoint=policy), "--quiet")
    assert steps_of(tmp_path / "run") == kept
    ckpt.succeed("verify", *(step_file(tmp_path / "run", step) for step in kept))


def test_the_best_is_kept_and_is_the_best(ckpt, tmp_path):
    """With a rate that is far too high after step 30, so that the best is not the last."""
    schedule = {"multistep": {"milestones": [30], "gamma": 300}}
    path = make(
        tmp_path, steps=60, evaluate={"every": 10}, schedule=schedule, checkpoint={"every": 60, "keep_best": "val_loss"})
    result = ckpt.json("train", path)
    validation = column(tmp_path / "run", "val_loss")
    step = 10 * (1 + validation.index(min(validation)))
    assert step < 60 and result["best"] == {"val_loss": min(validation), "step": step}
    with h5py.File(tmp_path / "run/best.h5") as file:
        best = file.attrs["content_digest"]
    ckpt.succeed("train", path, "--out", tmp_path / "short", "--steps", step, "--quiet")
    assert best == digest(step_file(tmp_path / "short", step)), "it is the whole run as it was then"
    assert steps_of(tmp_path / "run") == [60]


def test_the_best_is_there_before_a_checkpoint_that_speaks_of_it(ckpt, tmp_path):
    """A run that is killed between the two loses no best: it goes on from the step before."""
    path = make(tmp_path, steps=40, evaluate={"every": 20}, checkpoint={"every": 20, "keep_best": "val_loss"})
    assert ckpt.json("train", path)["best"]["step"] == 40
    best, last = tmp_path / "run/best.h5", step_file(tmp_path / "run", 40)
    assert best.stat().st_mtime_ns < last.stat().st_mtime_ns
    assert digest(best) == digest(last)


def test_a_best_that_cannot_be_written_costs_no_checkpoint(ckpt, tmp_path):
    path = make(tmp_path, steps=40, evaluate={"every": 20}, checkpoint={"every": 20, "keep_best": "val_loss"})
    ckpt.succeed("train", path, "--steps", 1, "--quiet")
    (tmp_path / "run/best.h5").mkdir()
    result = ckpt.expect(73, "train", "--resume", tmp_path / "run")
    assert result.err.count("best.h5, of step") == 2, result
    assert steps_of(tmp_path / "run") == [1, 20, 40]


def limit_files(size):
    """For a process that has no room for a file of more bytes: its writes fail, as they do on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return limit


def test_a_full_disk_does_not_end_the_run_nor_cost_an_old_file(ckpt, tmp_path):
    path = make(tmp_path, steps=100, checkpoint={"every": 20, "keep": 1})
    ckpt.succeed("train", path, "--steps", 40, "--quiet")
    old = step_file(tmp_path / "run", 40).read_bytes()
    result = ckpt.expect(74, "train", "--resume", tmp_path / "run", preexec_fn=limit_files(20_000))
    for step in (60, 80, 100):
        assert f"the checkpoint of step {step} was not written" in result.err, result
    assert step_file(tmp_path / "run", 40).read_bytes() == old
    assert steps_of(tmp_path / "run") == [40] and not list((tmp_path / "run").glob(".*"))
    # Room again: the run goes on as if nothing had been.
    ckpt.succeed("train", "--resume", tmp_path / "run", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--quiet")
    assert digest(step_file(tmp_path / "run", 100)) == digest(step_file(tmp_path / "whole", 100))
    assert column(tmp_path / "run", "step") == [float(step) for step in range(1, 101)]


def test_a_checkpoint_that_fails_is_tried_again_at_the_next(ckpt, tmp_path):
    """A folder has the name of the first, and no file can replace it."""
    path = make(tmp_path, steps=60, checkpoint={"every": 20})
    ckpt.succeed("train", path, "--steps", 1, "--out", tmp_path / "other", "--quiet")
    (tmp_path / "other/step-00000020.h5").mkdir()
    result = ckpt.succeed("train", "--resume", tmp_path / "other/step-00000001.h5", "--quiet")
    warnings = [line for line in result.err.splitlines() if "later step" not in line]
    assert len(warnings) == 1 and "the checkpoint of step 20 was not written" in warnings[0], result
    assert steps_of(tmp_path / "other") == [1, 20, 40, 60]
    ckpt.succeed("verify", step_file(tmp_path / "other", 40), step_file(tmp_path / "other", 60))


def test_a_folder_that_holds_a_run_is_not_written_into(ckpt, tmp_path):
    path = make(tmp_path, steps=4)
    ckpt.succeed("train", path, "--quiet")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    result = ckpt.expect(73, "train", path)
    assert "--resume" in result.err and "--overwrite" in result.err, result
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
    (tmp_path / "run/notes.txt").write_text("mine")
    ckpt.succeed("train", path, "--overwrite", "--steps", 2, "--quiet")
    assert steps_of(tmp_path / "run") == [2]
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("more", [{}, {"clip_grad_norm": 1e30}, {"accumulate": 2, "checkpoint": {"every": 1, "async": False}}])
def test_a_run_that_diverges_stops_and_is_never_gone_on_with(ckpt, tmp_path, more):
    settings = {"optimizer": {"sgd": {"lr": 10.0}}, "checkpoint": {"every": 1, "keep": 2}} | more
    result = ckpt.expect(1, "train", make(tmp_path, "linear", steps=500, **settings))
    [failed] = (tmp_path / "run").glob("failed-step-*.h5")
    assert failed.name in result.err and ("the loss is" in result.err or "norm is" in result.err), result
    ckpt.succeed("verify", failed)
    last = steps_of(tmp_path / "run")[-1]
    assert int(failed.stem.removeprefix("failed-step-")) == last + 1
    again = ckpt.expect(1, "train", "--resume", tmp_path / "run")
    assert f"going on from {step_file(tmp_path / 'run', last)}" in again.err, again
    assert column(tmp_path / "run", "step") == [float(step) for step in range(1, last + 1)]


def test_weights_that_are_no_numbers_are_no_checkpoint(ckpt, tmp_path):
    """The loss tells only at the next step; until then such weights must not push out the sound ones."""
    path = make(tmp_path, "linear", steps=5, optimizer={"sgd": {"lr": 1e-3}}, checkpoint={"every": 1, "keep": 1})
    ckpt.succeed("train", path, "--steps", 2, "--quiet")
    for words in ([], ["--steps", 3]):
        result = ckpt.expect(1, "train", "--resume", tmp_path / "run", "--set", "optimizer.sgd.lr=3e38", *words)
        assert "no numbers" in result.err and "failed-step-00000003.h5" in result.err, result
        assert steps_of(tmp_path / "run") == [2]
    ckpt.succeed("train", "--resume", tmp_path / "run", "--quiet")
    ckpt.succeed("verify", "--finite", step_file(tmp_path / "run", 5))


def test_going_back_to_an_older_step_is_told_of_the_newer_ones(ckpt, tmp_path):
    path = make(tmp_path, steps=30, checkpoint={"every": 10})
    ckpt.succeed("train", path, "--quiet")
    older = step_file(tmp_path / "run", 10)
    assert "warning" not in ckpt.succeed("train", "--resume", older, "--out", tmp_path / "other").err
    assert "warning" not in ckpt.succeed("train", "--resume", tmp_path / "run").err
    result = ckpt.succeed("train", "--resume", older, "--steps", 12)
    assert result.err.count("warning") == 1 and step_file(tmp_path / "run", 30).name in result.err, result
    assert steps_of(tmp_path / "run") == [10, 12, 20, 30], "none is lost"
    assert column(tmp_path / "run", "step") == list(range(1, 13)), "the rows of the other life are gone"


def test_a_metrics_file_that_was_lost_is_made_again(ckpt, tmp_path):
    path = make(tmp_path, steps=30, log_every=7)
    ckpt.succeed("train", path, "--steps", 20, "--quiet")
    (tmp_path / "run/metrics.csv").unlink()
    ckpt.succeed("train", "--resume", tmp_path / "run", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--quiet")
    assert column(tmp_path / "run", "step") == [1, 7, 14, 21, 28, 30]
    for name in ("epoch", "loss", "lr", "grad_norm"):
        assert column(tmp_path / "run", name) == column(tmp_path / "whole", name), name


def test_without_a_usable_checkpoint_the_run_begins_anew_and_says_so(ckpt, tmp_path):
    path = make(tmp_path, steps=6, checkpoint={"every": 3})
    ckpt.succeed("train", path, "--quiet")
    expected = digest(step_file(tmp_path / "run", 6))
    for step in (3, 6):
        step_file(tmp_path / "run", step).write_bytes(b"nothing")
    result = ckpt.succeed("train", "--resume", tmp_path / "run")
    assert "starting from the beginning" in result.err and result.err.count("passed over") == 2, result
    assert digest(step_file(tmp_path / "run", 6)) == expected
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").mkdir()
    ckpt.expect(66, "train", "--resume", tmp_path / "run")
    ckpt.expect(66, "train", "--resume", tmp_path / "nowhere")

"""Keras 3 on its torch backend: what `ckpt` writes it loads and trains on, and PyTorch's modules compute what its layers do."""

import json
import pathlib

import numpy as np
import pytest
import torch
from make_keras_fixtures import keras, small, text, tiny  # sets Keras' backend

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "keras"
MODELS = {"small": small, "amsgrad": lambda: small(amsgrad=True), "text": text, "bfloat16": lambda: tiny(dtype="bfloat16")}
TOLERANCE = 1e-5


def data(name, seed=1):
    numbers = np.random.default_rng(seed)
    if name == "text":
        return numbers.integers(0, 11, (8, 7)), numbers.standard_normal((8, 1)).astype("float32")
    shapes = ((4, 2), (4, 3)) if name == "bfloat16" else ((8, 6, 6, 2), (8, 2))
    return tuple(numbers.standard_normal(shape).astype("float32") for shape in shapes)


def stored(model):
    """All variables but the seeds of dropout layers, which Keras itself does not store with weights."""
    return [variable for variable in model.variables + model.optimizer.variables if "seed_generator" not in variable.path]


def values(model):
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in stored(model)]


def clear(model):
    for variable in stored(model):
        variable.assign(keras.ops.zeros_like(variable))


def same(a, b):
    return len(a) == len(b) and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b))


def torch_layout(ckpt, source, target):
    result = ckpt.json("convert", source, target, "--layout", "torch")
    return torch.load(target, weights_only=True), result["warnings"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_and_optimizer_come_back_and_train_on(ckpt, tmp_path, name, suffix):
    model = MODELS[name]()
    source, between, back = tmp_path / f"model{suffix}", tmp_path / "model.h5", tmp_path / "back.weights.h5"
    model.save(source) if suffix == ".keras" else model.save_weights(source)
    ckpt.succeed("convert", source, between)
    ckpt.succeed("convert", between, back)
    other = MODELS[name]()
    clear(other)
    other.load_weights(back)
    assert same(values(model), values(other))
    x, y = data(name)
    for each in (model, other):
        keras.utils.set_random_seed(9)  # of the dropout
        each.fit(x, y, epochs=2, batch_size=len(x), verbose=0, shuffle=False)
    assert same(values(model), values(other))


def test_shards_and_archives_become_one_file(ckpt, tmp_path):
    for source in ("shards/tiny.weights.json", "small.keras"):
        target = tmp_path / (pathlib.Path(source).name.split(".")[0] + ".weights.h5")
        ckpt.succeed("convert", FIXTURES / source, target)
        model = tiny() if "tiny" in source else small(amsgrad=True)
        before = values(model)
        clear(model)
        model.load_weights(target)
        assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(before, values(model)))


class Small(torch.nn.Module):
    """The layers of `small`, with Keras' order of dimensions where it flattens."""

    def __init__(self):
        super().__init__()
        self.conv2d = torch.nn.Conv2d(2, 3, (3, 2))
        self.batch_normalization = torch.nn.BatchNorm2d(3, eps=1e-3)
        self.depthwise_conv2d = torch.nn.Conv2d(3, 3, 2, groups=3)
        self.dense = torch.nn.Linear(36, 5)
        self.layer_normalization = torch.nn.LayerNorm(5, eps=1e-3)
        self.dense_1 = torch.nn.Linear(5, 2)

    def forward(self, x):
        x = self.batch_normalization(torch.relu(self.conv2d(x.permute(0, 3, 1, 2))))
        x = self.depthwise_conv2d(x).permute(0, 2, 3, 1).flatten(1)
        return self.dense_1(self.layer_normalization(self.dense(x)))


class Text(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 4)
        self.lstm = torch.nn.LSTM(4, 3, batch_first=True)
        self.gru = torch.nn.GRU(3, 2, batch_first=True)
        self.dense = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.dense(self.gru(self.lstm(self.embedding(x))[0])[0][:, -1])


@pytest.mark.parametrize("name, module", [("small", Small), ("amsgrad", Small), ("text", Text)])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_torch_computes_what_keras_does(ckpt, tmp_path, name, module, suffix):
    model = MODELS[name]()
    source = tmp_path / f"model{suffix}"
    model.save_weights(source) if suffix == ".weights.h5" else model.save(source)
    checkpoint, warnings = torch_layout(ckpt, source, tmp_path / "model.pt")
    network = module()
    names = {"first": "conv2d"} if suffix == ".h5" else {}
    state = {".".join([names.get(key.split(".")[0], key.split(".")[0]), *key.split(".")[1:]]): x for key, x in checkpoint["model"].items()}
    network.load_state_dict(state)
    network.eval()
    x, _ = data(name)
    with torch.no_grad():
        found = network(torch.from_numpy(x))
    assert np.allclose(found.numpy(), model.predict(x, verbose=0), atol=TOLERANCE)
    assert any("epsilon is not PyTorch's" in line for line in warnings)
    check_optimizer(model, network, checkpoint["optimizer"], name == "amsgrad")


def check_optimizer(model, network, state, amsgrad):
    """torch's own optimizer takes the state, and one step of it is what Keras' is, but for the epsilon."""
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=amsgrad)
    optimizer.load_state_dict(state)
    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.01) and group["amsgrad"] == amsgrad
    for parameter in network.parameters():
        kept = optimizer.state[parameter]
        assert kept["step"] == 2 and kept["exp_avg"].shape == parameter.shape
        assert ("max_exp_avg_sq" in kept) == amsgrad
    # The moments are those of Keras' variables, each transposed as its variable.
    moments = {v.path.split("/")[-1]: keras.ops.convert_to_numpy(v) for v in model.optimizer.variables}
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][0]
    stem = dense.kernel.path.replace("/", "_")
    weight = optimizer.state[network.dense.weight]
    assert np.array_equal(weight["exp_avg"].numpy(), moments[f"{stem}_momentum"].T)
    assert np.array_equal(weight["exp_avg_sq"].numpy(), moments[f"{stem}_velocity"].T)


def test_a_bidirectional_layer_has_both_halves(ckpt, tmp_path):
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True))])
    for suffix in (".keras", ".weights.h5"):
        source = tmp_path / f"model{suffix}"
        model.save_weights(source) if suffix == ".weights.h5" else model.save(source)
        checkpoint, _ = torch_layout(ckpt, source, tmp_path / f"model{suffix}.pt")
        network = torch.nn.GRU(3, 2, batch_first=True, bidirectional=True)
        state = {key.split(".", 1)[1]: value for key, value in checkpoint["model"].items()}
        assert list(state) == list(network.state_dict())
        network.load_state_dict(state)
        x = np.random.default_rng(2).standard_normal((4, 5, 3)).astype("float32")
        with torch.no_grad():
            found = network(torch.from_numpy(x))[0].numpy()
        assert np.allclose(found, model.predict(x, verbose=0), atol=TOLERANCE)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_parameters_are_numbered_in_the_models_order(ckpt, tmp_path, suffix):
    keras.utils.clear_session()
    model = interleaved()
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    numbers = np.random.default_rng(6)
    for variable in model.variables + model.optimizer.variables[2:]:
        variable.assign(numbers.standard_normal(variable.shape))
    path = tmp_path / f"model{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    checkpoint, _ = torch_layout(ckpt, path, tmp_path / "model.pt")
    moments = [v for v in model.optimizer.variables if v.path.endswith("_momentum")]
    state = checkpoint["optimizer"]["state"]
    assert len(state) == len(moments) == 90 * 6
    for number, moment in enumerate(moments):
        assert np.array_equal(state[number]["exp_avg"].numpy(), np.asarray(moment).T), number


@pytest.mark.parametrize(
    "layer, shape, module",
    [
        (lambda: keras.layers.Conv1D(4, 3), (9, 2), lambda: torch.nn.Conv1d(2, 4, 3)),
        (lambda: keras.layers.Conv3D(2, 2), (4, 4, 4, 3), lambda: torch.nn.Conv3d(3, 2, 2)),
        (lambda: keras.layers.Conv2D(4, 2, groups=2), (5, 5, 4), lambda: torch.nn.Conv2d(4, 4, 2, groups=2)),
        (lambda: keras.layers.Conv2DTranspose(3, 3), (4, 4, 2), lambda: torch.nn.ConvTranspose2d(2, 3, 3)),
        (lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 3), lambda: torch.nn.Conv2d(3, 6, 2, groups=3)),
    ],
)
def test_convolutions_of_every_kind(ckpt, tmp_path, layer, shape, module):
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input(shape), layer()])
    model.save_weights(tmp_path / "a.weights.h5")
    checkpoint, _ = torch_layout(ckpt, tmp_path / "a.weights.h5", tmp_path / "a.pt")
    network = module()
    network.load_state_dict({key.split(".", 1)[1]: value for key, value in checkpoint["model"].items()})
    x = np.random.default_rng(3).standard_normal((2, *shape)).astype("float32")
    with torch.no_grad():
        found = network(torch.from_numpy(x).movedim(-1, 1)).movedim(1, -1).numpy()
    assert np.allclose(found, model.predict(x, verbose=0), atol=TOLERANCE)


def test_what_torch_does_not_have_stays_under_keras(ckpt, tmp_path):
    keras.utils.clear_session()
    inputs = keras.Input((4, 6))
    outputs = keras.layers.Dense(2)(keras.layers.MultiHeadAttention(2, 3)(inputs, inputs))
    model = keras.Model(inputs, outputs)
    model.save_weights(tmp_path / "a.weights.h5")
    checkpoint, warnings = torch_layout(ckpt, tmp_path / "a.weights.h5", tmp_path / "a.pt")
    assert set(checkpoint["model"]) == {"dense.weight", "dense.bias"}
    kept = checkpoint["keras"]["layers"]["multi_head_attention"]["query_dense"]["vars"]["0"]
    assert np.array_equal(kept.numpy(), model.layers[1].query_dense.kernel.numpy())
    assert any("layers.multi_head_attention.query_dense.vars.0" in line for line in warnings)


def keras_layout(ckpt, source, target):
    return ckpt.json("convert", source, target, "--layout", "keras")["warnings"]


@pytest.mark.parametrize("name, module", [("amsgrad", Small), ("text", Text)])
def test_keras_computes_and_trains_as_torch_does(ckpt, tmp_path, name, module):
    """A torch model after some steps of Adam becomes a Keras model that goes on as torch does."""
    torch.manual_seed(1)
    network = module()
    if name == "text":
        # Both biases of an LSTM move in torch, and Keras has one: they are compared before the next step alone.
        network.lstm.bias_hh_l0.requires_grad_(False).zero_()
    epsilon = 1e-12  # that of the two frameworks differs in the first steps
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, eps=epsilon, amsgrad=name == "amsgrad")
    x, y = data(name)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()

    for _ in range(3):
        step()
    torch.save({"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, tmp_path / "a.pt")
    warnings = keras_layout(ckpt, tmp_path / "a.pt", tmp_path / "a.weights.h5")
    assert any("epoch" in line for line in warnings) and any("learning_rate=0.01" in line for line in warnings)

    keras.utils.clear_session()
    model = keras.Sequential(keras_layers(name))
    model.compile(keras.optimizers.Adam(0.5, epsilon=epsilon, amsgrad=name == "amsgrad"), "mse")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(tmp_path / "a.weights.h5")
    assert int(model.optimizer.iterations) == 3 and float(model.optimizer.learning_rate) == pytest.approx(0.01)
    network.eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    assert np.allclose(model.predict(x, verbose=0), expected, atol=TOLERANCE)
    network.train()
    step()
    model.fit(x, y, epochs=1, batch_size=len(x), verbose=0, shuffle=False)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][0]
    assert np.allclose(keras.ops.convert_to_numpy(dense.kernel).T, network.dense.weight.detach().numpy(), atol=TOLERANCE)
    if name == "amsgrad":
        kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
        assert np.allclose(kernel.transpose(3, 2, 0, 1), network.conv2d.weight.detach().numpy(), atol=TOLERANCE)


def keras_layers(name):
    layers = keras.layers
    if name == "text":
        return [keras.Input((7,)), layers.Embedding(11, 4), layers.LSTM(3, return_sequences=True), layers.GRU(2), layers.Dense(1)]
    return [
        keras.Input((6, 6, 2)), layers.Conv2D(3, (3, 2), activation="relu"), layers.BatchNormalization(momentum=0.9),
        layers.DepthwiseConv2D(2), layers.Flatten(), layers.Dense(5), layers.LayerNormalization(), layers.Dense(2),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["amsgrad", "text"])
def test_torchs_form_becomes_keras_again(ckpt, tmp_path, name):
    model = MODELS[name]()
    model.save_weights(tmp_path / "a.weights.h5")
    torch_layout(ckpt, tmp_path / "a.weights.h5", tmp_path / "a.pt")
    keras_layout(ckpt, tmp_path / "a.pt", tmp_path / "b.weights.h5")
    other = MODELS[name]()
    clear(other)
    other.load_weights(tmp_path / "b.weights.h5")
    assert same(values(model), values(other))


def test_other_trees_are_found_by_name_in_h5py(ckpt, tmp_path):
    import h5py

    weight, state = torch.randn(3, 2), {"fc.weight": torch.randn(3, 2), "fc.bias": torch.randn(3, dtype=torch.bfloat16)}
    torch.save({"model": state, "extra": {"w": weight}, "epoch": 7}, tmp_path / "a.pt")
    result = ckpt.json("convert", tmp_path / "a.pt", tmp_path / "a.weights.h5")
    assert any("none of Keras" in line for line in result["warnings"])
    with h5py.File(tmp_path / "a.weights.h5") as file:
        assert np.array_equal(file["fc/weight"], state["fc.weight"].numpy())
        assert file["fc/bias"].attrs["dtype"] == "bfloat16"
        assert json.loads(bytes(file["ckpt.training"]))["version"] == 1
    ckpt.succeed("convert", tmp_path / "a.weights.h5", tmp_path / "b.pt")
    back = torch.load(tmp_path / "b.pt", weights_only=True)
    assert back["epoch"] == 7 and torch.equal(back["extra"]["w"], weight)
    assert torch.equal(back["model"]["fc.bias"], state["fc.bias"])


def test_a_choice_of_parameters_takes_their_optimizer_state_along(ckpt, tmp_path):
    source = FIXTURES / "small.keras"
    ckpt.succeed("convert", source, tmp_path / "a.h5", "--include", "layers.dense_1.vars.0")
    listed = ckpt.json("inspect", tmp_path / "a.h5")["tensors"]

    paths = [tensor["path"] for tensor in listed]
    assert "layers.dense_1.vars.0" in paths
    assert [path for path in paths if path.startswith("layers.")] == ["layers.dense_1.vars.0"]
    slots = [tensor for tensor in listed if tensor["path"].startswith("optimizer.") and tensor["shape"]]
    assert len(slots) == 3 and all(tensor["shape"] == [5, 2] for tensor in slots)
    ckpt.succeed("convert", source, tmp_path / "b.h5", "--exclude", "layers.dense_1.vars.0")
    rest = ckpt.json("inspect", tmp_path / "b.h5")["tensors"]
    assert not any(tensor["shape"] == [5, 2] for tensor in rest)
    assert len(rest) == len(ckpt.json("inspect", source)["tensors"]) - 4


class Twins(keras.Model):
    """Attributes in an order that is not the alphabet's: a file tells nothing of it."""

    def __init__(self, units):
        super().__init__()
        self.second = keras.layers.Dense(units[0])
        self.first = keras.layers.Dense(units[1])

    def call(self, x):
        return self.first(self.second(x))


def branches():
    layers, inputs = keras.layers, keras.Input((4, 6))
    nested = keras.Sequential([keras.Input((4, 6)), layers.Dense(5), layers.BatchNormalization(), layers.Dense(6)])
    a = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(nested(inputs))
    b = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    frozen = layers.Dense(6, trainable=False)(b)
    return keras.Model(inputs, layers.Dense(1)(layers.LayerNormalization()(layers.Add()([a, frozen]))))


def interleaved():
    layers = []
    for _ in range(90):
        layers += [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.LayerNormalization()]
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize(
    "make, shape, suffix, is_told",
    [
        (lambda: Twins((3, 2)), (4,), ".weights.h5", True),
        (lambda: Twins((4, 4)), (4,), ".weights.h5", False),
        (branches, (4, 6), ".keras", True),
        (branches, (4, 6), ".h5", True),
        (interleaved, (4,), ".keras", True),
        (interleaved, (4,), ".weights.h5", True),
    ],
)
def test_the_optimizers_tensors_are_told_rightly_or_not_at_all(ckpt, tmp_path, make, shape, suffix, is_told):
    keras.utils.clear_session()
    keras.utils.set_random_seed(2)
    model = make()
    model.build((None, *shape)) if not model.built else None
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    numbers = np.random.default_rng(4)
    for variable in model.variables + model.optimizer.variables[2:]:
        variable.assign(numbers.standard_normal(variable.shape))
    path = tmp_path / f"model{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    ckpt.succeed("convert", path, tmp_path / "plain.npz")
    arrays = {name: array for name, array in np.load(tmp_path / "plain.npz").items() if array.dtype == np.float32}
    by_bytes = {array.tobytes(): name for name, array in arrays.items()}
    names = {v.path.replace("/", "_"): by_bytes[np.asarray(v).tobytes()] for v in model.trainable_variables}
    slots = {}
    for variable in model.optimizer.variables[2:]:
        stem, slot = variable.path.split("/")[-1].rsplit("_", 1)
        slots[by_bytes[np.asarray(variable).tobytes()]] = (names[stem], {"momentum": "exp_avg", "velocity": "exp_avg_sq"}[slot])
    told = {t["path"]: (t["name"], t["slot"]) for t in ckpt.json("inspect", path)["tensors"] if "slot" in t}
    assert told == (slots if is_told else {})

"""torch's side of train.py: a process that says `ready`, then reads numbers of steps, a line each, takes so many and says how many
seconds that took; at the end of its input it tells its peak memory, in MiB. The same models as in ckpt-train-bench.

train_peers.py linear|mlp|cnn|gpt|optimizer THREADS default|fused
train_peers.py copy THREADS               a "step" copies 256 MiB in memory
"""

import math
import os
import resource
import sys
import time

NAME, THREADS = sys.argv[1], int(sys.argv[2])
FUSED = sys.argv[3:] == ["fused"]
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torch.set_num_threads(THREADS)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"c_attn": nn.Linear(width, 3 * width), "c_proj": nn.Linear(width, width)})
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x):
        b, t, c = x.shape
        parts = self.attn["c_attn"](self.ln_1(x)).split(c, dim=2)
        q, k, v = (part.view(b, t, self.heads, c // self.heads).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn["c_proj"](y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, layers, heads, width, context, vocab):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocab, width),
            "wpe": nn.Embedding(context, width),
            "h": nn.ModuleList(Block(width, heads) for _ in range(layers)),
            "ln_f": nn.LayerNorm(width),
        })
        self.lm_head = nn.Linear(width, vocab, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0, 0.02 / math.sqrt(2 * layers) if name.endswith("c_proj.weight") else 0.02)

    def forward(self, tokens):
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](torch.arange(tokens.size(1)))
        for block in self.transformer["h"]:
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


def linear():
    x, y = torch.randn(64, 10), torch.randn(64, 1)
    return nn.Linear(10, 1), x, lambda out: F.mse_loss(out, y), 200


def mlp():
    x, y = torch.randn(128, 784), torch.randint(0, 10, (128,))
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return model, x, lambda out: F.cross_entropy(out, y), 10


def cnn():
    x, y = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )
    return model, x, lambda out: F.cross_entropy(out, y), 3


def gpt():
    x, y = torch.randint(0, 65, (12, 256)), torch.randint(0, 65, (12, 256))
    return GPT(6, 6, 384, 256, 65), x, lambda out: F.cross_entropy(out.view(-1, 65), y.view(-1)), 2


def whole_steps(make):
    model, x, loss, warmup = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **({"fused": True} if FUSED else {}))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(model(x)).backward()
        optimizer.step()

    return step, warmup


def optimizer_alone():
    model = GPT(8, 8, 512, 256, 65)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **({"fused": True} if FUSED else {}))
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    return optimizer.step, 3


def copying():
    source = torch.ones(64 << 20)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source), 2


def main():
    torch.manual_seed(1)
    special = {"optimizer": optimizer_alone, "copy": copying}
    step, warmup = special[NAME]() if NAME in special else whole_steps({"linear": linear, "mlp": mlp, "cnn": cnn, "gpt": gpt}[NAME])
    for _ in range(warmup):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


main()

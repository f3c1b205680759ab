#!/usr/bin/python3
"""Make the golden files: numbers that gradus must reproduce, from an implementation that is not gradus.

    python3 tests/goldens/make_goldens.py [DIRECTORY]        (default: the folder of this script)

writes transformer, lstm_1, lstm_2, rnn, ops, pairs_transformer and pairs_lstm .safetensors. Made with PyTorch 1.13 (Debian 12's python3-torch; the GELU
and schedule tables with plain python) on the CPU, in float64, one thread. Two runs on one machine give the same bytes;
another processor may change last bits, far below every tolerance in README.md. No test needs python: the files are kept.
One long file, so that one command makes them all.

Inputs (weights, logits, gradients fed to an optimiser) are random doubles rounded to the nearest float, so that the f32
and the f64 build of gradus start from exactly the same numbers.

A model file holds, for every parameter NAME, weight/NAME (initial), grad/NAME (gradient of the mean cross-entropy over
all B*T tokens at the initial weights) and final/NAME (after the 20 updates), and
    tokens, targets [B,T]    whole numbers, stored as F64
    logits [B*T,V]           row b*T + t, at the initial weights
    loss []                  mean cross-entropy in nats, at the initial weights
    losses, grad_norms [20]  loss and global gradient norm (before clipping) of the same batch before each update
An update clips with scale = min(1, max_norm / norm), then does one step of torch.optim.AdamW; only tensors of rank >= 2
decay. check_goldens.py computes the same numbers again without torch.
"""

import json
import math
import os
import random
import struct
import sys

os.environ["ATEN_CPU_CAPABILITY"] = "default"  # the same kernels on every x86-64
import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

MADE_BY = "tests/goldens/make_goldens.py"
V, B, T = 11, 3, 7
TRAINING = {"optimizer": "adamw", "steps": 20, "lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8,
            "weight_decay": 0.1, "clip": 1.0}


# ---- the file format ----

def write_safetensors(path, tensors, metadata):
    """tensors: name -> f64 tensor; metadata: string -> string. Sorted by name, no holes, header padded to 8 bytes."""
    header, data = {"__metadata__": dict(sorted(metadata.items()))}, b""
    for name in sorted(tensors):
        tensor = torch.as_tensor(tensors[name]).detach().to(torch.float64).contiguous()
        values = tensor.reshape(-1).tolist()
        assert all(map(math.isfinite, values)), name
        packed = struct.pack(f"<{len(values)}d", *values)
        header[name] = {"dtype": "F64", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    print(f"{os.path.basename(path)}: {len(tensors)} tensors, {8 + len(text) + len(data)} bytes")


# ---- random inputs ----

def to_float(x):
    return x.to(torch.float32).to(torch.float64)


def normal(rng, shape, mean=0.0, deviation=0.3):
    return to_float(torch.tensor([rng.gauss(mean, deviation) for _ in range(math.prod(shape))]).reshape(shape))


def batch(rng):
    """Tokens and targets [B,T]. Tokens 2 and 9 are never an input, so their rows of an untied embedding get no gradient."""
    inputs = [v for v in range(V) if v not in (2, 9)]
    tokens = torch.tensor([[rng.choice(inputs) for _ in range(T)] for _ in range(B)])
    targets = torch.tensor([[rng.randrange(V) for _ in range(T)] for _ in range(B)])
    return tokens, targets


# ---- the transformer, written out ----

LAYERS, HEADS, C, CONTEXT = 2, 3, 12, 8


def transformer_weights(rng):
    weights = {"wte.weight": normal(rng, [V, C]), "wpe.weight": normal(rng, [CONTEXT, C])}
    for n in range(LAYERS):
        for name, inner, outer in (("attn.c_attn", C, 3 * C), ("attn.c_proj", C, C),
                                   ("mlp.c_fc", C, 4 * C), ("mlp.c_proj", 4 * C, C)):
            weights[f"h.{n}.{name}.weight"] = normal(rng, [inner, outer])
            weights[f"h.{n}.{name}.bias"] = normal(rng, [outer])
    for name in [f"h.{n}.ln_{k}" for n in range(LAYERS) for k in (1, 2)] + ["ln_f"]:
        weights[f"{name}.weight"] = normal(rng, [C], 1.0, 0.2)
        weights[f"{name}.bias"] = normal(rng, [C])
    return weights


def layer_norm(x, gain, bias):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)  # divided by C, not C - 1
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + bias


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def attention(x, w, name):
    """x [T,C] of one sequence -> [T,C]. q, k, v are the thirds of c_attn's output; heads are contiguous in each third."""
    length, size = x.shape[0], C // HEADS
    qkv = x @ w[f"{name}.c_attn.weight"] + w[f"{name}.c_attn.bias"]
    q, k, v = qkv[:, :C], qkv[:, C:2 * C], qkv[:, 2 * C:]
    heads = []
    for head in range(HEADS):
        columns = slice(head * size, (head + 1) * size)
        rows = []
        for t in range(length):
            scores = k[:t + 1, columns] @ q[t, columns] / math.sqrt(size)
            rows.append(torch.softmax(scores, 0) @ v[:t + 1, columns])
        heads.append(torch.stack(rows))
    return torch.cat(heads, 1) @ w[f"{name}.c_proj.weight"] + w[f"{name}.c_proj.bias"]


def transformer(w, tokens):
    """tokens [B,T] -> logits [B*T,V]."""
    rows = []
    for sequence in tokens:
        x = w["wte.weight"][sequence] + w["wpe.weight"][:len(sequence)]
        for n in range(LAYERS):
            h = f"h.{n}"
            x = x + attention(layer_norm(x, w[f"{h}.ln_1.weight"], w[f"{h}.ln_1.bias"]), w, f"{h}.attn")
            y = layer_norm(x, w[f"{h}.ln_2.weight"], w[f"{h}.ln_2.bias"])
            y = gelu_tanh(y @ w[f"{h}.mlp.c_fc.weight"] + w[f"{h}.mlp.c_fc.bias"])
            x = x + y @ w[f"{h}.mlp.c_proj.weight"] + w[f"{h}.mlp.c_proj.bias"]
        rows.append(layer_norm(x, w["ln_f.weight"], w["ln_f.bias"]) @ w["wte.weight"].T)
    return torch.cat(rows)


# ---- recurrent models, from torch.nn ----

E, H = 5, 6


def recurrent(rng, kind, layers, spread, head_spread):
    """Returns (parameters by name, tokens -> logits). kind is "lstm" or "rnn"; the state starts at zero. The spreads are
    the standard deviations of the weights, large enough that clipping acts on the first steps."""
    module = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}[kind](E, H, num_layers=layers, batch_first=True)
    params = {"embedding.weight": torch.nn.Parameter(normal(rng, [V, E], 0.0, 1.0))}
    for n in range(layers):
        for name in ("weight_ih", "weight_hh", "bias_ih"):
            parameter = getattr(module, f"{name}_l{n}")
            parameter.data.copy_(normal(rng, list(parameter.shape), 0.0, spread))
            params[f"{kind}.{name.replace('bias_ih', 'bias')}_l{n}"] = parameter
        second = getattr(module, f"bias_hh_l{n}")  # gradus has one bias; torch's second stays at zero, untrained
        second.data.zero_()
        second.requires_grad_(False)
    params["head.weight"] = torch.nn.Parameter(normal(rng, [V, H], 0.0, head_spread))
    params["head.bias"] = torch.nn.Parameter(normal(rng, [V]))

    def forward(tokens):
        hidden, _ = module(params["embedding.weight"][tokens])
        return hidden.reshape(-1, H) @ params["head.weight"].T + params["head.bias"]

    return params, forward


# ---- one model file ----

def model_file(path, config, params, forward, tokens, targets):
    out = {"tokens": tokens, "targets": targets}
    groups = [{"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": TRAINING["weight_decay"]},
              {"params": [p for p in params.values() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=TRAINING["lr"], eps=TRAINING["eps"],
                                  betas=(TRAINING["beta1"], TRAINING["beta2"]))
    losses, norms = [], []
    for step in range(TRAINING["steps"]):
        logits = forward(tokens)
        loss = torch.nn.functional.cross_entropy(logits, targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            out.update(logits=logits, loss=loss)
            out.update({f"weight/{name}": p.detach().clone() for name, p in params.items()})
            out.update({f"grad/{name}": p.grad.clone() for name, p in params.items()})
        norm = math.sqrt(math.fsum(float((p.grad ** 2).sum()) for p in params.values()))
        scale = min(1.0, TRAINING["clip"] / norm)  # torch's clip_grad_norm_ would divide by norm + 1e-6
        for p in params.values():
            p.grad.mul_(scale)
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm)
    assert min(norms) < TRAINING["clip"] < max(norms), "clipping should act on some steps and not on others"
    out.update(losses=torch.tensor(losses), grad_norms=torch.tensor(norms))
    out.update({f"final/{name}": p for name, p in params.items()})
    write_safetensors(path, out, {"made_by": MADE_BY, "config": json.dumps(config), "training": json.dumps(TRAINING)})


def make_transformer(path):
    rng = random.Random(20240601)
    params = {name: torch.nn.Parameter(x) for name, x in transformer_weights(rng).items()}
    tokens, targets = batch(rng)
    config = {"model": "transformer", "layers": LAYERS, "heads": HEADS, "embd": C, "hidden": 4 * C,
              "context": CONTEXT, "vocab": V}
    model_file(path, config, params, lambda t: transformer(params, t), tokens, targets)


def make_recurrent(path, kind, layers, seed, spread, head_spread):
    rng = random.Random(seed)
    params, forward = recurrent(rng, kind, layers, spread, head_spread)
    tokens, targets = batch(rng)
    config = {"model": kind, "layers": layers, "heads": 0, "embd": E, "hidden": H, "context": T, "vocab": V}
    model_file(path, config, params, forward, tokens, targets)


# ---- pairs: prompts and replies, of which the replies count ----

MARK = V - 1
PAIRS = [([3, 1], [4, 4, 0]), ([7], [2]), ([5, 6, 8, 1], []), ([9], [0, 3, 5, 7, 1])]


def pairs_batch():
    """mark prompt mark reply mark, padded with token 0: inputs [B,T], and targets, -100 where nothing is to be learnt."""
    rows = [[MARK, *prompt, MARK, *reply, MARK] for prompt, reply in PAIRS]
    longest = max(map(len, rows)) - 1
    tokens, targets = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -100)
    for b, (row, (prompt, _)) in enumerate(zip(rows, PAIRS)):
        tokens[b, :len(row) - 1] = torch.tensor(row[:-1])
        targets[b, len(prompt) + 1:len(row) - 1] = torch.tensor(row[len(prompt) + 2:])
    return tokens, targets


def make_pairs(path, config, params, forward):
    """loss [] is the mean over the tokens of the replies and their ends; grad/NAME its gradient."""
    tokens, targets = pairs_batch()
    loss = torch.nn.functional.cross_entropy(forward(tokens), targets.reshape(-1), ignore_index=-100)
    loss.backward()
    out = {"loss": loss, "scored": (targets >= 0).sum()}
    for b, (prompt, reply) in enumerate(PAIRS):
        out[f"pair/{b}/prompt"], out[f"pair/{b}/reply"] = torch.tensor(prompt), torch.tensor(reply)
    for name, p in params.items():
        out[f"weight/{name}"], out[f"grad/{name}"] = p.detach(), p.grad
    write_safetensors(path, out, {"made_by": MADE_BY, "config": json.dumps(config)})


def make_all_pairs(folder):
    rng = random.Random(20240607)
    params = {name: torch.nn.Parameter(x) for name, x in transformer_weights(rng).items()}
    config = {"model": "transformer", "layers": LAYERS, "heads": HEADS, "embd": C, "hidden": 4 * C,
              "context": CONTEXT, "vocab": V}
    make_pairs(os.path.join(folder, "pairs_transformer.safetensors"), config, params, lambda t: transformer(params, t))
    params, forward = recurrent(rng, "lstm", 1, 1.0, 1.0)
    config = {"model": "lstm", "layers": 1, "heads": 0, "embd": E, "hidden": H, "context": CONTEXT, "vocab": V}
    make_pairs(os.path.join(folder, "pairs_lstm.safetensors"), config, params, forward)


# ---- single operations ----

def op_layer_norm(rng):
    x = normal(rng, [5, 7], 0.5, 1.0)
    x[3] = to_float(0.03 + 3e-3 * x[3])  # variance near eps; the mean small, so that f32 can still subtract it
    x[4] = 0.015625  # variance exactly 0: y is the bias
    x.requires_grad_()
    gain = normal(rng, [7], 1.0, 0.2).requires_grad_()
    bias = normal(rng, [7]).requires_grad_()
    dy = normal(rng, [5, 7], 0.0, 1.0)
    y = torch.nn.functional.layer_norm(x, (7,), gain, bias, 1e-5)
    dx, dgain, dbias = torch.autograd.grad(y, (x, gain, bias), dy)
    return {"x": x, "gain": gain, "bias": bias, "y": y, "dy": dy, "dx": dx, "dgain": dgain, "dbias": dbias}


def op_gelu():
    """Both forms and their derivatives, written without the cancellation in the left tail that torch's forms have."""
    xs = to_float(torch.linspace(-6, 6, 41)).tolist()
    out = {"x": xs, "tanh_y": [], "tanh_dydx": [], "erf_y": [], "erf_dydx": []}
    a, b = math.sqrt(2 / math.pi), 0.044715
    for x in xs:
        u, du = a * (x + b * x ** 3), a * (1 + 3 * b * x * x)
        s = 1 / (1 + math.exp(-2 * u))  # (1 + tanh u) / 2
        out["tanh_y"].append(x * s)
        out["tanh_dydx"].append(s + x * 2 * s / (1 + math.exp(2 * u)) * du)
        cdf = 0.5 * math.erfc(-x / math.sqrt(2))
        out["erf_y"].append(x * cdf)
        out["erf_dydx"].append(cdf + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    return out


def large_logits(rng):
    """[7,11]: ordinary rows, rows with logits of +-50, and a row of equal logits."""
    x = normal(rng, [7, V], 0.0, 2.0)
    x[2, 3] = 50
    x[3, 3] = 50
    x[4] = to_float(x[4] - 50)
    x[5] = torch.tensor([50.0 if v % 2 else -50.0 for v in range(V)])
    x[6] = -50
    return x, torch.tensor([0, 10, 3, 4, 7, 2, 5])  # the target of row 2 is its peak; of rows 3 and 5, it is not


def op_cross_entropy(rng):
    """rows_i = -log softmax(x_i)[target_i]; mean over the rows; weighted = sum_i weights_i rows_i (weights of any sign)."""
    x, targets = large_logits(rng)
    x.requires_grad_()
    weights = torch.tensor([1.0, -0.5, 2.0, 0.25, 0.0, -1.5, 0.75])
    rows = torch.nn.functional.cross_entropy(x, targets, reduction="none")
    mean, weighted = rows.mean(), (weights * rows).sum()
    dmean, = torch.autograd.grad(mean, x, retain_graph=True)
    dweighted, = torch.autograd.grad(weighted, x)
    return {"logits": x, "targets": targets, "weights": weights, "rows": rows, "mean": mean, "mean_dlogits": dmean,
            "weighted": weighted, "weighted_dlogits": dweighted}


def op_log_softmax(rng):
    x, _ = large_logits(rng)
    x.requires_grad_()
    dy = normal(rng, list(x.shape), 0.0, 1.0)
    y = torch.log_softmax(x, 1)
    dx, = torch.autograd.grad(y, x, dy)
    return {"x": x, "y": y, "dy": dy, "dx": dx}


OPTIMIZERS = {"adamw": {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1},
              "adam": {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0},
              "sgd": {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}}


def op_optimizers(rng):
    """values row s: the vector after step s + 1 with gradient row s. One gradient is always 0, one is of the size of eps."""
    initial = normal(rng, [5], 0.0, 1.0)
    gradients = normal(rng, [3, 5], 0.0, 1.0)
    gradients[:, 1] = 0
    gradients[:, 2] = to_float(gradients[:, 2] * 1e-8)
    gradients[:, 3] = to_float(gradients[:, 3] * 100)
    out = {"optimizer/initial": initial, "optimizer/gradients": gradients}
    for name, o in OPTIMIZERS.items():
        p = torch.nn.Parameter(initial.clone())
        if name == "sgd":
            optimizer = torch.optim.SGD([p], lr=o["lr"])
        else:
            kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[name]
            optimizer = kind([p], lr=o["lr"], betas=(o["beta1"], o["beta2"]), eps=o["eps"], weight_decay=o["weight_decay"])
        values = []
        for gradient in gradients:
            p.grad = gradient.clone()
            optimizer.step()
            values.append(p.detach().clone())
        out[f"optimizer/{name}"] = torch.stack(values)
    return out


SCHEDULES = {"schedule": {"lr": 1e-3, "min_lr": 1e-4, "warmup": 10, "decay_steps": 50},
             "schedule_no_warmup": {"lr": 1e-3, "min_lr": 1e-4, "warmup": 0, "decay_steps": 50}}


def schedule(step, lr, min_lr, warmup, decay_steps):
    """lr * step / warmup                                                                  if step <= warmup
       min_lr                                                                              if step >= decay_steps
       min_lr + (1 + cos(pi (step - warmup) / (decay_steps - warmup))) / 2 * (lr - min_lr) otherwise
    Steps count from 1; step == warmup has the full lr; warmup 0 begins on the cosine."""
    if step <= warmup:
        return lr * step / warmup
    if step >= decay_steps:
        return min_lr
    return min_lr + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (decay_steps - warmup))) * (lr - min_lr)


def make_ops(path):
    rng = random.Random(20240605)
    out = {}
    for name, values in (("layer_norm", op_layer_norm(rng)), ("gelu", op_gelu()), ("cross_entropy", op_cross_entropy(rng)),
                         ("log_softmax", op_log_softmax(rng))):
        out.update({f"{name}/{key}": value for key, value in values.items()})
    out.update(op_optimizers(rng))
    steps = range(1, 61)
    for name, options in SCHEDULES.items():
        out[f"{name}/step"] = list(steps)
        out[f"{name}/lr"] = [schedule(step, **options) for step in steps]
    settings = {"layer_norm": json.dumps({"eps": 1e-5})}
    settings.update({name: json.dumps(o) for name, o in {**OPTIMIZERS, **SCHEDULES}.items()})
    write_safetensors(path, out, {"made_by": MADE_BY, **settings})


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    os.makedirs(folder, exist_ok=True)
    make_transformer(os.path.join(folder, "transformer.safetensors"))
    make_recurrent(os.path.join(folder, "lstm_1.safetensors"), "lstm", 1, 20240602, 1.0, 2.5)
    make_recurrent(os.path.join(folder, "lstm_2.safetensors"), "lstm", 2, 20240603, 1.0, 4.5)
    make_recurrent(os.path.join(folder, "rnn.safetensors"), "rnn", 1, 20240604, 0.5, 1.0)
    make_ops(os.path.join(folder, "ops.safetensors"))
    make_all_pairs(folder)


if __name__ == "__main__":
    main()

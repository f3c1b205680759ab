#!/usr/bin/python3
"""Check the golden files by a second road: plain python numbers and loops, no torch, no numpy, no code of make_goldens.py.

    python3 tests/goldens/check_goldens.py [DIRECTORY]       (a few seconds; exit 1 at the first disagreement)

Forward passes are recomputed in full. Gradients are checked without back-propagation: for every tensor the derivative
of the loss in a random direction of +-1, by a 4-point difference, must equal the stored gradient's product with it, so
that every element counts. The first AdamW update is recomputed from the stored gradient, and losses[1] from the updated
weights; the optimiser recurrence over several steps is checked in ops.safetensors.
"""

import json
import math
import os
import random
import struct
import sys


class Golden:
    def __init__(self, path):
        with open(path, "rb") as file:
            raw = file.read()
        size, = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8:8 + size])
        self.metadata = header.pop("__metadata__")
        self.shape, self.flat = {}, {}
        end = 0
        assert size % 8 == 0 and list(header) == sorted(header)
        for name, entry in header.items():
            begin, stop = entry["data_offsets"]
            assert begin == end and entry["dtype"] == "F64" and stop - begin == 8 * math.prod(entry["shape"]), name
            self.shape[name], end = entry["shape"], stop
            self.flat[name] = list(struct.unpack(f"<{(stop - begin) // 8}d", raw[8 + size + begin:8 + size + stop]))
        assert len(raw) == 8 + size + end

    def rows(self, name):
        columns = self.shape[name][-1]
        return [self.flat[name][i:i + columns] for i in range(0, len(self.flat[name]), columns)]

    def weights(self):
        return {name[7:]: list(x) for name, x in self.flat.items() if name.startswith("weight/")}


def agree(what, got, want, bound):
    got, want = ([x] if isinstance(x, float) else x for x in (got, want))
    assert len(got) == len(want), what
    worst = max(abs(g - w) / max(1.0, abs(w)) for g, w in zip(got, want))
    assert worst <= bound, f"{what}: differs by {worst:.2e}, bound {bound:.0e}"
    return worst


# ---- models on lists: a weight is a flat row-major list ----

def apply_in_out(x, w, bias):
    """y_j = sum_i x_i w[i][j] + bias_j: GPT-2's layout."""
    n = len(bias)
    return [math.fsum(x[i] * w[i * n + j] for i in range(len(x))) + bias[j] for j in range(n)]


def apply_out_in(x, w, bias):
    """y_j = sum_i w[j][i] x_i + bias_j: torch's layout."""
    n = len(x)
    return [math.fsum(w[j * n + i] * x[i] for i in range(n)) + bias[j] for j in range(len(bias))]


def norm(x, gain, bias):
    mean = math.fsum(x) / len(x)
    rstd = (math.fsum((a - mean) ** 2 for a in x) / len(x) + 1e-5) ** -0.5
    return [(a - mean) * rstd * g + b for a, g, b in zip(x, gain, bias)]


def transformer(w, tokens, config):
    c, heads = config["embd"], config["heads"]
    d, vocab = c // heads, config["vocab"]
    logits = []
    for sequence in tokens:
        xs = [[w["wte.weight"][v * c + i] + w["wpe.weight"][t * c + i] for i in range(c)] for t, v in enumerate(sequence)]
        for layer in range(config["layers"]):
            p = {name[len(f"h.{layer}."):]: x for name, x in w.items() if name.startswith(f"h.{layer}.")}
            xn = [norm(x, p["ln_1.weight"], p["ln_1.bias"]) for x in xs]
            qkv = [apply_in_out(x, p["attn.c_attn.weight"], p["attn.c_attn.bias"]) for x in xn]
            for t in range(len(xs)):
                mixed = []
                for h in range(heads):
                    dots = [sum(qkv[t][h * d + i] * qkv[s][c + h * d + i] for i in range(d)) for s in range(t + 1)]
                    scores = [math.exp(dot / math.sqrt(d)) for dot in dots]
                    total = math.fsum(scores)
                    mixed += [sum(scores[s] * qkv[s][2 * c + h * d + i] for s in range(t + 1)) / total for i in range(d)]
                mixed = apply_in_out(mixed, p["attn.c_proj.weight"], p["attn.c_proj.bias"])
                xs[t] = [a + b for a, b in zip(xs[t], mixed)]
                hidden = apply_in_out(norm(xs[t], p["ln_2.weight"], p["ln_2.bias"]), p["mlp.c_fc.weight"], p["mlp.c_fc.bias"])
                hidden = [u / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (u + 0.044715 * u * u * u))) for u in hidden]
                hidden = apply_in_out(hidden, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"])
                xs[t] = [a + b for a, b in zip(xs[t], hidden)]
        logits += [apply_out_in(norm(x, w["ln_f.weight"], w["ln_f.bias"]), w["wte.weight"], [0.0] * vocab) for x in xs]
    return logits


def recurrent(w, tokens, config):
    kind, e, h = config["model"], config["embd"], config["hidden"]
    gates = 4 * h if kind == "lstm" else h
    logits = []
    for sequence in tokens:
        inputs = [w["embedding.weight"][v * e:(v + 1) * e] for v in sequence]
        for layer in range(config["layers"]):
            hidden, cell, outputs = [0.0] * h, [0.0] * h, []
            for x in inputs:
                a = apply_out_in(x, w[f"{kind}.weight_ih_l{layer}"], w[f"{kind}.bias_l{layer}"])
                a = [p + q for p, q in zip(a, apply_out_in(hidden, w[f"{kind}.weight_hh_l{layer}"], [0.0] * gates))]
                if kind == "rnn":
                    hidden = [math.tanh(u) for u in a]
                else:  # gate order i f g o
                    sigmoid = [1 / (1 + math.exp(-u)) for u in a]
                    cell = [sigmoid[h + j] * cell[j] + sigmoid[j] * math.tanh(a[2 * h + j]) for j in range(h)]
                    hidden = [sigmoid[3 * h + j] * math.tanh(cell[j]) for j in range(h)]
                outputs.append(hidden)
            inputs = outputs
        logits += [apply_out_in(x, w["head.weight"], w["head.bias"]) for x in inputs]
    return logits


def log_softmax(x):
    top = max(x)
    return [a - top - math.log(math.fsum(math.exp(b - top) for b in x)) for a in x]


def mean_loss(logits, targets):
    return -math.fsum(log_softmax(x)[y] for x, y in zip(logits, targets)) / len(targets)


def four_point(f, h=2e-4):
    return (-f(2 * h) + 8 * f(h) - 8 * f(-h) + f(-2 * h)) / (12 * h)


def check_model(path):
    golden = Golden(path)
    config, training = (json.loads(golden.metadata[key]) for key in ("config", "training"))
    model = transformer if config["model"] == "transformer" else recurrent
    tokens = [[int(v) for v in row] for row in golden.rows("tokens")]
    targets = [int(v) for v in golden.flat["targets"]]
    weights = golden.weights()

    def loss_of(w):
        return mean_loss(model(w, tokens, config), targets)

    worst = agree("logits", sum(model(weights, tokens, config), []), golden.flat["logits"], 1e-12)
    loss = golden.flat["loss"][0]
    agree("loss", loss_of(weights), loss, 1e-13)
    agree("losses[0]", golden.flat["losses"][0], loss, 0.0)

    rng = random.Random(1)
    worst_gradient = 0.0
    for name in weights:
        direction = [rng.choice((-1.0, 1.0)) for _ in weights[name]]

        def moved(h):
            return loss_of({**weights, name: [a + h * b for a, b in zip(weights[name], direction)]})

        want = math.fsum(g * b for g, b in zip(golden.flat["grad/" + name], direction))
        worst_gradient = max(worst_gradient, agree(f"gradient of {name}", four_point(moved), want, 1e-9))

    norm_all = math.sqrt(math.fsum(g * g for name in weights for g in golden.flat["grad/" + name]))
    agree("grad_norms[0]", norm_all, golden.flat["grad_norms"][0], 1e-13)
    scale, updated = min(1.0, training["clip"] / norm_all), {}
    for name, x in weights.items():
        decay = training["weight_decay"] if len(golden.shape["weight/" + name]) >= 2 else 0.0
        updated[name] = []
        for a, g in zip(x, golden.flat["grad/" + name]):  # after one step m and v, bias-corrected, are g and g^2
            g *= scale
            updated[name].append(a * (1 - training["lr"] * decay) - training["lr"] * g / (abs(g) + training["eps"]))
    agree("losses[1]", loss_of(updated), golden.flat["losses"][1], 1e-12)
    print(f"{os.path.basename(path)}: logits within {worst:.1e}, "
          f"{len(weights)} directional derivatives within {worst_gradient:.1e}")


def check_pairs(path):
    """Each pair by itself and unpadded: mark prompt mark reply mark, of which the reply and its end count."""
    golden = Golden(path)
    config = json.loads(golden.metadata["config"])
    model = transformer if config["model"] == "transformer" else recurrent
    weights, mark = golden.weights(), config["vocab"] - 1
    pairs = [[[int(v) for v in golden.flat[f"pair/{b}/{part}"]] for part in ("prompt", "reply")] for b in range(4)]

    def loss_of(w):
        nats, scored = 0.0, 0
        for prompt, reply in pairs:
            row = [mark, *prompt, mark, *reply, mark]
            logits = model(w, [row[:-1]], config)[len(prompt) + 1:]
            nats += mean_loss(logits, [*reply, mark]) * len(logits)
            scored += len(logits)
        agree("scored", float(scored), golden.flat["scored"], 0.0)
        return nats / scored

    agree("loss", loss_of(weights), golden.flat["loss"], 1e-13)
    rng = random.Random(1)
    for name in weights:
        direction = [rng.choice((-1.0, 1.0)) for _ in weights[name]]

        def moved(h):
            return loss_of({**weights, name: [a + h * b for a, b in zip(weights[name], direction)]})

        want = math.fsum(g * b for g, b in zip(golden.flat["grad/" + name], direction))
        agree(f"gradient of {name}", four_point(moved), want, 1e-9)
    print(f"{os.path.basename(path)}: agrees")


# ---- single operations ----

def check_row_gradient(what, f, x, dy, dx, bound):
    """f maps a row to a row; dx must be the gradient of dy . f(x), element by element."""
    for i in range(len(x)):
        def moved(h):
            return math.fsum(a * b for a, b in zip(dy, f(x[:i] + [x[i] + h] + x[i + 1:])))
        agree(f"{what}, element {i}", four_point(moved, 1e-4), dx[i], bound)


def check_layer_norm(golden):
    x, y, dy, dx = (golden.rows("layer_norm/" + key) for key in ("x", "y", "dy", "dx"))
    gain, bias = golden.flat["layer_norm/gain"], golden.flat["layer_norm/bias"]
    unit = [norm(row, [1.0] * len(gain), [0.0] * len(gain)) for row in x]
    for r in range(len(x)):
        agree("layer_norm y", norm(x[r], gain, bias), y[r], 1e-12)
        check_row_gradient("layer_norm dx", lambda row: norm(row, gain, bias), x[r], dy[r], dx[r], 1e-6)
    dgain = [sum(d[j] * u[j] for d, u in zip(dy, unit)) for j in range(len(gain))]
    agree("layer_norm dgain", dgain, golden.flat["layer_norm/dgain"], 1e-12)
    agree("layer_norm dbias", [sum(column) for column in zip(*dy)], golden.flat["layer_norm/dbias"], 1e-13)


def check_softmax_ops(golden):
    stored = {name[14:]: x for name, x in golden.flat.items() if name.startswith("cross_entropy/")}
    x, targets = golden.rows("cross_entropy/logits"), [int(v) for v in stored["targets"]]
    weights, rows = stored["weights"], stored["rows"]
    logs = [log_softmax(row) for row in x]
    agree("cross_entropy rows", [-p[y] for p, y in zip(logs, targets)], rows, 1e-14)
    agree("cross_entropy mean", sum(rows) / len(rows), stored["mean"], 1e-14)
    agree("cross_entropy weighted", sum(a * b for a, b in zip(weights, rows)), stored["weighted"], 1e-13)
    slope = [[math.exp(p) - (v == y) for v, p in enumerate(row)] for row, y in zip(logs, targets)]
    agree("cross_entropy mean_dlogits", [s / len(x) for row in slope for s in row], stored["mean_dlogits"], 1e-14)
    weighted = [s * a for row, a in zip(slope, weights) for s in row]
    agree("cross_entropy weighted_dlogits", weighted, stored["weighted_dlogits"], 1e-14)
    for a, b, dy, dx in zip(*(golden.rows("log_softmax/" + key) for key in ("x", "y", "dy", "dx"))):
        agree("log_softmax", log_softmax(a), b, 1e-14)
        check_row_gradient("log_softmax dx", log_softmax, a, dy, dx, 1e-8)


def check_gelu(golden):
    forms = {"tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
             "erf": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))}
    for form, f in forms.items():
        for x, y, slope in zip(*(golden.flat["gelu/" + key] for key in ("x", f"{form}_y", f"{form}_dydx"))):
            agree(f"gelu {form}", f(x), y, 1e-14)
            agree(f"gelu {form} slope", four_point(lambda h: f(x + h)), slope, 1e-10)


def check_optimizers(golden):
    for name in ("adamw", "adam", "sgd"):
        o = json.loads(golden.metadata[name])
        for i, x in enumerate(golden.flat["optimizer/initial"]):
            m = v = 0.0
            for step, (g, want) in enumerate(zip(golden.rows("optimizer/gradients"), golden.rows("optimizer/" + name)), 1):
                if name == "sgd":
                    x -= o["lr"] * g[i]
                else:  # Loshchilov and Hutter: the decay acts on the weight, not on the gradient
                    m = o["beta1"] * m + (1 - o["beta1"]) * g[i]
                    v = o["beta2"] * v + (1 - o["beta2"]) * g[i] ** 2
                    m_hat, v_hat = m / (1 - o["beta1"] ** step), v / (1 - o["beta2"] ** step)
                    x = x * (1 - o["lr"] * o["weight_decay"]) - o["lr"] * m_hat / (math.sqrt(v_hat) + o["eps"])
                agree(f"{name} element {i} step {step}", x, want[i], 1e-15)


def check_schedule(golden):
    for name in ("schedule", "schedule_no_warmup"):
        o = json.loads(golden.metadata[name])
        table = dict(zip(golden.flat[name + "/step"], golden.flat[name + "/lr"]))
        middle = (o["warmup"] + o["decay_steps"]) // 2
        known = {o["warmup"]: o["lr"], middle: (o["lr"] + o["min_lr"]) / 2, o["decay_steps"]: o["min_lr"], 60: o["min_lr"]}
        for step, want in known.items():
            assert step == 0 or abs(table[step] - want) < 1e-18, (name, step)
        if o["warmup"]:
            assert abs(table[1] - o["lr"] / o["warmup"]) < 1e-18


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    ops = Golden(os.path.join(folder, "ops.safetensors"))
    for check in (check_layer_norm, check_softmax_ops, check_gelu, check_optimizers, check_schedule):
        check(ops)
    print("ops.safetensors: agrees")
    for name in ("rnn", "lstm_1", "lstm_2", "transformer"):
        check_model(os.path.join(folder, name + ".safetensors"))
    for name in ("pairs_transformer", "pairs_lstm"):
        check_pairs(os.path.join(folder, name + ".safetensors"))


if __name__ == "__main__":
    main()

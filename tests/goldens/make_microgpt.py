#!/usr/bin/python3
"""Make the losses that tests/examples/microgpt.cpp and microgpt_scalar.cpp must print, from PyTorch.

    python3 tests/goldens/make_microgpt.py [DIRECTORY]        (default: the folder of this script)

writes microgpt_names.txt, the words that stand for names (of data/fables.txt, one of them longer than the context), and
microgpt_losses.txt, a line "STEP LOSS" for each of 50 steps on them. Made with PyTorch 1.13 in float64, one thread. The
weights begin as engine/params.cpp draws them, N(0, 0.08) from Philox4x32-10, written here a second time from the paper
and the mapping that engine/rng.h states.
"""

import math
import os
import re
import sys

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

LAYERS, C, HEADS, CONTEXT, STEPS = 1, 16, 4, 16, 50
HERE = os.path.dirname(os.path.abspath(__file__))
INTO = sys.argv[1] if len(sys.argv) > 1 else HERE
WORD = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def normal(i):
    """Number i of seed 1, stream 0 (initial parameters), step 0: Box-Muller on block i / 2."""
    w = philox([i // 2, 0, 0, 0], [1, 0])
    u = (((w[0] | w[1] << 32) >> 11) + 1) * 2.0 ** -53
    v = ((w[2] | w[3] << 32) >> 11) * 2.0 ** -53
    return math.sqrt(-2 * math.log(u)) * (math.cos if i % 2 == 0 else math.sin)(2 * math.pi * v)


def read_names():
    with open(os.path.join(HERE, "../../data/fables.txt")) as file:
        words = list(dict.fromkeys(re.findall(r"\b[a-z]{2,12}\b", file.read())))[:59]
    return words + ["".join(words[20:25])]


class Gpt:
    def __init__(self, vocabulary):
        self.params, self.drawn = {}, 0
        for name, out, inner in [("wte", vocabulary, C), ("wpe", CONTEXT, C), ("head", vocabulary, C)] + [
                (f"{layer}.{name}", out, inner) for layer in range(LAYERS)
                for name, out, inner in [("wq", C, C), ("wk", C, C), ("wv", C, C), ("wo", C, C), ("fc1", 4 * C, C), ("fc2", C, 4 * C)]]:
            values = [0.08 * normal(self.drawn + i) for i in range(out * inner)]
            self.drawn += len(values)
            self.params[name] = torch.tensor(values).reshape(out, inner).requires_grad_()

    def logits(self, tokens):
        w, T = self.params, len(tokens)
        rms = lambda x: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)
        x = rms(w["wte"][tokens] + w["wpe"][:T])
        for layer in range(LAYERS):
            y = rms(x)
            q, k, v = (torch.nn.functional.linear(y, w[f"{layer}.w{n}"]).reshape(T, HEADS, C // HEADS).transpose(0, 1) for n in "qkv")
            scores = q @ k.transpose(1, 2) / math.sqrt(C // HEADS)
            scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -math.inf)
            attended = (torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(T, C)
            x = x + torch.nn.functional.linear(attended, w[f"{layer}.wo"])
            hidden = torch.relu(torch.nn.functional.linear(rms(x), w[f"{layer}.fc1"]))
            x = x + torch.nn.functional.linear(hidden, w[f"{layer}.fc2"])
        return torch.nn.functional.linear(x, w["head"])


def main():
    names = read_names()
    alphabet = sorted(set("".join(names)))
    mark = len(alphabet)
    gpt = Gpt(mark + 1)
    adam = torch.optim.Adam(gpt.params.values(), lr=0.01, betas=(0.85, 0.99), eps=1e-8)
    with open(os.path.join(INTO, "microgpt_names.txt"), "w") as file:
        file.write("\n".join(names) + "\n")
    with open(os.path.join(INTO, "microgpt_losses.txt"), "w") as file:
        for step in range(STEPS):
            name = names[step * 7919 % len(names)]
            tokens = [mark] + [alphabet.index(c) for c in name] + [mark]
            T = min(len(tokens) - 1, CONTEXT)
            loss = torch.nn.functional.cross_entropy(gpt.logits(tokens[:T]), torch.tensor(tokens[1:T + 1]))
            adam.zero_grad()
            loss.backward()
            adam.param_groups[0]["lr"] = 0.01 * (1 - step / STEPS)
            adam.step()
            file.write(f"{step + 1} {loss.item():.15f}\n")


main()

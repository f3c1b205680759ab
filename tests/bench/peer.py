"""The same work as `gradus bench`, in PyTorch: python3 peer.py WORK THREADS SECONDS prints {"per_second": tokens}.

Plain models as one would write them: a GPT of 4 layers, 4 heads, width 128 and context 64 with biases, the tanh GELU and
a tied head, and an LSTM of 256 behind an embedding of 128. Sampling keeps keys, values and the LSTM's state. The tokens
are random, of a vocabulary of 65.
"""
import copy
import json
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

V, C, HEADS, LAYERS, CONTEXT, HIDDEN = 65, 128, 4, 4, 64, 256


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -math.inf).triu(1))

    def forward(self, x, cache, first):
        B, T, _ = x.shape
        qkv = self.qkv(self.ln_1(x)).view(B, T, 3, HEADS, C // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:  # [B, heads, context, width] of keys and of values
            cache[0][:, :, first:first + T], cache[1][:, :, first:first + T] = k, v
            k, v = cache[0][:, :, :first + T], cache[1][:, :, :first + T]
        score = q @ k.transpose(-2, -1) / math.sqrt(C // HEADS)
        if T > 1:
            score = score + self.mask[:T, :T]
        x = x + self.out((F.softmax(score, -1) @ v).transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(V, C), nn.Embedding(CONTEXT, C)
        self.blocks, self.ln = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(C)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02)

    def start(self, B):
        shape = (B, HEADS, CONTEXT, C // HEADS)
        return {"first": 0, "caches": [(torch.empty(shape), torch.empty(shape)) for _ in self.blocks]}

    def forward(self, tokens, state=None):
        first, T = state["first"] if state else 0, tokens.shape[1]
        x = self.token(tokens) + self.position.weight[first:first + T]
        for i, block in enumerate(self.blocks):
            x = block(x, state["caches"][i] if state else None, first)
        if state:
            state["first"] += T
        return F.linear(self.ln(x), self.token.weight)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.lstm, self.head = nn.Embedding(V, C), nn.LSTM(C, HIDDEN, batch_first=True), nn.Linear(HIDDEN, V)

    def start(self, B):
        return {"hc": None}

    def forward(self, tokens, state=None):
        h, hc = self.lstm(self.token(tokens), state["hc"] if state else None)
        if state:
            state["hc"] = hc
        return self.head(h)


def update(model, optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def training(model, B, lr, decay):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=decay)
    text = torch.randint(V, (100_000,))

    def step():
        window = text[torch.randint(len(text) - CONTEXT - 1, (B, 1)) + torch.arange(CONTEXT + 1)]
        update(model, optimizer, F.cross_entropy(model(window[:, :-1]).reshape(-1, V), window[:, 1:].reshape(-1)))

    return step, B * CONTEXT


@torch.inference_mode()
def draw(model, B, draws):
    tokens, state = torch.zeros(B, draws + 1, dtype=torch.long), model.start(B)
    for t in range(draws):
        p = F.softmax(model(tokens[:, t:t + 1], state)[:, -1], -1)
        tokens[:, t + 1] = torch.multinomial(p, 1).squeeze(1)
    return tokens


def sampling(model, B):
    return lambda: draw(model, B, 63), B * 63


def tuning(policy, B=64, draws=32, beta=0.1):
    """REINFORCE with leave-one-out and the KL penalty inside the reward."""
    prior = copy.deepcopy(policy).requires_grad_(False)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, weight_decay=0)

    def log_prob(model, tokens):
        log_p = F.log_softmax(model(tokens[:, :-1]), -1)
        return log_p.gather(2, tokens[:, 1:].unsqueeze(2)).squeeze(2).sum(1)

    def step():
        tokens = draw(policy, B, draws).clone()
        with torch.no_grad():
            log_q = log_prob(prior, tokens)
        log_pi = log_prob(policy, tokens)
        worth = (tokens[:, 1:] == 1).sum(1) - beta * (log_pi.detach() - log_q)
        advantage = (worth - worth.mean()) * B / (B - 1)
        update(policy, optimizer, -(advantage * log_pi).mean())

    return step, B * draws


WORKS = {
    "gpt-step": lambda: training(Gpt(), 12, 1e-3, 0.1),
    "lstm-step": lambda: training(Lstm(), 32, 2e-3, 0.0),
    "rl-gpt-step": lambda: tuning(Gpt()),
    "rl-lstm-step": lambda: tuning(Lstm()),
    "sample-gpt-1": lambda: sampling(Gpt(), 1),
    "sample-gpt-64": lambda: sampling(Gpt(), 64),
    "sample-lstm-1": lambda: sampling(Lstm(), 1),
    "sample-lstm-64": lambda: sampling(Lstm(), 64),
}


def main():
    work, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    run, tokens = WORKS[work]()
    for _ in range(3):
        run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    print(json.dumps({"per_second": tokens / sorted(times)[len(times) // 2]}))


if __name__ == "__main__":
    main()

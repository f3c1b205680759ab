"""make bench-peers: gradus and PyTorch on the same work in turn, and README's table of the ratios.

usage: compare.py GRADUS [--pairs 5] [--seconds 2] [--threads N] [WORK...]

A pair is one run of each, one behind the other, so that a change of the machine's pace strikes both. A row gives the
median and the range of the pairs' ratios, on one thread and on N (all cores). stderr gets the medians of tokens a second.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys

from pathlib import Path

# Each work, and its name in README.
WORKS = {
    "gpt-step": "Transformer step (4 layers, 4 heads, 128 wide, context 64, batch 12)",
    "lstm-step": "LSTM step (embedding 128, hidden 256, 64 steps, batch 32)",
    "sample-gpt-1": "Transformer sampling, one stream, with a cache of keys and values",
    "sample-gpt-64": "Transformer sampling, 64 streams, with that cache",
    "sample-lstm-1": "LSTM sampling, one stream",
    "sample-lstm-64": "LSTM sampling, 64 streams",
    "rl-gpt-step": "fine-tuning step of the Transformer, 64 sequences of 32 tokens, against a loop with that cache",
    "rl-lstm-step": "the same of the LSTM",
}


def ours(program, work, threads, seconds):
    command = [program, "bench", work, "--threads", str(threads), "--seconds", str(seconds), "--json", "--quiet"]
    records = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["work"]
    return next(r["per_second"] for r in records if r["threads"] == threads)


def environment(threads):
    """What gives PyTorch its best: one kind of threads. With OpenBLAS in its pthread build, Debian's default, the
    threads of products and those of PyTorch fight for the cores; its OpenMP build shares them."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), OMP_PROC_BIND="true")
    openmp = glob.glob("/usr/lib/*/openblas-openmp")
    if openmp and threads > 1:
        env["LD_LIBRARY_PATH"] = openmp[0]
    # A processor younger than OpenBLAS gets its oldest kernels; gradus corrects that for itself (engine/gemm.h).
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "OPENBLAS_CORETYPE" not in env and all(f" {f}" in flags for f in ("avx512f", "avx512dq", "avx512bw", "avx512vl")):
        env["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    return env


def theirs(work, threads, seconds):
    script = str(Path(__file__).with_name("peer.py"))
    out = subprocess.run(["/usr/bin/python3", script, work, str(threads), str(seconds)], check=True,
                         capture_output=True, text=True, env=environment(threads)).stdout
    return json.loads(out)["per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gradus")
    parser.add_argument("work", nargs="*", metavar="WORK", help="what to compare (everything): " + " ".join(WORKS))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_intermixed_args()
    unknown = [w for w in args.work if w not in WORKS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {' '.join(WORKS)}")
    counts = sorted({1, args.threads})
    print("| work | " + " | ".join("1 thread" if n == 1 else f"{n} threads" for n in counts) + " |")
    print("|---" * (1 + len(counts)) + "|", flush=True)
    for work in args.work or WORKS:
        cells = []
        for threads in counts:
            pairs = [(ours(args.gradus, work, threads, args.seconds), theirs(work, threads, args.seconds))
                     for _ in range(args.pairs)]
            ratios = [a / b for a, b in pairs]
            cells.append(f"{statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f})")
            print(f"{work}, threads {threads}: gradus {statistics.median(a for a, _ in pairs):,.0f} tokens/s, "
                  f"PyTorch {statistics.median(b for _, b in pairs):,.0f} tokens/s", file=sys.stderr, flush=True)
        print(f"| {WORKS[work]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

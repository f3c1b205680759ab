// Config: every option that changes a training run, in one flat struct, and the one table of their names, ranges and
// meanings. The command line, the checkpoint's metadata and the log all read that table.
#pragma once

#include <cstdint>
#include <string>

namespace gradus {

struct Config {
  std::string model = "transformer";
  std::string tokenizer = "char";
  bool lines = false;
  int64_t layers = 0;  // 0: the family's default
  int64_t heads = 4;
  int64_t embd = 128;
  int64_t hidden = 256;
  int64_t memory = 0;
  int64_t context = 64;
  double dropout = 0;
  bool bias = true;
  int64_t order = 3;
  std::string smoothing = "none";
  double alpha = 1;
  int64_t batch = 12;
  int64_t steps = 2000;
  double lr = 1e-3;
  double min_lr = 1e-4;
  int64_t warmup = 100;
  int64_t decay_steps = 0;  // 0: the first --steps
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.1;
  double clip = 1;
  double val_fraction = -1;  // -1: the family's default
  int64_t eval_every = 250;
  int64_t eval_batches = 20;
  int64_t save_every = 250;
  int64_t shards = 0;  // 0: the cores of the machine, at most batch
  std::string ops = "fused";
  int64_t seed = 1;
  int64_t end_id = -1;  // with lines the id of the end mark, the last of the vocabulary; not an option

  bool counts() const { return model == "ngram" || model == "tabular"; }  // fitted by counting, not by steps
  // Replaces the zeros above by what they stand for, then checks.
  void resolve(int cores);
  // Throws DataError where two options do not fit together. REQUIRES: resolved, or read from a file.
  void check() const;
};

// Calls visit(name, member, help, least, greatest) for numbers, visit(name, member, help, words) for words and
// visit(name, member, help) for switches, in the order of --help. Names are those of the command line with _ for -; a
// switch that is on by default is the option --no-NAME.
template <class C, class Visit>
void for_each_option(C& c, Visit&& visit) {
  constexpr int64_t kMany = 1'000'000'000;
  visit("model", c.model, "family of the model", {"transformer", "lstm", "rnn", "ngram", "tabular"});
  visit("tokenizer", c.tokenizer, "what a token is; word wants --lines", {"char", "byte", "word"});
  visit("lines", c.lines, "each line is a sequence, with a mark at its end");
  visit("layers", c.layers, "layers (default 4; lstm, rnn 1)", 0, 1000);
  visit("heads", c.heads, "attention heads (transformer)", 1, 1000);
  visit("embd", c.embd, "width of the embedding, and of the transformer", 1, 1 << 20);
  visit("hidden", c.hidden, "width of the state (lstm, rnn)", 1, 1 << 20);
  visit("memory", c.memory, "tokens that cells keep at first: from 2 to this many; 0: forget bias 1 (lstm)", 0,
        1 << 20);
  visit("context", c.context, "tokens that the model sees at once", 1, 1 << 20);
  visit("dropout", c.dropout, "share of activations dropped while training", 0.0, 0.99);
  visit("bias", c.bias, "leave out the biases (transformer)");
  visit("order", c.order, "tokens of an n-gram: it predicts from the order - 1 before (ngram)", 1, 100);
  visit("smoothing", c.smoothing, "none: the counts as they are; add --alpha to each; interpolated Kneser-Ney (ngram)",
        {"none", "add", "kneser-ney"});
  visit("alpha", c.alpha, "what --smoothing add adds to every count (ngram)", 1e-9, 1e9);
  visit("batch", c.batch, "sequences in a batch", 1, 1 << 20);
  visit("steps", c.steps, "training steps in all", 0, kMany);
  visit("lr", c.lr, "learning rate after the warm-up", 0.0, 1e3);
  visit("min_lr", c.min_lr, "learning rate at the end of the cosine", 0.0, 1e3);
  visit("warmup", c.warmup, "steps of linear warm-up", 0, kMany);
  visit("decay_steps", c.decay_steps, "step at which the cosine reaches --min-lr (default: the first --steps)", 0,
        kMany);
  visit("beta1", c.beta1, "AdamW: memory of the mean", 0.0, 0.999999);
  visit("beta2", c.beta2, "AdamW: memory of the square", 0.0, 0.999999);
  visit("weight_decay", c.weight_decay, "AdamW: decay of tensors of rank >= 2", 0.0, 1e3);
  visit("clip", c.clip, "greatest norm of the gradient; 0: no clipping", 0.0, 1e9);
  visit("val_fraction", c.val_fraction,
        "share of the text, at its end, kept for validation (default 0.1; ngram, tabular 0)", 0.0, 0.9);
  visit("eval_every", c.eval_every, "steps between evaluations; 0: only at the end", 0, kMany);
  visit("eval_batches", c.eval_batches, "random batches of an evaluation on the way", 1, 1 << 20);
  visit("save_every", c.save_every, "steps between checkpoints; 0: only at the end", 0, kMany);
  visit("shards", c.shards, "slices of the batch, each summed on its own (default: cores, at most --batch)", 0, 256);
  visit("ops", c.ops, "heavy ops in one piece, or put together from primitives", {"fused", "composed"});
  visit("seed", c.seed, "everything random follows from it", 0, INT64_MAX);
}

std::string to_json(const Config& config);  // one line; real numbers round-trip
// Throws DataError (naming `source`) for an unknown, missing or ill-typed option, or a number out of range.
Config config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus

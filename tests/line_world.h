// A text of lines and models of it, small enough to enumerate. For the tests:
//
//   const LineWorld world(kTwoWords, "word");
//   const auto model = world.model("ngram", [](Config& c) { c.order = 2; });
//   const Enumeration all = enumerate(*model, world.end_id(), 4);      // every line of at most 3 tokens
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/optim.h"
#include "models/counted/count_trie.h"
#include "models/language_model.h"
#include "models/loss.h"
#include "models/run/config.h"
#include "models/text/read_text.h"

namespace gradus::testing {

// The documents' ten sentences; the entropy of their distribution (.4 .3 .2 .1).
inline constexpr const char* kTwoWords =
    "the cat\nthe cat\nthe cat\nthe cat\nthe dog\nthe dog\nthe dog\na cat\na cat\na dog\n";
inline constexpr double kTwoWordsEntropy = 1.27985422583367;

struct LineWorld {
  std::string content;
  Tokenizer tokenizer;

  LineWorld(std::string text, std::string_view cutter)
      : content(std::move(text)), tokenizer(Tokenizer::from_lines(cutter, split_lines(content))) {}
  int32_t end_id() const { return tokenizer.end_id(); }
  std::vector<int32_t> ids(std::string_view line) const { return tokenizer.encode(line); }

  Config config(const std::string& family, const std::function<void(Config&)>& change = {}) const {
    Config c;
    c.model = family;
    c.tokenizer = tokenizer.cutter().name;
    c.lines = true;
    c.end_id = end_id();
    c.layers = 1;
    c.heads = 2;
    c.embd = 8;
    c.hidden = 8;
    c.context = 8;
    c.val_fraction = 0;
    c.batch = 10;
    if (change) change(c);
    c.resolve(1);
    return c;
  }
  Corpus corpus(const Config& c) const { return Corpus(c.corpus(), tokenizer, content, "lines"); }
  // The whole text, as a model of that family takes it.
  Corpus corpus(const std::string& family) const { return corpus(config(family)); }
  std::unique_ptr<LanguageModel> model(const std::string& family,
                                       const std::function<void(Config&)>& change = {}) const {
    const Config c = config(family, change);
    return make_model(c, tokenizer.size(), INT64_MAX, count_tokens(c, corpus(c)));
  }
};

// Maximum likelihood by AdamW without decay, all lines in each step; returns the nats of a line at the end.
inline double nats_per_line(const LanguageModel& model, const Corpus& corpus) {
  Shards shards(1, 1);
  const SplitLoss loss = loss_of_split(model, corpus, Split::kAll, shards, 10);
  return loss.nats / double(corpus.lines(Split::kAll));
}
inline double fit(LanguageModel& model, const Corpus& corpus, int64_t steps, double lr) {
  Shards shards(1, 1);
  AdamW optimizer(model.params(), {.weight_decay = 0});
  const Schedule schedule{.lr = lr, .min_lr = lr / 100, .warmup = 5, .decay = steps};
  BatchLoss loss(shards);
  Batch batch;
  for (int64_t step = 1; step <= steps; ++step) {
    batch.take(corpus, Split::kTrain, 0, corpus.lines(Split::kTrain));
    loss.forward(model, batch, {.seed = 1, .step = step, .training = true});
    loss.backward(1 / double(batch.scored));
    const auto g = shards.gradient(model.params());
    optimizer.step(model.params(), g, schedule.at(step), clip_factor(gradient_norm(g), 1));
  }
  return nats_per_line(model, corpus);
}

struct Enumeration {
  std::map<std::vector<int32_t>, double> ended, cut;  // log-probability of each sequence, without its mark
  double total() const {
    double sum = 0;
    for (const auto* part : {&ended, &cut})
      for (const auto& [tokens, log_prob] : *part) sum += std::exp(log_prob);
    return sum;
  }
};

// Every sequence of at most `draws` draws, the end mark among them, by a walk over the tree of its beginnings.
inline Enumeration enumerate(const LanguageModel& model, int32_t end_id, int64_t draws) {
  Enumeration all;
  Tape tape;
  const Tape::Use use(tape);
  State state = model.start(1);
  std::vector<std::vector<int32_t>> prefix{{}};
  std::vector<double> log_prob{0};
  std::vector<int32_t> last{end_id};
  for (int64_t draw = 1; draw <= draws && !prefix.empty(); ++draw) {
    const Tape::Mark mark(tape);
    const Tensor logits = model.next(state, last);
    std::vector<std::vector<int32_t>> longer;
    std::vector<double> longer_log_prob;
    std::vector<int64_t> which;
    last.clear();
    for (size_t r = 0; r < prefix.size(); ++r) {
      const auto row = logits.rows(int64_t(r), 1).span();
      double top = -INFINITY, sum = 0;
      for (const real z : row) top = std::max(top, double(z));
      for (const real z : row) sum += std::exp(double(z) - top);
      for (size_t v = 0; v < row.size(); ++v) {
        const double here = log_prob[r] + double(row[v]) - top - std::log(sum);
        if (here == -INFINITY) continue;
        if (int32_t(v) == end_id) {
          all.ended[prefix[r]] = here;
          continue;
        }
        longer.push_back(prefix[r]);
        longer.back().push_back(int32_t(v));
        longer_log_prob.push_back(here);
        which.push_back(int64_t(r));
        last.push_back(int32_t(v));
      }
    }
    prefix = std::move(longer);
    log_prob = std::move(longer_log_prob);
    state.select(which);
  }
  for (size_t r = 0; r < prefix.size(); ++r) all.cut[prefix[r]] = log_prob[r];
  return all;
}

}  // namespace gradus::testing

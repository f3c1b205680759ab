#include "rl/worlds/enumerate.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/sampler.h"

namespace gradus {

double Enumeration::total_probability(size_t model) const {
  double sum = 0;
  for (const double x : log_prob[model]) sum += std::exp(x);
  return sum;
}

namespace {
struct Size {
  int64_t sequences, draws;  // draws only where the sequences are not too many
};
Size full(const World& world, int64_t vocabulary, int64_t most) {
  const bool ends = world.end_id >= 0;
  int64_t open = 1, closed = 0, draws = 0;  // prefixes that go on, sequences that have ended, and their draws
  for (int64_t t = 0; t < world.max_tokens && open > 0 && open + closed <= most; ++t) {
    if (ends) closed += open, draws = std::min(draws + open * (t + 1), kMaxDraws + 1);
    open = std::min(open * (vocabulary - ends), most + 1);
  }
  const double cut = double(open) * double(world.max_tokens);
  return {std::min(open + closed, most + 1), cut > double(kMaxDraws) ? kMaxDraws + 1 : draws + int64_t(cut)};
}
}  // namespace

int64_t full_size(const World& world, int64_t vocabulary, int64_t most) {
  return full(world, vocabulary, most).sequences;
}

namespace {

std::string sequences(int64_t most) { return text(most, " sequences"); }
std::string draws() { return text(kMaxDraws, " draws in all its sequences"); }
// `what` there are too many of.
[[noreturn]] void throw_too_large(const World& world, int64_t vocabulary, int64_t most, const std::string& what) {
  World fitting = world;
  const auto fits = [&] {
    const Size size = full(fitting, vocabulary, most);
    return size.sequences <= most && size.draws <= kMaxDraws;
  };
  while (fitting.max_tokens > 1 && !fits()) fitting.max_tokens /= 2;  // then up again: the limit may be a million
  while (fitting.max_tokens < world.max_tokens && fits()) ++fitting.max_tokens;
  if (fitting.max_tokens > 1 && !fits()) --fitting.max_tokens;
  throw WorldTooLarge(text("this world has more than ", what, " of at most ", world.max_tokens,
                           " tokens, too many to enumerate: with a vocabulary of ", vocabulary, " max_tokens ",
                           fitting.max_tokens, fits() ? " fits" : " is still too much; use a smaller vocabulary"));
}

// One child of a prefix: the row of the level before that it continues, and the token it adds.
struct Child {
  int32_t row, token;
};

// Prefixes of one length, in a chunk of at most `chunk` rows.
struct Level {
  std::vector<State> states;      // of each model, after all tokens but the last of each prefix
  std::vector<Child> rows;        // the last token of each prefix, and where the rest stands; none at the root
  std::vector<double> log_prob;   // [rows, models]
  std::vector<Child> children;    // that go on
  std::vector<double> child_log;  // [children, models]
  size_t next = 0;                // the first child that has not been walked yet
};

// What a walk keeps of one prefix.
struct BytesOfRow {
  double states = 0;    // in its Level; a State keeps spare room for select()
  double children = 0;  // in its Level, unless its children are leaves
  double step = 0;      // while it is expanded, beside the tape
};
BytesOfRow bytes_of_row(std::span<const LanguageModel* const> models) {
  const double V = double(models[0]->vocabulary()), logs = double(models.size() * sizeof(double));
  BytesOfRow bytes{.states = 0, .children = V * (sizeof(Child) + logs), .step = V * logs};
  for (const LanguageModel* model : models) {
    const State none = model->start(0);
    bytes.states += 2 * double(none.width * int64_t(sizeof(real)) + none.window * 4 + 8);
  }
  return bytes;
}
int64_t rows_at_once(std::span<const LanguageModel* const> models, const World& world) {
  const auto [states, children, step] = bytes_of_row(models);
  return std::clamp<int64_t>(int64_t(double(kWalkBytes) / (states + children + step) / double(world.max_tokens)), 16,
                             2048);
}

class Walk {
 public:
  Walk(std::span<const LanguageModel* const> models, const World& world, int64_t most);
  Enumeration run();

 private:
  void begin();
  void descend(int64_t depth);
  void expand(int64_t depth);
  void leaf(int64_t depth, int32_t row, int32_t token, std::span<const double> log_prob);

  std::span<const LanguageModel* const> models_;
  const World& world_;
  const int64_t most_, vocabulary_;
  int64_t chunk_;
  Tape tape_;
  std::vector<Level> levels_;  // [max_tokens], by the length of their prefixes
  std::vector<double> log_p_, log_next_;
  std::vector<int32_t> last_, draws_;
  std::vector<int64_t> which_;
  int64_t pending_ = 0, draws_found_ = 0;  // prefixes that wait, each the beginning of a sequence at least; all draws
  Enumeration found_;
};

Walk::Walk(std::span<const LanguageModel* const> models, const World& world, int64_t most)
    : models_(models),
      world_(world),
      most_(most),
      vocabulary_(models[0]->vocabulary()),
      log_p_(size_t(vocabulary_)),
      found_{Sequences(world.end_id), std::vector<std::vector<double>>(models.size())} {
  for (const LanguageModel* model : models)
    require(model->vocabulary() == vocabulary_, "enumerate", Loc::here(), "the models have vocabularies of ",
            vocabulary_, " and ", model->vocabulary(), " tokens; they must share one");
  chunk_ = rows_at_once(models, world);
}

// The empty prefix: every model has read the prompt but its last token.
void Walk::begin() {
  levels_.resize(1);
  Level& root = levels_[0];
  root.log_prob.assign(models_.size(), 0);
  for (const LanguageModel* model : models_) {
    State state = model->start(1);
    for (size_t t = 0; t + 1 < world_.prompt.size(); ++t) {
      const Tape::Mark mark(tape_);
      model->next(state, std::span(world_.prompt).subspan(t, 1));
    }
    root.states.push_back(std::move(state));
  }
}

// One token further: the leaves among the children of this level's prefixes go into the result, the others wait.
void Walk::expand(int64_t depth) {
  Level& at = levels_[size_t(depth)];
  const int64_t rows = at.states[0].rows, M = int64_t(models_.size()), V = vocabulary_;
  last_.resize(size_t(rows));
  for (int64_t r = 0; r < rows; ++r) last_[size_t(r)] = depth == 0 ? world_.prompt.back() : at.rows[size_t(r)].token;
  log_next_.assign(size_t(M * rows * V), kImpossible);
  for (int64_t m = 0; m < M; ++m) {
    const Tape::Mark mark(tape_);
    const Tensor logits = models_[size_t(m)]->next(at.states[size_t(m)], last_);
    for (int64_t r = 0; r < rows; ++r) {
      const double before = at.log_prob[size_t(r * M + m)];
      if (before == kImpossible) continue;
      const std::span<const real> row = logits.span().subspan(size_t(r * V), size_t(V));
      log_distribution(row, world_.temperature, log_p_);
      require_numbers(log_p_);
      for (int64_t v = 0; v < V; ++v) log_next_[size_t((r * V + v) * M + m)] = before + log_p_[size_t(v)];
    }
  }
  at.children.clear();
  at.child_log.clear();
  at.next = 0;
  if (depth + 1 < world_.max_tokens) {  // or it would grow to twice what it needs
    at.children.reserve(size_t(rows * V));
    at.child_log.reserve(size_t(rows * V * M));
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < V; ++v) {
      const auto log_prob = std::span(log_next_).subspan(size_t((r * V + v) * M), size_t(M));
      if (std::all_of(log_prob.begin(), log_prob.end(), [](double x) { return x == kImpossible; })) continue;
      if (v == world_.end_id || depth + 1 == world_.max_tokens) {
        leaf(depth, int32_t(r), int32_t(v), log_prob);
      } else {
        at.children.push_back({int32_t(r), int32_t(v)});
        at.child_log.insert(at.child_log.end(), log_prob.begin(), log_prob.end());
        if (found_.sequences.size() + ++pending_ > most_) throw_too_large(world_, V, most_, sequences(most_));
      }
    }
}

// Fills level depth + 1 with the next chunk of children of level depth.
void Walk::descend(int64_t depth) {
  if (levels_.size() == size_t(depth) + 1) levels_.emplace_back();
  Level &from = levels_[size_t(depth)], &to = levels_[size_t(depth) + 1];
  const size_t M = models_.size(), n = std::min(size_t(chunk_), from.children.size() - from.next);
  const auto child = std::span(from.children).subspan(from.next, n);
  which_.clear();
  for (const Child& c : child) which_.push_back(c.row);
  to.rows.assign(child.begin(), child.end());
  const auto log_prob = std::span(from.child_log).subspan(from.next * M, n * M);
  to.log_prob.assign(log_prob.begin(), log_prob.end());
  to.states = from.states;
  for (State& state : to.states) state.select(which_);
  from.next += n;
  pending_ -= int64_t(n);
}

// The sequence that adds `token` to a prefix of `depth` tokens; the levels before hold its other tokens.
void Walk::leaf(int64_t depth, int32_t row, int32_t token, std::span<const double> log_prob) {
  draws_found_ += depth + 1;
  if (found_.sequences.size() == most_) throw_too_large(world_, vocabulary_, most_, sequences(most_));
  if (draws_found_ > kMaxDraws) throw_too_large(world_, vocabulary_, most_, draws());
  draws_.resize(size_t(depth) + 1);
  draws_.back() = token;
  for (int64_t d = depth; d > 0; --d) {
    const Child& at = levels_[size_t(d)].rows[size_t(row)];
    draws_[size_t(d) - 1] = at.token;
    row = at.row;
  }
  found_.sequences.add(draws_);
  for (size_t m = 0; m < log_prob.size(); ++m) found_.log_prob[m].push_back(log_prob[m]);
}

Enumeration Walk::run() {
  const Tape::Use use(tape_);
  begin();
  expand(0);
  const LongLoop loop("listing sequences");
  for (int64_t depth = 0; depth >= 0;) {
    loop.at(found_.sequences.size());
    if (levels_[size_t(depth)].next == levels_[size_t(depth)].children.size()) {
      --depth;
    } else {
      descend(depth);
      expand(++depth);
    }
  }
  return std::move(found_);
}

}  // namespace

void require_listable(std::span<const LanguageModel* const> models, const World& world, int64_t most) {
  const auto excludes = [](const LanguageModel* model) { return !model->counts().empty(); };
  if (std::ranges::all_of(models, excludes)) return;  // what any of them allows is listed
  const Size size = full(world, models[0]->vocabulary(), most);
  if (size.sequences > most) throw_too_large(world, models[0]->vocabulary(), most, sequences(most));
  if (size.draws > kMaxDraws) throw_too_large(world, models[0]->vocabulary(), most, draws());
}

double walk_bytes(std::span<const LanguageModel* const> models, const World& world) {
  const auto [states, children, step] = bytes_of_row(models);
  const int64_t chunk = rows_at_once(models, world), goes_on = models[0]->vocabulary() - (world.end_id >= 0);
  double bytes = 0;
  int64_t rows = 1, most = 1;  // of a level, of the widest
  for (int64_t t = 1; t <= world.max_tokens; ++t, rows = std::min(chunk, rows * goes_on)) {
    bytes += double(rows) * (states + (t < world.max_tokens ? children : 0));
    most = std::max(most, rows);
  }
  double tape = 0;
  for (const LanguageModel* model : models)
    tape = std::max(tape, bytes_of_shards(most, 1, 1, [&](int64_t n) {
                      const NoGrad no_grad;
                      model->logits(std::vector<int32_t>(size_t(n), 0), n, 1);
                    }));
  // What is found grows by doubling, where it is known how much that is: where every token can follow every other.
  const Size size = full(world, models[0]->vocabulary(), kMaxSequences);
  const bool listable = size.sequences <= kMaxSequences && size.draws <= kMaxDraws;
  const double found = !listable ? 0
                                 : double(std::bit_ceil(uint64_t(size.draws))) * sizeof(int32_t) +
                                       double(std::bit_ceil(uint64_t(size.sequences)) * (1 + models.size())) * 8;
  return bytes + double(most) * step + tape + found;
}

Enumeration enumerate(std::span<const LanguageModel* const> models, const World& world, int64_t most) {
  require(!models.empty() && !world.prompt.empty(), "enumerate", Loc::here(), "needs a model and a prompt");
  require(world.max_tokens >= 1, "enumerate", Loc::here(), "max_tokens is ", world.max_tokens, ", it must be positive");
  require(world.temperature > 0, "enumerate", Loc::here(), "the temperature is ", world.temperature,
          ", it must be positive");
  require_listable(models, world, most);
  return Walk(models, world, most).run();
}
Enumeration enumerate(const LanguageModel& model, const World& world, int64_t most) {
  const LanguageModel* const one[] = {&model};
  return enumerate(one, world, most);
}

}  // namespace gradus

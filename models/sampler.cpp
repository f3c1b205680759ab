#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/kernels.h"
#include "engine/long_loop.h"
#include "engine/vmath.h"

namespace gradus {

// Σ exp(x) in the order of x, and p = exp(x) where it is wanted. The exponentials are a loop of their own, which
// vectorises: with libm's, one by one, they were a quarter of the time of drawing from an LSTM.
static double sum_of_exp(std::span<const double> x, double* p) {
  constexpr size_t kBlock = 64;
  double total = 0, block[kBlock];
  for (size_t i = 0; i < x.size(); i += kBlock) {
    const size_t n = std::min(kBlock, x.size() - i);
    double* const e = p ? p + i : block;
    for (size_t k = 0; k < n; ++k) e[k] = vmath::exp(x[i + k]);
    for (size_t k = 0; k < n; ++k) total += e[k];
  }
  return total;
}

// log_distribution, and p = exp(log_p) times what is returned where p is wanted.
static double log_softmax(std::span<const real> logits, double temperature, std::span<double> log_p, double* p) {
  const size_t V = logits.size();
  const double most = double(kernel::max(int64_t(V), logits.data()));
  // Less the largest before the division: a small temperature must not make infinities.
  for (size_t v = 0; v < V; ++v) log_p[v] = double(logits[v]) - most;
  if (temperature > 0) {
    for (double& x : log_p) x /= temperature;
  } else {
    const size_t best = size_t(std::ranges::find(log_p, 0.0) - log_p.begin());
    for (size_t v = 0; v < V && !std::isnan(log_p[v]); ++v)
      log_p[v] = v == best ? 0 : -std::numeric_limits<double>::infinity();
  }
  const double total = sum_of_exp(log_p, p), log_sum = std::log(total);
  for (double& x : log_p) x -= log_sum;
  return total;
}

void log_distribution(std::span<const real> logits, double temperature, std::span<double> log_p) {
  log_softmax(logits, temperature, log_p, nullptr);
}

// A heap gives the likeliest tokens one after the other, as many as the cuts keep: of a large vocabulary that is far
// less than to sort it.
void sampling_distribution(std::span<const real> logits, const SampleOptions& options, std::span<double> log_p,
                           std::span<double> p, std::span<int32_t> order) {
  const size_t V = logits.size();
  double kept = log_softmax(logits, options.temperature, log_p, p.data());

  const bool cut_k = options.top_k > 0 && size_t(options.top_k) < V, cut_p = options.top_p < 1;
  if ((cut_k || cut_p) && kept > 0) {
    const auto later = [&](int32_t a, int32_t b) {
      return p[size_t(a)] != p[size_t(b)] ? p[size_t(a)] < p[size_t(b)] : a > b;
    };
    std::iota(order.begin(), order.end(), 0);
    std::make_heap(order.begin(), order.end(), later);
    size_t out = 0;  // of the heap; they stand behind it, the likeliest last
    const auto next = [&] {
      std::pop_heap(order.begin(), order.end() - int64_t(out), later);
      return p[size_t(order[V - ++out])];
    };
    const size_t most = cut_k ? size_t(options.top_k) : V;
    double among_k = cut_k ? 0 : kept;
    for (size_t i = 0; cut_k && i < most; ++i) among_k += next();
    kept = 0;
    size_t n = 0;
    for (; n < most && (n == 0 || kept < options.top_p * among_k); ++n)
      kept += n < out ? p[size_t(order[V - 1 - n])] : next();
    for (size_t i = n; i < V; ++i) p[size_t(order[V - 1 - i])] = 0;
  }
  for (double& x : p) x /= kept;
}

void find_likeliest(std::span<const double> log_p, std::span<Candidate> best) {
  size_t n = 0;
  for (size_t v = 0; v < log_p.size() && !best.empty(); ++v) {
    if (n == best.size() && !(log_p[v] > best.back().log_prob)) continue;
    size_t at = n < best.size() ? n++ : n - 1;
    for (; at > 0 && log_p[v] > best[at - 1].log_prob; --at) best[at] = best[at - 1];
    best[at] = {int32_t(v), log_p[v]};
  }
}

static constexpr size_t kRows = 256;  // sequences that are scored side by side

void require_numbers(std::span<const double> log_p) {
  if (std::isnan(log_p[0])) throw DivergedError("a logit of the model is not a number: its training diverged");
}

SequenceScorer::SequenceScorer(const LanguageModel& model, int32_t start, double temperature)
    : model_(model), start_(start), temperature_(temperature), direct_(model.direct_scorer(temperature)) {}

std::vector<std::vector<double>> SequenceScorer::operator()(std::span<const std::vector<int32_t>> sequences) {
  std::vector<std::vector<double>> log_probs(sequences.size());
  for (size_t i = 0; i < sequences.size() && direct_; ++i) {
    if (sequences[i].empty()) continue;
    std::vector<int32_t> inputs{start_};
    inputs.insert(inputs.end(), sequences[i].begin(), sequences[i].end() - 1);
    log_probs[i] = direct_->log_probs(inputs, sequences[i]);
  }
  if (direct_) return log_probs;
  std::vector<size_t> order(sequences.size());  // longest first: the rows that go on are always the first ones
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return sequences[i].size(); });
  for (size_t first = 0; first < order.size(); first += kRows)
    score_rows(sequences, std::span(order).subspan(first, std::min(kRows, order.size() - first)), log_probs);
  return log_probs;
}

// `rows` are the sequences to score, longest first.
void SequenceScorer::score_rows(std::span<const std::vector<int32_t>> sequences, std::span<const size_t> rows,
                                std::span<std::vector<double>> log_probs) const {
  const size_t V = size_t(model_.vocabulary());
  std::vector<double> log_p(V);
  Tape tape;
  const Tape::Use use(tape);
  State state = model_.start(int64_t(rows.size()));
  std::vector<int32_t> last(rows.size(), start_);
  const LongLoop loop("scoring tokens", int64_t(sequences[rows[0]].size()));
  for (size_t t = 0;; ++t) {
    loop.at(int64_t(t));
    size_t alive = 0;
    while (alive < last.size() && sequences[rows[alive]].size() > t) ++alive;
    if (alive == 0) break;
    if (alive < last.size()) {
      std::vector<int64_t> kept(alive);
      std::iota(kept.begin(), kept.end(), 0);
      state.select(kept);
      last.resize(alive);
    }
    const Tape::Mark mark(tape);
    const Tensor logits = model_.next(state, last);
    for (size_t b = 0; b < alive; ++b) {
      last[b] = sequences[rows[b]][t];
      log_distribution(logits.span().subspan(b * V, V), temperature_, log_p);
      require_numbers(log_p);
      log_probs[rows[b]].push_back(log_p[size_t(last[b])]);
    }
  }
}

std::vector<std::vector<double>> score_sequences(const LanguageModel& model, int32_t start,
                                                 std::span<const std::vector<int32_t>> sequences, double temperature) {
  return SequenceScorer(model, start, temperature)(sequences);
}

Sampler::Sampler(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts, std::span<const int32_t> of,
                 const SampleOptions& options, const Rng& rng, int64_t first_sequence)
    : model_(model),
      options_(options),
      rng_(rng),
      first_sequence_(first_sequence),
      state_(model.begin(int64_t(of.size()), rng, first_sequence)),
      order_(size_t(model.vocabulary())),
      log_p_(size_t(model.vocabulary())),
      p_(log_p_.size()) {
  for (size_t i = 0; i < of.size() && options.max_tokens > 0; ++i) {
    const std::vector<int32_t>& prompt = prompts[size_t(of[i])];
    require(!prompt.empty(), "Sampler", Loc::here(), "prompt ", of[i],
            " is empty; a model needs a token to go on from");
    rows_.push_back({int64_t(i), prompt});
    token_.push_back(prompt[0]);
  }
  options_.likeliest = std::clamp<int64_t>(options_.likeliest, 0, model.vocabulary());
  open_.reserve(rows_.size());
  draws_.reserve(rows_.size());
  likeliest_.resize(rows_.size() * size_t(options_.likeliest));
}

// A row that has ended keeps its end mark as its token.
bool Sampler::goes_on(size_t row) const {
  const int64_t drawn = read_ + 1 - int64_t(rows_[row].prompt.size());
  return drawn <= 0 || (drawn < options_.max_tokens && token_[row] != options_.end_id);
}

bool Sampler::next() {
  draws_.clear();
  if (rows_.empty()) return false;
  const Tape::Mark mark(Tape::current(Loc::here()));
  const Tensor logits = model_.next(state_, token_);
  const size_t V = size_t(model_.vocabulary());
  for (size_t r = 0; r < rows_.size(); ++r) {
    const auto& [sequence, prompt] = rows_[r];
    if (!goes_on(r)) continue;
    const int64_t t = read_ + 1 - int64_t(prompt.size());  // index of the draw; below 0 the prompt goes on
    if (t < 0) {
      token_[r] = prompt[size_t(read_ + 1)];
      continue;
    }
    sampling_distribution(logits.span().subspan(r * V, V), options_, log_p_, p_, order_);
    require_numbers(log_p_);
    token_[r] = int32_t(categorical(p_, rng_.at(first_sequence_ + sequence).uniform(t)));
    const size_t K = size_t(options_.likeliest);
    const std::span<Candidate> best = std::span(likeliest_).subspan(r * K, K);
    find_likeliest(log_p_, best);
    draws_.push_back({sequence, token_[r], log_p_[size_t(token_[r])], best});
  }
  ++read_;
  close_up();
  return true;
}

// Leaves out the rows that have ended, once they are a quarter: to leave out a few costs more than it saves.
void Sampler::close_up() {
  open_.clear();
  for (size_t r = 0; r < rows_.size(); ++r)
    if (goes_on(r)) open_.push_back(int64_t(r));
  if (4 * open_.size() > 3 * rows_.size()) return;
  state_.select(open_);
  for (size_t i = 0; i < open_.size(); ++i) {
    rows_[i] = rows_[size_t(open_[i])];
    token_[i] = token_[size_t(open_[i])];
  }
  rows_.resize(open_.size());
  token_.resize(open_.size());
}

std::vector<Drawn> draw_sequences(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts,
                                  std::span<const int32_t> of, const SampleOptions& options, const Rng& rng,
                                  int64_t first_sequence, const std::function<void(const Sampler::Draw&)>& watch) {
  std::vector<Drawn> drawn(of.size());
  Sampler sampler(model, prompts, of, options, rng, first_sequence);
  const LongLoop loop("drawing tokens", options.max_tokens);
  for (int64_t t = 0; sampler.next(); ++t) {
    for (const Sampler::Draw& d : sampler.draws()) {
      drawn[size_t(d.sequence)].tokens.push_back(d.token);
      drawn[size_t(d.sequence)].log_probs.push_back(d.log_prob);
      if (options.likeliest > 0)
        drawn[size_t(d.sequence)].likeliest.emplace_back(d.likeliest.begin(), d.likeliest.end());
      if (watch && d.sequence == 0) watch(d);
    }
    loop.at(t);
  }
  return drawn;
}

int64_t side_by_side(const LanguageModel& model) {
  constexpr int64_t kMost = 32, kBytes = int64_t(64) << 20;
  return std::clamp<int64_t>(kBytes / (1 + model.begin(0, Rng(0, Stream::kSample), 0).width * int64_t(sizeof(real))), 1,
                             kMost);
}

std::vector<Drawn> draw_sequences(const LanguageModel& model, const std::vector<int32_t>& prompt, int64_t first,
                                  int64_t count, const SampleOptions& options, const Rng& rng, Pool& pool,
                                  const std::function<void(const Sampler::Draw&)>& watch) {
  const int64_t rows = side_by_side(model);
  const std::vector<int32_t> of(static_cast<size_t>(rows), 0);
  std::vector<Drawn> drawn(static_cast<size_t>(count));
  pool.each(int((count + rows - 1) / rows), [&](int group) {
    Tape tape;
    const Tape::Use use(tape);
    const int64_t begin = group * rows, n = std::min(rows, count - begin);
    std::vector<Drawn> part = draw_sequences(model, {&prompt, 1}, std::span(of).first(size_t(n)), options, rng,
                                             first + begin, group == 0 ? watch : nullptr);
    std::move(part.begin(), part.end(), drawn.begin() + begin);
  });
  return drawn;
}

}  // namespace gradus

#include "models/posterior/posterior_model.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "models/families.h"
#include "models/sampler.h"

namespace gradus {
namespace {

double log_add(double a, double b) {
  const double most = std::max(a, b);
  return most == -INFINITY ? most : most + std::log1p(std::exp(std::min(a, b) - most));
}

// log_w -= log Σ exp(log_w)
template <class T>
void normalise(std::span<T> log_w) {
  double sum = -INFINITY;
  for (const T w : log_w) sum = log_add(sum, double(w));
  for (T& w : log_w) w = T(double(w) - sum);
}

// What each draw has prepared for a state.
struct PreparedDraws : Prepared {
  std::vector<std::shared_ptr<const Prepared>> of_draw;
};

}  // namespace

PosteriorModel::PosteriorModel(std::unique_ptr<LanguageModel> net, int64_t draws)
    : LanguageModel(net->options(), net->vocabulary()), net_(std::move(net)), draws_(size_t(draws)) {
  if (!net_->predicts_next()) throw DataError("--posterior: a masked model says nothing of what follows a text");
  if (net_->params().count() == 0) throw DataError("--posterior: this model has no parameters");
  require(draws > 0, "PosteriorModel", Loc::here(), "there are no draws");
}

std::unique_ptr<LanguageModel> PosteriorModel::new_net(int64_t seed) const {
  const std::span<const double> counts = net_->counts();
  ModelOptions own = options();
  own.seed = seed;
  auto twin = declare_model(own, vocabulary(), {counts.begin(), counts.end()});
  twin->params().allocate();
  twin->use_rung(rung());
  return twin;
}

void PosteriorModel::use_rung(const Rung& rung) {
  LanguageModel::use_rung(rung);
  net_->use_rung(rung);
  if (mean_) mean_->use_rung(rung);
  for (const auto& draw : draws_)
    if (draw) draw->use_rung(rung);
}

void PosteriorModel::refresh() const {
  const std::lock_guard lock(mutex_);
  if (is_fresh_ && version_ == params_.version()) return;
  std::vector<double> mean(static_cast<size_t>(net_->params().declared_size())), deviation(mean.size());
  if (!mean_) {
    mean_ = new_net();
    for (auto& draw : draws_) draw = new_net();
  }
  if (params_.size() > 0) {
    for (int64_t k = 0; k < draws(); ++k) write_draw(k, draws_[size_t(k)]->params().edit());
    moments(mean, deviation);
    std::ranges::transform(mean, mean_->params().edit().begin(), [](double x) { return real(x); });
  }
  version_ = params_.version();
  is_fresh_ = true;
}

const LanguageModel& PosteriorModel::plain() const {
  refresh();
  return *mean_;
}

const LanguageModel& PosteriorModel::draw(int64_t k) const {
  refresh();
  return *draws_[size_t(k)];
}

Tensor PosteriorModel::encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  refresh();
  Tape& tape = Tape::current(Loc::here());
  const int64_t V = vocabulary(), N = B * T;
  const Tensor y = named("log p", constant({N, V}, 0));
  const Tape::Mark mark(tape);
  Arena& arena = tape.arena();
  const std::span<double> sum(arena.array<double>(N * V), size_t(N * V)), total(arena.array<double>(N), size_t(N));
  const std::span<double> log_p(arena.array<double>(V), size_t(V));
  std::ranges::fill(sum, -INFINITY);
  std::ranges::fill(total, -INFINITY);
  for (const auto& draw : draws_) {
    const Tape::Mark of_draw(tape);
    const Tensor logits = draw->logits(tokens, B, T);
    if (tape.measures()) continue;
    for (int64_t b = 0; b < B; ++b) {
      double log_w = 0;
      int64_t marks = 0;
      for (int64_t t = 0; t < T; ++t) {
        const int64_t i = b * T + t;
        const int32_t token = tokens[size_t(i)];
        if (t > 0 && is_evidence(marks)) log_w += log_p[size_t(token)];  // of the row before
        marks += token == options().end_id;
        log_distribution(logits.rows(i, 1).span(), 1, log_p);
        total[size_t(i)] = log_add(total[size_t(i)], log_w);
        for (int64_t v = 0; v < V; ++v) {
          double& s = sum[size_t(i * V + v)];
          s = log_add(s, log_w + log_p[size_t(v)]);
        }
      }
    }
  }
  if (tape.measures()) return y;
  const std::span<real> out = Tensor(y).edit();
  for (int64_t i = 0; i < N * V; ++i) out[size_t(i)] = real(sum[size_t(i)] - total[size_t(i / V)]);
  return y;
}

// A row of the state holds the marks it has read, log w_k [K], log p(· | x_<t, θ_k) [K,V], and what each draw
// remembers. Windows and positions are those of the draws, which all read the same.
State PosteriorModel::start(int64_t B) const {
  refresh();
  const State of_draw = draws_[0]->start(B);
  State state(B, 1 + draws() * (1 + vocabulary() + of_draw.width), of_draw.window);
  state.tokens = of_draw.tokens;
  state.position = of_draw.position;
  const int64_t first = 1 + draws() * (1 + vocabulary());
  for (int64_t r = 0; r < B; ++r)
    for (int64_t k = 0; k < draws(); ++k)
      std::copy_n(of_draw.memory.data() + r * of_draw.width, of_draw.width, state.row(r) + first + k * of_draw.width);
  return state;
}

void PosteriorModel::measure_prepared() const {
  for (int64_t k = 0; k < draws(); ++k) draw(k).measure_prepared();
}

Tensor PosteriorModel::advance(State& state, std::span<const int32_t> tokens) const {
  refresh();
  Tape& tape = Tape::current(Loc::here());
  const int64_t V = vocabulary(), K = draws(), B = state.rows, first = 1 + K * (1 + V);
  const int64_t width = (state.width - first) / K;
  const Tensor y = named("log p", constant({B, V}, 0));
  for (int64_t r = 0; r < B && !tape.measures(); ++r) {
    real* const row = state.row(r);
    const int64_t marks = std::lround(row[0]);
    if (is_evidence(marks))  // the zeros of a row that has read nothing leave the weights equal
      for (int64_t k = 0; k < K; ++k) row[1 + k] += row[1 + K + k * V + tokens[size_t(r)]];
    normalise(std::span(row + 1, size_t(K)));
    row[0] = real(marks + (tokens[size_t(r)] == options().end_id));
  }
  const Tape::Mark mark(tape);
  Arena& arena = tape.arena();
  const std::span<double> sum(arena.array<double>(B * V), size_t(B * V)), log_p(arena.array<double>(V), size_t(V));
  std::ranges::fill(sum, -INFINITY);
  const auto* before = static_cast<const PreparedDraws*>(state.prepared.get());
  auto prepared = std::make_shared<PreparedDraws>();
  State own(B, width, state.window);  // of one draw after the other
  for (int64_t k = 0; k < K; ++k) {
    const Tape::Mark of_draw(tape);
    own.tokens = state.tokens;
    own.position = state.position;
    own.prepared = before ? before->of_draw[size_t(k)] : nullptr;
    for (int64_t r = 0; r < B; ++r) std::copy_n(state.row(r) + first + k * width, width, own.row(r));
    const Tensor logits = draws_[size_t(k)]->next(own, tokens);
    for (int64_t r = 0; r < B && !tape.measures(); ++r) {
      real* const row = state.row(r);
      log_distribution(logits.rows(r, 1).span(), 1, log_p);
      for (int64_t v = 0; v < V; ++v) {
        double& s = sum[size_t(r * V + v)];
        s = log_add(s, double(row[1 + k]) + log_p[size_t(v)]);
        row[1 + K + k * V + v] = real(log_p[size_t(v)]);
      }
      std::copy_n(own.row(r), width, row + first + k * width);
    }
    prepared->of_draw.push_back(std::move(own.prepared));
  }
  std::swap(state.tokens, own.tokens);
  std::swap(state.position, own.position);
  state.prepared = std::move(prepared);
  if (tape.measures()) return y;
  std::ranges::transform(sum, Tensor(y).edit().begin(), [](double x) { return real(x); });
  return y;
}

}  // namespace gradus

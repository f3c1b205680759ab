#include "models/adapter.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "models/families.h"

namespace gradus {

std::unique_ptr<LanguageModel> clone_with(const LanguageModel& model, const ModelOptions& options) {
  const std::span<const double> counts = model.counts();
  auto twin = declare_model(options, model.vocabulary(), {counts.begin(), counts.end()});
  twin->params().allocate();
  twin->params().copy_from(model.plain().params());
  return twin;
}

AdaptedModel::AdaptedModel(std::unique_ptr<LanguageModel> base, Adapter adapter, uint64_t seed)
    : LanguageModel(base->options(), base->vocabulary()),
      adapter_(adapter),
      seed_(seed),
      base_(base->params().clone()),
      net_(std::move(base)) {
  for (int64_t i = 0; i < base_.count(); ++i) {
    const Shape& w = base_.shape(i);
    if (w.rank() != 2) continue;
    const int64_t R = std::min({adapter.rank, w[0], w[1]});
    matrices_.push_back({.of = i,
                         .a = params_.add(base_.name(i) + ".lora.a", {w[0], R}, Init::normal(1 / std::sqrt(double(R)))),
                         .b = params_.add(base_.name(i) + ".lora.b", {R, w[1]}, Init::constant(0))});
  }
  if (matrices_.empty()) throw DataError("--adapter: this model has no matrix to adapt");
  base_.freeze("");
  net_->params().freeze("");
  params_.init(seed);
  merged_ = params_.version();
}

Tensor AdaptedModel::changed(const Matrix& m) const { return add(base_.tensor(m.of), matmul(m.a, m.b)); }

// Writes the changed matrices into the net, where they have changed: the same ops and so the same bits as on a tape.
void AdaptedModel::refresh() const {
  const std::lock_guard lock(mutex_);
  if (merged_ == params_.version()) return;
  Tape tape;
  const Tape::Use use(tape);
  for (const Matrix& m : matrices_) {
    const Tape::Mark mark(tape);
    std::ranges::copy(changed(m).span(), net_->params().edit(m.of).begin());
  }
  merged_ = params_.version();
}

// Whether this step of the current tape has the changed matrices in the place of the net's: an op is then given other
// numbers than the net's own.
bool AdaptedModel::are_in_place() const {
  const Tensor w = net_->params().tensor(matrices_[0].of);
  return w.rows(0, w.dim(0)).value(Loc::here())->data != w.value(Loc::here())->data;
}

// Where gradients are recorded the matrices are results of ops on this tape; elsewhere their numbers will do.
void AdaptedModel::put_in_place() const {
  refresh();
  if (are_in_place()) return;
  Tape& tape = Tape::current(Loc::here());
  for (const Matrix& m : matrices_) {
    const Tensor w = changed(m);
    if (!w.value(Loc::here())->needs_grad) return;
    tape.bind(net_->params().tensor(m.of), w);
  }
}

Tensor AdaptedModel::encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  put_in_place();
  return net_->features(tokens, B, T);
}
Tensor AdaptedModel::encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B,
                                   int64_t T) const {
  put_in_place();
  return net_->features(tokens, lengths, B, T);
}
Tensor AdaptedModel::head(const Tensor& features) const {
  put_in_place();
  return net_->head(features);
}
Tensor AdaptedModel::logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  put_in_place();
  return net_->logits(tokens, B, T);
}
Tensor AdaptedModel::losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                            int64_t T) const {
  put_in_place();
  return net_->losses(tokens, targets, B, T);
}
Tensor AdaptedModel::token_vectors() const { return plain().token_vectors(); }
State AdaptedModel::start(int64_t B) const { return plain().start(B); }
State AdaptedModel::begin(int64_t B, const Rng& rng, int64_t first) const { return plain().begin(B, rng, first); }
void AdaptedModel::measure_prepared() const { plain().measure_prepared(); }
Tensor AdaptedModel::advance(State& state, std::span<const int32_t> tokens) const {
  refresh();
  return net_->next(state, tokens);
}
std::unique_ptr<DirectScorer> AdaptedModel::direct_scorer(double temperature) const {
  return plain().direct_scorer(temperature);
}

void AdaptedModel::use_rung(const Rung& rung) {
  LanguageModel::use_rung(rung);
  net_->use_rung(rung);
}

const LanguageModel& AdaptedModel::plain() const {
  refresh();
  return *net_;
}

std::unique_ptr<LanguageModel> AdaptedModel::copy() const {
  std::unique_ptr<LanguageModel> net = clone(*net_);
  net->params().copy_from(base_);
  auto twin = std::make_unique<AdaptedModel>(std::move(net), adapter_, seed_);
  twin->params().copy_from(params_);
  return twin;
}

}  // namespace gradus

#include "rl/value.h"

#include <algorithm>

#include "models/families.h"

namespace gradus {

ValueNetwork::ValueNetwork(const LanguageModel& policy, bool own_encoder) {
  if (own_encoder) {
    const std::span<const double> counts = policy.counts();
    encoder_ = declare_model(policy.options(), policy.vocabulary(), {counts.begin(), counts.end()});
    encoder_->use_rung(policy.rung());
  }
  w_ = params().add("weight", {1, policy.width()}, Init::constant(0));
  b_ = params().add("bias", {1}, Init::constant(0));
  params().allocate();
  if (own_encoder) std::ranges::copy(policy.plain().params().data(), params().edit().begin());
}

Tensor ValueNetwork::operator()(const Tensor& features) const {
  return add_rows(matmul_nt(encoder_ ? features : detach(features), w_), b_);
}

}  // namespace gradus

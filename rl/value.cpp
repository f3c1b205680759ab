#include "rl/value.h"

namespace gradus {

ValueNetwork::ValueNetwork(const LanguageModel& policy) {
  w_ = params_.add("value.weight", {1, policy.width()}, Init::constant(0));
  b_ = params_.add("value.bias", {1}, Init::constant(0));
  params_.init(0);
}

Tensor ValueNetwork::operator()(const Tensor& features) const { return add_rows(matmul_nt(detach(features), w_), b_); }

}  // namespace gradus

#include "rl/value.h"

namespace gradus {

// How many features a model makes is known once it has made some.
static int64_t width(const LanguageModel& policy) {
  Tape tape;
  const Tape::Use use(tape);
  const NoGrad no_grad;
  const int32_t token = 0;
  return policy.features({&token, 1}, 1, 1).dim(1);
}

ValueNetwork::ValueNetwork(const LanguageModel& policy) {
  w_ = params_.add("value.weight", {1, width(policy)}, Init::constant(0));
  b_ = params_.add("value.bias", {1}, Init::constant(0));
  params_.init(0);
}

Tensor ValueNetwork::operator()(const Tensor& features) const { return add_rows(matmul_nt(detach(features), w_), b_); }

}  // namespace gradus

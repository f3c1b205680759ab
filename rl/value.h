// A value network: b_φ(h) = w · f(h) + c on features f of a prefix h, fitted to the returns by least squares. The
// features are those that the policy makes, which it then reads and never changes, or those of an encoder of its own: a
// copy of the policy as it began, which is trained with it.
#pragma once

#include "engine/ops.h"
#include "engine/optim.h"
#include "models/language_model.h"

namespace gradus {

class ValueNetwork {
 public:
  // w and c are 0 at the start: the first advantages are the returns themselves. Parameters weight [1,C], bias [1],
  // behind those of its own encoder if it has one (its head too, which nothing reads); a checkpoint has them under
  // `value.`.
  explicit ValueNetwork(const LanguageModel& policy, bool own_encoder = false);
  ValueNetwork(const ValueNetwork&) = delete;

  Tensor operator()(const Tensor& features) const;                 // [N,C] → [N,1], on the current tape
  const LanguageModel* encoder() const { return encoder_.get(); }  // its own; null: the features are the policy's
  Params& params() { return encoder_ ? encoder_->params() : params_; }
  const Params& params() const { return encoder_ ? encoder_->params() : params_; }

 private:
  std::unique_ptr<LanguageModel> encoder_;
  Params params_;
  Tensor w_, b_;
};

}  // namespace gradus

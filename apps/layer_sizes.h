// How large gradient and update of each layer are beside its weights, measured around one step of the optimiser: a
// layer that stands still or jumps is seen here first. `gradus look` draws what the log has.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/io/json.h"
#include "engine/params.h"

namespace gradus {

// The layer that a parameter belongs to, by its name: up to the first part that is a number, or behind _l:
// h.0.attn.c_attn.weight → h.0, lstm.weight_ih_l1 → lstm.1, wte.weight → wte.
std::string layer_of(const std::string& parameter);

class LayerSizes {
 public:
  // Before the step, with the gradient as it is, not clipped. Copies the weights.
  LayerSizes(const Params& params, std::span<const real> gradient);
  // After it: the record of the log, {"type":"layers","step","layers":[{"name","grad_norm","update_ratio"},...]}.
  // update_ratio: |w after − w before| / |w before|, Euclidean; null where the weights were 0. The squares of grad_norm
  // sum to that of the step.
  Json record(int64_t step, const Params& params) const;

 private:
  struct Layer {
    std::string name;
    double gradient = 0, weights = 0;  // sums of squares
  };
  std::vector<Layer> layers_;  // in the order of the parameters
  std::vector<real> before_;
};

}  // namespace gradus

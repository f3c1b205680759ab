// Layers: a few parameters and the ops that apply them to a tensor. Plain structs, no base class, no training flag.
#pragma once

#include <string>

#include "engine/params.h"
#include "engine/rung.h"

namespace gradus {

// x w + b between hidden vectors, w [in,out] of the given maps. With `bias` false b stays empty.
struct Linear {
  Tensor w, b;
  Linear(Params& params, const std::string& name, int64_t in, int64_t out, Init init, bool bias,
         HiddenMaps maps = kOneMap)
      : w(params.add(name + ".weight", {in, out}, init, maps)) {
    if (bias) b = params.add(name + ".bias", {out}, Init::constant(0));
  }
  Tensor operator()(const Tensor& x, Loc where = Loc::here()) const { return linear(x, w, b, where); }
};

struct LayerNorm {
  std::string scope;  // the last part of its name
  Tensor g, b;
  LayerNorm(Params& params, const std::string& name, int64_t C, bool bias)
      : scope(name.substr(name.rfind('.') + 1)), g(params.add(name + ".weight", {C}, Init::constant(1))) {
    if (bias) b = params.add(name + ".bias", {C}, Init::constant(0));
  }
  Tensor operator()(const Rung& rung, const Tensor& x, Loc where = Loc::here()) const {
    const Tape::Scope inside(scope.c_str());
    return rung.layer_norm(x, g, b, where);
  }
};

}  // namespace gradus

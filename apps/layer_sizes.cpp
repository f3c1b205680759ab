#include "apps/layer_sizes.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/io/json_number.h"

namespace gradus {

std::string layer_of(const std::string& parameter) {
  const auto is_number = [](std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isdigit(c); });
  };
  std::string first = parameter.substr(0, parameter.find('.'));
  for (size_t at = 0, end; at < parameter.size(); at = end + 1) {
    end = std::min(parameter.find('.', at), parameter.size());
    if (is_number(std::string_view(parameter).substr(at, end - at))) return parameter.substr(0, end);
  }
  const size_t behind = parameter.rfind("_l");
  if (behind == std::string::npos || !is_number(std::string_view(parameter).substr(behind + 2))) return first;
  return first + "." + parameter.substr(behind + 2);
}

static double squares(std::span<const real> x) {
  double sum = 0;
  for (const real v : x) sum += double(v) * double(v);
  return sum;
}

LayerSizes::LayerSizes(const Params& params, std::span<const real> gradient)
    : before_(params.data().begin(), params.data().end()) {
  for (int64_t i = 0; i < params.count(); ++i) {
    const std::string name = layer_of(params.name(i));
    auto at = std::find_if(layers_.begin(), layers_.end(), [&](const Layer& l) { return l.name == name; });
    if (at == layers_.end()) at = layers_.insert(at, {.name = name});
    at->gradient += squares(gradient.subspan(size_t(params.offset(i)), size_t(params.shape(i).numel())));
    at->weights += squares(params.values(i));
  }
}

Json LayerSizes::record(int64_t step, const Params& params) const {
  std::vector<double> moved(layers_.size());
  for (int64_t i = 0; i < params.count(); ++i) {
    const std::string name = layer_of(params.name(i));
    const auto at = std::find_if(layers_.begin(), layers_.end(), [&](const Layer& l) { return l.name == name; });
    const std::span<const real> now = params.values(i);
    const real* before = before_.data() + params.offset(i);
    for (size_t k = 0; k < now.size(); ++k) {
      const double by = double(now[k]) - double(before[k]);
      moved[size_t(at - layers_.begin())] += by * by;
    }
  }
  Json layers = Json::array();
  for (size_t l = 0; l < layers_.size(); ++l) {
    const auto& [name, gradient, weights] = layers_[l];
    layers.push_back({{"name", name},
                      {"grad_norm", json_number(std::sqrt(gradient))},
                      {"update_ratio", weights > 0 ? json_number(std::sqrt(moved[l] / weights)) : Json(nullptr)}});
  }
  return {{"type", "layers"}, {"step", step}, {"layers", layers}};
}

}  // namespace gradus

// The model of a golden file, with its weights.
#pragma once

#include <memory>
#include <string>

#include "engine/io/json.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "tests/golden.h"

namespace gradus::testing {

inline std::unique_ptr<LanguageModel> golden_model(const Golden& golden, const std::string& ops) {
  const auto json = Json::parse(golden.file().metadata().at("config"));
  Config config;
  config.model = json.at("model").get<std::string>();
  config.layers = json.at("layers").get<int64_t>();
  config.heads = json.at("heads").get<int64_t>();
  config.embd = json.at("embd").get<int64_t>();
  config.hidden = json.at("hidden").get<int64_t>();
  config.context = json.at("context").get<int64_t>();
  config.ops = ops;
  config.resolve(1);
  auto model = make_model(config, json.at("vocab").get<int64_t>());
  Params& params = model->params();
  size_t weights = 0;
  for (const TensorInfo& info : golden.file().tensors()) weights += info.name.starts_with("weight/");
  REQUIRE(weights == size_t(params.count()));
  for (int64_t i = 0; i < params.count(); ++i) {
    const TensorInfo& info = golden.file().at("weight/" + params.name(i));
    REQUIRE(int(info.shape.size()) == params.shape(i).rank());
    for (int d = 0; d < params.shape(i).rank(); ++d) REQUIRE(info.shape[size_t(d)] == params.shape(i)[d]);
    golden.file().read(info, params.edit(i));
  }
  return model;
}

}  // namespace gradus::testing

// gradus inspect: lists what a safetensors file holds, whether gradus or another program wrote it.
#include <algorithm>
#include <cstdio>

#include "apps/commands.h"
#include "apps/format.h"
#include "apps/posterior_summary.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/io/safetensors.h"
#include "engine/kernels.h"
#include "models/run/checkpoint.h"
#include "models/text/utf8.h"

namespace gradus {

// √Σ x²; none for numbers that are not floating-point. A large array is read in parts.
static std::optional<double> norm_of(const SafetensorsFile& file, const TensorInfo& tensor) {
  if (tensor.dtype != "F64" && tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16") return {};
  constexpr uint64_t kAtOnce = 1 << 16;
  const uint64_t n = uint64_t(tensor.numel());
  std::vector<double> values, norms;
  for (uint64_t first = 0; first < n; first += values.size()) {
    values.resize(std::min(kAtOnce, n - first));
    file.read_part(tensor, first, values);
    norms.push_back(kernel::norm(int64_t(values.size()), values.data()));
  }
  return norms.size() == 1 ? norms[0] : kernel::norm(int64_t(norms.size()), norms.data());
}

// The optimiser's moments of all parameters, which --json lists, are one line for a person.
static bool is_moment(const TensorInfo& t) { return t.name.starts_with("adam."); }

static void print_tensors(const SafetensorsFile& file, const Json& tensors) {
  int64_t numbers = 0, moments = 0, of_moments = 0;
  size_t width = 4;
  for (const TensorInfo& t : file.tensors())
    if (!is_moment(t)) width = std::max(width, one_line(t.name, 80).size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const TensorInfo& t = file.tensors()[i];
    numbers += t.numel();
    if (is_moment(t)) {
      ++moments;
      of_moments += t.numel();
      continue;
    }
    const Json& norm = tensors[i]["norm"];
    std::printf("%-*s  %-4s  %-12s  %s\n", int(width), one_line(t.name, 80).c_str(), one_line(t.dtype, 8).c_str(),
                Json(t.shape).dump().c_str(),
                norm.is_null()     ? "-"
                : norm.is_number() ? ("norm " + significant(norm.get<double>(), 5)).c_str()
                                   : ("norm " + norm.get<std::string>()).c_str());
  }
  if (moments > 0)
    std::printf("%s tensors adam.m.*, adam.v.*: moments of the optimiser, %s numbers (--json)\n",
                grouped(moments).c_str(), grouped(of_moments).c_str());
  std::printf("%zu tensors, %s numbers\n", file.tensors().size(), grouped(numbers).c_str());
}

// Of a run with a posterior over its parameters, what posterior_parameters() says; else null.
static Json posterior_of_run(const SafetensorsFile& file, const Common& common) {
  const auto config = file.metadata().find("config");
  if (!file.is_ours() || config == file.metadata().end() || config->second.find("\"posterior\"") == std::string::npos)
    return {};
  const Checkpoint run = load_any_checkpoint(file.path());
  note_burn_in(run, common);
  return posterior_in(*run.model) ? posterior_parameters(run) : Json();
}

static void print_posterior(const Json& parameters) {
  std::printf(
      "the posterior of each parameter, as root mean squares over its numbers,\nand mean ± deviation of each where "
      "there are few:\n");
  constexpr size_t kInLine = 4;
  for (const Json& p : parameters) {
    std::printf("%-32s  mean %s  deviation %s\n", one_line(p["name"].get<std::string>(), 32).c_str(),
                significant(p["mean"].get<double>(), 5).c_str(), significant(p["spread"].get<double>(), 5).c_str());
    for (size_t i = 0; p.contains("means") && i < p["means"].size(); ++i)
      std::printf("%s%s ± %s%s", i % kInLine == 0 ? "    " : ", ", significant(p["means"][i].get<double>(), 3).c_str(),
                  significant(p["deviations"][i].get<double>(), 3).c_str(),
                  i % kInLine == kInLine - 1 || i + 1 == p["means"].size() ? "\n" : "");
  }
}

int inspect(const InspectCommand& command) {
  const SafetensorsFile file = SafetensorsFile::open(checkpoint_path(command.file));
  Json tensors = Json::array();
  for (const TensorInfo& t : file.tensors())
    tensors.push_back(
        {{"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}, {"norm", json_number(norm_of(file, t))}});
  const Json posterior = posterior_of_run(file, command.common);
  if (command.common.json) {
    Json result{{"tensors", tensors}, {"metadata", file.metadata()}};
    if (!posterior.is_null()) result["posterior"] = posterior;
    std::printf("%s\n", result.dump().c_str());
    return kDone;
  }
  print_tensors(file, tensors);
  if (!posterior.is_null()) print_posterior(posterior);
  for (const auto& [key, value] : file.metadata())
    std::printf("%s: %s\n", one_line(key, 40).c_str(), one_line(value, 76 - std::min<size_t>(key.size(), 40)).c_str());
  return kDone;
}

}  // namespace gradus

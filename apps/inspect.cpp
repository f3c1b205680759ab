// gradus inspect: lists what a safetensors file holds, whether gradus or another program wrote it.
#include <cstdio>

#include "apps/commands.h"
#include "apps/format.h"
#include "apps/json_number.h"
#include "engine/io/safetensors.h"
#include "engine/kernels.h"
#include "models/run/checkpoint.h"
#include "models/text/utf8.h"

namespace gradus {

// √Σ x²; none for numbers that are not floating-point.
static std::optional<double> norm_of(const SafetensorsFile& file, const TensorInfo& tensor) {
  if (tensor.dtype != "F64" && tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16") return {};
  std::vector<double> values(size_t(tensor.numel()));
  file.read(tensor, std::span<double>(values));
  return kernel::norm(int64_t(values.size()), values.data());
}

int inspect(const InspectCommand& command) {
  const SafetensorsFile file = SafetensorsFile::open(checkpoint_path(command.file));
  Json tensors = Json::array();
  for (const TensorInfo& t : file.tensors())
    tensors.push_back(
        {{"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}, {"norm", json_number(norm_of(file, t))}});
  if (command.common.json) {
    std::printf("%s\n", Json{{"tensors", tensors}, {"metadata", file.metadata()}}.dump().c_str());
    return kDone;
  }
  int64_t numbers = 0;
  size_t width = 4;
  for (const TensorInfo& t : file.tensors()) width = std::max(width, t.name.size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const TensorInfo& t = file.tensors()[i];
    numbers += t.numel();
    const Json& norm = tensors[i]["norm"];
    std::printf("%-*s  %-4s  %-12s  %s\n", int(width), t.name.c_str(), t.dtype.c_str(), Json(t.shape).dump().c_str(),
                norm.is_null()     ? "-"
                : norm.is_number() ? ("norm " + fixed(norm.get<double>(), 4)).c_str()
                                   : ("norm " + norm.get<std::string>()).c_str());
  }
  std::printf("%zu tensors, %s numbers\n", file.tensors().size(), grouped(numbers).c_str());
  for (const auto& [key, value] : file.metadata())
    std::printf("%s: %s\n", one_line(key, 40).c_str(), one_line(value, 80).c_str());
  return kDone;
}

}  // namespace gradus

#include "models/adapter_spec.h"

#include <charconv>
#include <string_view>

#include "engine/error.h"

namespace gradus {

Adapter Adapter::parse(const std::string& spec) {
  constexpr std::string_view kLora = "lora:";
  constexpr int64_t kMost = 1 << 16;
  int64_t rank = 0;
  if (spec.starts_with(kLora)) {
    const auto [end, error] = std::from_chars(spec.data() + kLora.size(), spec.data() + spec.size(), rank);
    if (error != std::errc() || end != spec.data() + spec.size()) rank = 0;
  }
  if (rank < 1 || rank > kMost)
    throw DataError(text("--adapter ", spec, ": must be lora:RANK, RANK a whole number from 1 to ", kMost));
  return {rank};
}

bool Adapter::accepts(const std::string& spec) try {
  if (spec != kNoAdapter) parse(spec);
  return true;
} catch (const DataError&) {
  return false;
}

}  // namespace gradus

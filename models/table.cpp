#include "models/table.h"

namespace gradus {

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

void throw_unknown(std::string_view what, std::string_view name, const std::vector<std::string>& known) {
  throw DataError(text("there is no ", what, " '", name, "'; it must be one of ", joined(known)));
}

}  // namespace gradus

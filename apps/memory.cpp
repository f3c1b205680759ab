#include "apps/memory.h"

#include "apps/format.h"
#include "engine/error.h"
#include "engine/io/free_memory.h"

namespace gradus {

static std::string amount(double bytes) {
  return bytes < 1e9 ? fixed(bytes / 1e6, 0) + " MB" : fixed(bytes / 1e9, 1) + " GB";
}

void require_memory(double bytes, const std::string& what, const std::string& remedy) {
  const FreeMemory left = free_memory();
  if (bytes > left.bytes)
    throw UsageError(
        text(what, " needs about ", amount(bytes), " of memory, ", amount(left.bytes), " ", left.limit, "; ", remedy));
}

}  // namespace gradus

// Memory is promised before it is taken: what the machine has no room for is refused before the first large allocation.
#pragma once

#include <string>

namespace gradus {

// UsageError where fewer than `bytes` are free: "WHAT needs about 11.3 GB of memory, 7.9 GB is free on this machine;
// REMEDY". models/memory.h and its like estimate the bytes.
void require_memory(double bytes, const std::string& what, const std::string& remedy);

}  // namespace gradus

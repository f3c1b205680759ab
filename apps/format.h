// Numbers as a person reads them.
#pragma once

#include <cstdint>
#include <string>

namespace gradus {

std::string fixed(double value, int digits);
std::string grouped(int64_t n);        // 1234567 → 1,234,567
std::string duration(double seconds);  // 7 s, 2 min 05 s, 1 h 12 min

}  // namespace gradus

// Numbers as a person reads them.
#pragma once

#include <cstdint>
#include <string>

namespace gradus {

// With so many digits behind the point; from 1e15 on as 1.234567e+15. Never minus zero.
std::string fixed(double value, int digits);
// With so many significant digits, as printf's %g. Never minus zero.
std::string significant(double value, int digits);
std::string grouped(int64_t n);       // 1234567 → 1,234,567
std::string grouped_whole(double x);  // the same of the nearest whole number; from 1e15 on as 1.23457e+15
// Filled up with spaces to this many characters of UTF-8, on the right or on the left.
std::string left(const std::string& text, int64_t width);
std::string right(const std::string& text, int64_t width);
std::string duration(double seconds);  // 7 s, 2 min 05 s, 1 h 12 min, 3e+09 h

}  // namespace gradus

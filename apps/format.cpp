#include "apps/format.h"

#include <algorithm>
#include <cmath>

#include "models/text/utf8.h"

namespace gradus {

static std::string printed(const char* format, int digits, double value) {
  if (std::isnan(value)) return "nan";  // whatever its sign
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, digits, value);
  const std::string_view all = buffer;
  return std::string(all.find_first_not_of("-0.") == all.npos && all[0] == '-' ? all.substr(1) : all);
}
std::string fixed(double value, int digits) {
  return std::fabs(value) < 1e15 ? printed("%.*f", digits, value) : significant(value, 7);
}
std::string significant(double value, int digits) { return printed("%.*g", digits, value); }

std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  for (int64_t i = int64_t(s.size()) - 3; i > (n < 0); i -= 3) s.insert(size_t(i), ",");
  return s;
}

std::string grouped_whole(double x) { return std::fabs(x) < 1e15 ? grouped(std::llround(x)) : significant(x, 6); }

static std::string spaces(int64_t n) { return std::string(size_t(std::max<int64_t>(0, n)), ' '); }
std::string left(const std::string& s, int64_t width) { return s + spaces(width - count_characters(s)); }
std::string right(const std::string& s, int64_t width) { return spaces(width - count_characters(s)) + s; }

std::string duration(double seconds) {
  if (!(std::fabs(seconds) < 1e12)) return significant(seconds / 3600, 2) + " h";
  const int64_t s = std::llround(seconds);
  const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min " + two(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + two(s / 60 % 60) + " min";
}

}  // namespace gradus

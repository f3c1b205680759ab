// Tables of words: where a word selects something (a family, a smoothing, a method), one table has a row for each word,
// and a row is found by name here. Nothing else compares such a word, and an unknown one never means the default.
//
//   enum class Smoothing { kNone, kAdd };
//   inline constexpr Named<Smoothing> kSmoothings[] = {{"none", Smoothing::kNone}, {"add", Smoothing::kAdd}};
//   switch (row_named(kSmoothings, word, "smoothing").value) ...
#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace gradus {

// The usual row, for a word that names a value of an enumeration.
template <class E>
struct Named {
  const char* name;
  E value;
};

// The names of all rows, in order; a row is anything with a `name`.
template <class Rows>
std::vector<std::string> names_of(const Rows& rows) {
  std::vector<std::string> names;
  names.reserve(std::size(rows));
  for (const auto& row : rows) names.emplace_back(row.name);
  return names;
}

// The words one after the other, with `between` between two.
std::string joined(const std::vector<std::string>& words, const char* between = ", ");
// DataError: there is no WHAT 'NAME', and the names that there are.
[[noreturn]] void throw_unknown(std::string_view what, std::string_view name, const std::vector<std::string>& known);

// The row of that name; null for an unknown one.
template <class Rows>
auto find_row(const Rows& rows, std::string_view name) -> decltype(std::data(rows)) {
  for (const auto& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}
// The same. DataError, which lists the known names, for an unknown one; `what` names the kind of row.
template <class Rows>
const auto& row_named(const Rows& rows, std::string_view name, std::string_view what) {
  if (const auto* row = find_row(rows, name)) return *row;
  throw_unknown(what, name, names_of(rows));
}

}  // namespace gradus

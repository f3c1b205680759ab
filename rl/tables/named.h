// Tables of things that have a name: methods, baselines, divergences. A word is looked up, never compared elsewhere.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace gradus {

// The names of a table's rows, in their order.
template <class Row, size_t N>
std::vector<std::string> names_of(const Row (&table)[N]) {
  std::vector<std::string> names;
  for (const Row& row : table) names.push_back(row.name);
  return names;
}

// The row of that name. UsageError, which lists the names that there are, where there is none; `what` says what kind of
// thing it is.
template <class Row, size_t N>
const Row& row_named(const Row (&table)[N], const char* what, std::string_view name) {
  for (const Row& row : table)
    if (row.name == name) return row;
  std::string known;
  for (const Row& row : table) known += (known.empty() ? "" : ", ") + std::string(row.name);
  throw UsageError(text("there is no ", what, " '", name, "'; it must be one of ", known));
}

}  // namespace gradus

// JSON as the text of a script element of a page.
#pragma once

#include <string>
#include <string_view>

namespace gradus {

// Nothing in it may end the element, or begin what hides its end.
inline std::string script_json(std::string_view json) {
  std::string out;
  for (const char c : json) out += c == '<' ? "\\u003c" : std::string(1, c);
  return out;
}

}  // namespace gradus

// JSON of a person's file: one value for each name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gradus {

// The content of a file as JSON. DataError, a sentence that goes on after the file's name, where it is none, holds a
// number that is out of range, or gives a name twice in one object: one of the two values would be lost.
nlohmann::ordered_json parse_unique(const std::string& content);

}  // namespace gradus

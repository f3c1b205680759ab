#include "rl/rewards/unique_json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "engine/error.h"
#include "models/text/words.h"

namespace gradus {

nlohmann::ordered_json parse_unique(const std::string& content) {
  using Json = nlohmann::ordered_json;
  std::vector<std::set<std::string>> names;  // of the open objects
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      throw DataError(shown(value.get<std::string>()) + " stands there twice in one object");
    return true;
  };
  try {
    return Json::parse(content, watch);
  } catch (const Json::parse_error& error) {
    const size_t read = std::min(content.size(), error.byte > 0 ? error.byte - 1 : 0);
    throw DataError(
        text("line ", 1 + std::count(content.begin(), content.begin() + int64_t(read), '\n'), " is not JSON"));
  } catch (const Json::exception&) {  // 1e999
    throw DataError("holds a number that is out of range");
  }
}

}  // namespace gradus

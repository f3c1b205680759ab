#include "models/run/adapter_base.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "engine/io/json.h"
#include "models/adapter_spec.h"
#include "models/run/archive.h"
#include "models/run/config.h"
#include "models/text/utf8.h"

namespace gradus {

std::string whole_path(const std::string& path) {
  return std::filesystem::absolute(path.empty() ? "." : path).lexically_normal().string();
}
std::string seen_from(const std::string& folder, const std::string& path) {
  return std::filesystem::path(path).lexically_relative(whole_path(folder)).string();
}

namespace {

ShowBase show_base;

struct NamedBase {
  std::string path, hash, from_run;
};
NamedBase named_base(ArchiveReader& in) {
  return in.section(kBase, [](const std::string& content) {
    const Json json = Json::parse(content, 100);
    NamedBase base{
        .path = json.at("path").get<std::string>(), .hash = json.at("hash").get<std::string>(), .from_run = {}};
    if (json.contains("from_run")) base.from_run = json.at("from_run").get<std::string>();
    for (const std::string* name : {&base.path, &base.from_run})
      if (name->find('\0') != name->npos) throw DataError(text(in_quotes(*name), " is not the name of a file"));
    return base;
  });
}

}  // namespace

void show_bases_with(ShowBase show) { show_base = std::move(show); }

ArchiveReader open_base(ArchiveReader& in_run) {
  namespace fs = std::filesystem;
  const std::string& run = in_run.file().path();
  const NamedBase base = named_base(in_run);
  std::vector<std::string> places{base.path};
  const std::string seen = whole_path((fs::path(run).parent_path() / base.from_run).string());
  if (!base.from_run.empty() && seen != base.path) places.push_back(seen);
  std::string why;  // it is not the first of them
  for (const std::string& place : places) try {
      std::error_code unknown;
      if (show_base && fs::is_regular_file(place, unknown)) show_base(place);
      ArchiveReader in(place);
      const std::string* const found = in.find_section("hash");
      if (found && *found == base.hash && config_from_json(in.section("config"), place).adapter == kNoAdapter)
        return in;
      if (why.empty()) why = text("is an adapter of ", place, ", which has changed since or is another file now");
    } catch (const DataError& error) {
      if (why.empty()) why = text("is an adapter, and its base cannot be read: ", error.what());
    }
  throw DataError(
      text(run, ": ", why, "; put the base that it was trained on there", places.size() > 1 ? ", or at " + seen : ""));
}

}  // namespace gradus

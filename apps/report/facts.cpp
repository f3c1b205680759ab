#include "apps/report/facts.h"

#include <cmath>
#include <filesystem>

#include "apps/run.h"
#include "engine/error.h"
#include "engine/io/safetensors.h"

namespace gradus {

RunFacts read_run(const std::string& folder) {
  if (!std::filesystem::is_directory(folder))
    throw DataError(text(folder, ": is not the folder of a run; gradus train FILE.txt --out RUN makes one"));
  const std::string log = folder + "/log.jsonl";
  RunFacts facts{.name = std::filesystem::canonical(folder).filename().string(),
                 .log = read_run_log(log),
                 .config = {},
                 .tuning = {}};
  const std::string options = facts.logged("config").dump();
  if (facts.is_tuned()) {
    facts.tuning = tune_config_from_json(options, log);
    return facts;
  }
  facts.config = config_from_json(options, log);
  if (!RunFolder::has_checkpoint(folder)) return facts;
  const SafetensorsFile file = SafetensorsFile::open(folder + "/checkpoint.safetensors");
  const auto config = file.metadata().find("config"), step = file.metadata().find("step");
  if (config == file.metadata().end() || step == file.metadata().end())
    throw DataError(text(file.path(), ": not a gradus checkpoint, its metadata lack 'config' or 'step'"));
  facts.config = config_from_json(config->second, file.path());
  const Json saved = Json::parse_or_null(step->second);
  if (!saved.is_number_integer()) throw DataError(text(file.path(), ": the metadata's 'step' is not a whole number"));
  facts.saved_step = saved.get<int64_t>();
  return facts;
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }
double last_of(const std::vector<double>& column) { return column.empty() ? NAN : column.back(); }

std::string precision_of(const RunFacts& facts) {
  return facts.logged("real") == Json("f64") ? "double precision" : "single precision";
}

}  // namespace gradus

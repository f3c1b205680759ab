// gradus report: writes RUN/report.html, a page about a run, from its log and its checkpoint's metadata. Its content is
// made in trained.cpp and tuned.cpp, its layout in page.h and plot.h.
#include <cstdio>
#include <filesystem>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/report/facts.h"
#include "engine/error.h"
#include "engine/io/file.h"

namespace gradus {

std::string write_report(const std::string& folder) {
  std::string path = folder + "/report.html";
  const RunFacts facts = read_run(folder);
  write_file_atomically(path, facts.is_tuned() ? page_of_tuned(facts) : page_of_trained(facts));
  return path;
}

std::string try_write_report(const std::string& folder) {
  try {
    write_report(folder);
    return "";
  } catch (const std::exception& error) {
    return text("no report: ", error.what());
  }
}

int report(const ReportCommand& command) {
  Console console(command.common);
  const std::string path = write_report(command.run);
  const auto bytes = int64_t(std::filesystem::file_size(path));
  if (command.common.json) std::printf("%s\n", Json{{"report", path}, {"bytes", bytes}}.dump().c_str());
  console.note(text("Wrote ", path, " (", (bytes + 999) / 1000, " kB); a browser opens it from disk."));
  return kDone;
}

}  // namespace gradus

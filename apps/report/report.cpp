// gradus report: writes RUN/report.html, a page about a run, from its log and its checkpoint's metadata. Its content is
// made in trained.cpp and tuned.cpp, its layout in page.h and plot.h.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/report/facts.h"
#include "engine/error.h"
#include "engine/io/file.h"

namespace gradus {

static std::string page_of(const std::string& folder) { return folder + "/report.html"; }

void refuse_foreign_report(const std::string& folder) {
  const std::string path = page_of(folder);
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(path, unknown)) return;
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  constexpr std::streamoff kFoot = 4096;  // of our pages, that says who wrote them
  in.seekg(-std::min<std::streamoff>(kFoot, in.tellg()), std::ios::end);
  const std::string end(std::istreambuf_iterator<char>(in), {});
  if (!in.bad() && (end.empty() || end.find("<footer>gradus") != std::string::npos)) return;
  throw UsageError(text(path, ": gradus did not write this file and would replace it; move it away"));
}

std::string write_report(const std::string& folder) {
  std::string path = page_of(folder);
  refuse_foreign_report(folder);
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
  if (const std::string log = command.run + "/log.jsonl"; is_missing_or_empty(log))
    console.warn(log + " is missing or empty, so the page has no curves; a run that goes on begins a new one");
  const auto bytes = int64_t(std::filesystem::file_size(path));
  if (command.common.json) std::printf("%s\n", Json{{"report", path}, {"bytes", bytes}}.dump().c_str());
  console.note(text("Wrote ", path, " (", (bytes + 999) / 1000, " kB); open it in a browser."));
  return kDone;
}

}  // namespace gradus

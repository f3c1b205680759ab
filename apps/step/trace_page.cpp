#include "apps/step/trace_page.h"

#include "engine/io/file.h"
#include "engine/step/page.h"

namespace gradus {

std::string write_trace(const Trace& trace, const std::string& what, const std::string& file, Console& console) try {
  write_file_atomically(file, step_page(trace));
  console.note(text("Wrote ", file, ", ", what, "; open it in a browser."));
  return "";
} catch (const WriteError& error) {
  console.warn(error.what());
  return error.what();
}

}  // namespace gradus

// gradus step: one small step, recorded forward and backward, and a walk through it: with single keys in a terminal,
// as text on a pipe, as a page for the browser.
#include <unistd.h>

#include <cstdio>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/step/examples.h"
#include "engine/io/file.h"
#include "engine/step/page.h"
#include "engine/step/text.h"
#include "engine/step/trace.h"
#include "engine/step/walk.h"

namespace gradus {

namespace {

void print_all(const Trace& trace) {
  std::printf("%s: %s\n\n", trace.name.c_str(), trace.title.c_str());
  for (int p = 0; p < trace.positions(); ++p) {
    std::printf("%s", position_text(trace, p).c_str());
    if (step_at(trace, p) >= 0) std::printf("%s%s", derivative_text(trace, p).c_str(), check_text(trace, p).c_str());
    std::printf("\n");
  }
  std::printf("%s", gradients_text(trace).c_str());
}

}  // namespace

int step(const StepCommand& command) {
  const StepExample& example = step_example(command.example);
  Tape tape;
  const Tape::Use use(tape);
  tape.backward(example.build());  // the pass that a debugger walks through (make gdb)
  const Trace trace = record_trace(tape, example.name, example.title);
  if (!command.html.empty()) {
    write_file_atomically(command.html, step_page(trace));
    Console(command.common).note("Wrote " + command.html + ", a page to open in a browser.");
  }
  if (command.common.json)
    std::printf("%s\n", to_json(trace).dump().c_str());
  else if (!command.html.empty())
    return kDone;
  else if (command.all || !isatty(STDIN_FILENO) || !can_rewrite(stdout))
    print_all(trace);
  else
    walk(trace);
  return kDone;
}

}  // namespace gradus

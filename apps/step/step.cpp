// gradus step: one small step, recorded forward and backward, and a walk through it: with single keys in a terminal,
// as text on a pipe, as a page for the browser. In double precision, so that a zero is a zero: the float program hands
// over to gradus-f64.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/next_command.h"
#include "apps/step/examples.h"
#include "apps/step/rl_examples.h"
#include "engine/io/file.h"
#include "engine/step/page.h"
#include "engine/step/text.h"
#include "engine/step/walk.h"

namespace gradus {

// Becomes the program of double precision that stands beside this one: gradus-f64, or in a build folder that of the
// other flavour. Returns where there is none.
static void become_f64() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error),
                              folder = self.parent_path();
  std::filesystem::path other = folder / "gradus-f64";
  if (const std::string name = folder.string(); !std::filesystem::exists(other, error) && name.ends_with("-f32"))
    other = name.substr(0, name.size() - 3) + "f64/" + self.filename().string();
  std::vector<char*> words;
  for (const std::string& word : command_line_words()) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execv(other.c_str(), words.data());
}

static Trace trace_of_example(const std::string& name, int64_t seed) {
  std::vector<std::string> others;
  for (const RlExample& example : rl_examples()) {
    if (name == example.name) return example.trace(example, seed);
    others.emplace_back(example.name);
  }
  const StepExample& example = step_example(name, others);
  Tape tape;
  const Tape::Use use(tape);
  tape.backward(example.build());  // the pass that a debugger walks through (make gdb)
  return record_trace(tape, {.name = example.name, .title = example.title});
}

int step(const StepCommand& command) {
  if (!kDouble) {
    become_f64();
    Console(command.common).warn("gradus-f64 is not beside this program, so these numbers are of single precision");
  }
  const Trace trace = trace_of_example(command.example, command.common.seed);
  if (!command.html.empty()) {
    write_file_atomically(command.html, step_page(trace));
    Console(command.common).note("Wrote " + command.html + "; open it in a browser.");
  }
  if (command.common.json)
    std::printf("%s\n", to_json(trace).dump().c_str());
  else if (!command.html.empty())
    return kDone;
  else if (command.all || !isatty(STDIN_FILENO) || !can_rewrite(stdout))
    std::printf("%s", whole_text(trace).c_str());
  else
    walk(trace);
  return kDone;
}

}  // namespace gradus

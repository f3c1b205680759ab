// gradus merge: a run with an adapter (models/adapter.h) as one model, w + a b in the place of w, which says the same
// and needs its base no more; or one with a posterior over its parameters as the model at its mean.
#include <cstdio>

#include "apps/format.h"
#include "apps/next_command.h"
#include "apps/run.h"
#include "models/run/checkpoint.h"
#include "models/text/shell_word.h"

namespace gradus {

int merge(const MergeCommand& command) {
  Console console(command.common);
  refuse_existing(command.out);
  Checkpoint run = load_any_checkpoint(command.run);
  note_burn_in(run, command.common);
  const int64_t adapted = run.model->params().size();
  const bool has_base = !run.base.empty();
  const Checkpoint merged = std::move(run).merged();
  const RunFolder folder = make_folder(command.out);
  merged.save(folder.checkpoint());
  const int64_t all = merged.model->params().size();
  if (command.common.json) std::printf("%s\n", Json{{"parameters", all}, {"adapter", adapted}}.dump().c_str());
  std::vector<std::string> next{"sample", as_argument(command.out)};
  if (!merged.model->draws_texts()) next = {"fill", as_argument(command.out), "[MASK]"};
  const std::string what = has_base ? text("Joined ", grouped(adapted), " numbers of an adapter with a model of ")
                                    : text("Took the mean of a posterior over ");
  console.note(text(what, grouped(all), has_base ? "" : " parameters", ". Saved ", folder.checkpoint(),
                    ". Try: ", proposed(next)));
  return kDone;
}

}  // namespace gradus

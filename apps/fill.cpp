// gradus fill: what a masked model expects at the masks of a text.
#include <cstdio>

#include "apps/candidates.h"
#include "apps/commands.h"
#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"

namespace gradus {

static constexpr std::string_view kMask = "[MASK]";

int fill(const FillCommand& command) {
  const Checkpoint run = load_any_checkpoint(command.run);
  const int32_t mask_id = run.model->mask_id();
  if (mask_id < 0 || !run.labels.empty())
    throw DataError(text(run.path, ": is no masked model; gradus train --model masked makes one"));
  std::vector<int32_t> ids;
  std::vector<size_t> masks;
  std::string_view rest = command.text;
  for (;;) {
    const size_t at = rest.find(kMask);
    const std::vector<int32_t> part = run.tokenizer.encode(rest.substr(0, at));
    ids.insert(ids.end(), part.begin(), part.end());
    if (at == rest.npos) break;
    masks.push_back(ids.size());
    ids.push_back(mask_id);
    rest.remove_prefix(at + kMask.size());
  }
  if (masks.empty())
    throw UsageError(text("the text has no ", kMask, "; write one for each token that is to be filled in"));
  if (run.tokenizer.end_id() >= 0) ids.push_back(run.tokenizer.end_id());
  const int64_t T = std::ssize(ids), V = run.model->vocabulary();
  if (T > run.config.context)
    throw UsageError(text("the text has ", T, " tokens", run.config.lines ? " with its end mark" : "",
                          ", more than the context of ", run.path, ", ", run.config.context));
  Tape tape;
  const Tape::Use use(tape);
  const NoGrad no_grad;
  const Tensor logits = run.model->logits(ids, 1, T);
  std::vector<double> log_p(static_cast<size_t>(V));
  std::vector<Candidate> best(static_cast<size_t>(std::min(V, command.top)));
  Json tokens = Json::array();
  for (const size_t t : masks) {
    log_distribution(logits.span().subspan(t * size_t(V), size_t(V)), 1, log_p);
    require_numbers(log_p);
    find_likeliest(log_p, best);
    if (command.common.json)
      tokens.push_back({{"position", t}, {"candidates", candidates_json(run.tokenizer, best)}});
    else
      std::printf("%s %s\n", std::string(kMask).c_str(),
                  candidates_text(run.tokenizer, best, kMask.size() + 1).c_str());
  }
  if (command.common.json) std::printf("%s\n", Json{{"tokens", tokens}}.dump().c_str());
  return kDone;
}

}  // namespace gradus

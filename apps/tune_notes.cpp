#include "apps/tune_notes.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "models/text/shell_word.h"
#include "rl/rewards/reward.h"

namespace gradus {

// Of one --reward that seems to hold several, what comes before and behind the first sign of that: " + NAME", ",NAME".
static std::pair<std::string, std::string> two_rewards(const std::string& spec) {
  for (const char* between : {" + ", ","})
    for (size_t at = spec.find(between); at != std::string::npos; at = spec.find(between, at + 1)) {
      std::string rest = spec.substr(at + std::string_view(between).size());
      rest.erase(0, std::min(rest.find_first_not_of(' '), rest.size()));
      try {
        Reward::source_of(rest);
        return {spec.substr(0, at), rest};
      } catch (const UsageError&) {  // it is no reward
      }
    }
  return {};
}

void note_rewards(Console& console, const TunedRun& run) {
  for (const std::string& spec : run.config.reward) {
    if (const auto [one, other] = two_rewards(spec); !other.empty())
      console.note(text("note: --reward ", shell_word(spec), " is one reward; several are given as --reward ",
                        shell_word(one), " --reward ", shell_word(other)));
    if (const std::string why = Reward::why_constant(spec, run.policy.tokenizer); !why.empty())
      console.note(text("note: the reward ", spec, " can never change: ", why));
  }
}

void StepNotes::look(Console& console, const TuneMetrics& m, const Experience& fresh) {
  const std::vector<double> r = sum_over_draws(fresh.batch, fresh.reward);
  const auto [least, most] = std::ranges::minmax(r);
  if (!said_equal_ && has_reward_ && r.size() > 1 && least == most) {
    said_equal_ = true;
    console.note(
        text("note: all rewards of this batch are ", significant(least, 6),
             ", so that it says nothing of what is better; if that goes on, use a reward that tells these texts "
             "apart, or a larger --batch"));
  }
  if (!said_clip_ && m.clip_share && one_update_) {
    said_clip_ = true;
    console.note(
        "note: with one update a step every ratio is 1, and the clip holds nothing; several are made by --epochs 4 or "
        "--minibatches");
  }
  // Beyond this the policy is farther from its prior than it is from a single text.
  constexpr double kLeast = 1;
  if (!said_kl_ && m.kl > kLeast && m.kl > m.entropy) {
    said_kl_ = true;
    console.note(text("note: the KL from the prior, ", fixed(m.kl, 1), " nats, has passed the entropy that is left, ",
                      fixed(m.entropy, 1),
                      ": the policy gives up most of what it could write; use a larger --kl-coef, a "
                      "smaller --lr or --kl-target"));
  }
}

}  // namespace gradus

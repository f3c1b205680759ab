// A reward and a loop of reinforcement learning of one's own: REINFORCE with a baseline and a KL penalty to the prior,
// on a run of --lines:   ./own_reward RUN
#include <cmath>
#include <cstdio>
#include <numeric>

#include "gradus/models/families.h"
#include "gradus/models/run/checkpoint.h"
#include "gradus/models/sampler.h"
using namespace gradus;
using Ids = std::vector<int32_t>;

int main(int argc, char** argv) {
  const Checkpoint run = load_checkpoint(argc > 1 ? argv[1] : "runs/prior");
  const LanguageModel& prior = *run.model;
  const std::unique_ptr<LanguageModel> policy = clone(prior);
  const auto reward = [&](const Ids& tokens) { return run.tokenizer.decode(tokens).ends_with("cat") ? 1.0 : 0.0; };

  constexpr int64_t kSteps = 300, B = 64, kLongest = 3;
  constexpr double kBeta = 0.5;
  const Ids start{run.start_id}, of(B, 0);
  AdamW optimizer(policy->params(), {.weight_decay = 0});
  const Schedule schedule{.lr = 3e-2, .min_lr = 0, .warmup = 0, .decay = kSteps};
  Tape tape;
  const Tape::Use use(tape);
  for (int64_t step = 1; step <= kSteps; ++step) {
    tape.new_step();
    const std::vector<Drawn> batch =
        draw_sequences(*policy, {&start, 1}, of, {.end_id = run.tokenizer.end_id(), .max_tokens = kLongest},
                       Rng(1, Stream::kSample, step));
    // R = r − β (log π − log q) of each text, and what the others of the batch earned is its baseline.
    std::vector<Ids> texts;
    for (const Drawn& drawn : batch) texts.push_back(drawn.tokens);
    const auto log_q = score_sequences(prior, run.start_id, texts);
    std::vector<double> R;
    for (size_t b = 0; b < B; ++b) {
      const auto sum = [](const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); };
      R.push_back(reward(texts[b]) - kBeta * (sum(batch[b].log_probs) - sum(log_q[b])));
    }
    const double all = std::accumulate(R.begin(), R.end(), 0.0);
    // losses() is −log π of each token [B·T]; its weight is A = R − baseline. What is behind the end has no target.
    Ids inputs(B * kLongest, 0), targets(B * kLongest, kNoTarget);
    std::vector<real> weights(B * kLongest, 0);
    for (size_t b = 0; b < B; ++b)
      for (size_t t = 0; t < texts[b].size(); ++t) {
        inputs[b * kLongest + t] = t == 0 ? run.start_id : texts[b][t - 1];
        targets[b * kLongest + t] = texts[b][t];
        weights[b * kLongest + t] = real((R[b] - (all - R[b]) / (B - 1)) / B);
      }
    tape.seed(policy->losses(inputs, targets, B, kLongest), weights);
    tape.backward();
    optimizer.step(policy->params(), tape.gradient(policy->params().array()), schedule.at(step));
  }
  // The optimum of E[r] − β KL is prior exp(r / β) / Z: 0.917 for the ten lines of data/two_words.txt.
  for (const LanguageModel* model : {&prior, static_cast<const LanguageModel*>(policy.get())}) {
    double p = 0;
    for (const char* line : {"the cat", "a cat"}) {
      Ids tokens = run.tokenizer.encode(line);
      tokens.push_back(run.tokenizer.end_id());
      const std::vector<double> log_p = score_sequences(*model, run.start_id, {&tokens, 1})[0];
      p += std::exp(std::accumulate(log_p.begin(), log_p.end(), 0.0));
    }
    std::printf("%s: a cat in %.2f of the lines\n", model == &prior ? "prior" : "policy", p);
  }
}

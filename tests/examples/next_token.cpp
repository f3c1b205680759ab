// What a trained model expects next:   ./next_token RUN PROMPT
#include <cmath>
#include <cstdio>

#include "gradus/models/run/checkpoint.h"
#include "gradus/models/sampler.h"
using namespace gradus;

int main(int argc, char** argv) try {
  const Checkpoint run = load_checkpoint(argc > 1 ? argv[1] : "runs/prior");
  const std::vector<int32_t> prompt = run.beginning(argc > 2 ? argv[2] : "");
  Tape tape;
  const Tape::Use use(tape);
  State state = run.model->start(1);  // of one text; next() adds a token to it and gives the logits after it
  std::vector<double> log_p(size_t(run.model->vocabulary()));
  for (const int32_t token : prompt) {
    const Tape::Mark mark(tape);
    log_distribution(run.model->next(state, {&token, 1}).span(), 1, log_p);
  }
  std::vector<Candidate> best(std::min<size_t>(5, log_p.size()));
  find_likeliest(log_p, best);
  for (const auto& [token, p] : best) std::printf("%.4f  %s\n", std::exp(p), run.tokenizer.token(token).c_str());
} catch (const std::exception& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}

// A training loop of one's own: an LSTM learns a line of text by heart.
#include <cstdio>

#include "gradus/engine/optim.h"
#include "gradus/models/families.h"
#include "gradus/models/loss.h"
#include "gradus/models/sampler.h"
#include "gradus/models/text/corpus.h"
#include "gradus/models/text/tokenizer.h"
using namespace gradus;

int main() {
  std::string content;
  for (int i = 0; i < 30; ++i) content += "the miller saw the heron fly over the mill. ";
  const Tokenizer tokenizer = Tokenizer::from_text("char", content);
  const Corpus corpus({.context = 32}, tokenizer, content, "the line");
  ModelOptions options;
  options.model = "lstm";
  options.layers = 1;
  options.embd = 16;
  options.hidden = 48;
  const std::unique_ptr<LanguageModel> model = make_model(options, tokenizer.size());
  AdamW optimizer(model->params(), {.weight_decay = 0});

  Shards shards(2, 2);  // a batch in two parts, on two threads
  BatchLoss batch_loss(shards);
  Batch batch;
  constexpr int64_t kSteps = 200;
  for (int64_t step = 1; step <= kSteps; ++step) {
    batch.draw(corpus, Split::kTrain, Rng(1, Stream::kBatch, step), 0, 8);
    const double weight = 1 / double(batch.scored);  // the loss is a mean over tokens
    const double loss = weight * batch_loss.forward(*model, batch, {.seed = 1, .step = step, .training = true});
    batch_loss.backward(weight);
    const std::span<const real> gradient = shards.gradient(model->params());
    if (step == 1 || step == kSteps) std::printf("step %3ld  loss %.1f\n", long(step), loss);
    optimizer.step(model->params(), gradient, 1e-2, clip_factor(gradient_norm(gradient), 1));
  }

  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> prompt = tokenizer.encode("the m"), of{0};
  const auto drawn =
      draw_sequences(*model, {&prompt, 1}, of, {.temperature = 0, .max_tokens = 38}, Rng(1, Stream::kSample));
  std::printf("the m%s\n", tokenizer.decode(drawn[0].tokens).c_str());
}

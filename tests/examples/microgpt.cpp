// A whole GPT: it reads names, one a line, and learns to make up new ones. The design is that of Andrej Karpathy's
// microgpt (2026): no biases, RMS norm, ReLU, one layer, four heads, sixteen channels, one name a step.
// microgpt_scalar.cpp is the same on single numbers.
//   ./microgpt names.txt [STEPS]
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "gradus/engine/ops.h"
#include "gradus/engine/optim.h"
#include "gradus/engine/rng.h"
using namespace gradus;
using Ids = std::vector<int32_t>;

constexpr int64_t kLayers = 1, C = 16, kHeads = 4, kContext = 16;

// x / √(mean x² + 1e-5) on each row.   x [T,C]
Tensor rms_norm(const Tensor& x) {
  const Tensor mean_square = row_means(x * x);
  const Tensor scale = rsqrt(mean_square + constant(mean_square.shape(), 1e-5));  // [T]
  return x * matmul(scale.reshape({x.dim(0), 1}), constant({1, x.dim(1)}, 1.0));  // on every column
}

struct Gpt {
  struct Layer {
    Tensor wq, wk, wv, wo, fc1, fc2;
  };
  Params params;
  Tensor wte, wpe, head;
  std::vector<Layer> layers;

  explicit Gpt(int64_t V) {
    const auto matrix = [&](const std::string& name, int64_t out, int64_t in) {
      return params.add(name, {out, in}, Init::normal(0.08));
    };
    wte = matrix("wte", V, C), wpe = matrix("wpe", kContext, C), head = matrix("head", V, C);
    for (int64_t l = 0; l < kLayers; ++l) {
      const std::string n = text("layer", l, ".");
      layers.push_back({.wq = matrix(n + "wq", C, C),
                        .wk = matrix(n + "wk", C, C),
                        .wv = matrix(n + "wv", C, C),
                        .wo = matrix(n + "wo", C, C),
                        .fc1 = matrix(n + "fc1", 4 * C, C),
                        .fc2 = matrix(n + "fc2", C, 4 * C)});
    }
    params.init(1);
  }

  // Of the token after each: tokens [T] → [T,V].
  Tensor logits(std::span<const int32_t> tokens) const {
    const int64_t T = int64_t(tokens.size());
    Ids places(tokens.size());
    for (size_t t = 0; t < places.size(); ++t) places[t] = int32_t(t);
    Tensor x = rms_norm(embedding(wte, tokens) + embedding(wpe, places));
    for (const Layer& l : layers) {
      const Tensor y = rms_norm(x);
      const Tensor qkv[] = {matmul_nt(y, l.wq), matmul_nt(y, l.wk), matmul_nt(y, l.wv)};
      x = x + matmul_nt(causal_attention(concat(qkv), 1, T, kHeads), l.wo);
      x = x + matmul_nt(relu(matmul_nt(rms_norm(x), l.fc1)), l.fc2);
    }
    return matmul_nt(x, head);
  }
};

int main(int argc, char** argv) {
  std::vector<std::string> names;
  std::ifstream in(argc > 1 ? argv[1] : "names.txt");
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) names.push_back(line);
  const int64_t steps = argc > 2 ? std::stoll(argv[2]) : 1000;
  std::set<char> characters;
  for (const std::string& name : names) characters.insert(name.begin(), name.end());
  const std::string alphabet(characters.begin(), characters.end());
  const int32_t mark = int32_t(alphabet.size());  // begins and ends a name
  if (names.empty()) return std::fprintf(stderr, "microgpt names.txt [STEPS]: no names to read\n"), 2;

  Gpt gpt(mark + 1);
  std::printf("%zu names, %d tokens, %ld parameters\n", names.size(), mark + 1, long(gpt.params.size()));
  AdamW adam(gpt.params, {.beta1 = 0.85, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0});
  Tape tape;
  const Tape::Use use(tape);
  for (int64_t step = 0; step < steps; ++step) {
    tape.new_step();
    const std::string& name = names[size_t(step * 7919) % names.size()];  // a prime stride: each once, far from sorted
    Ids tokens{mark};
    for (const char c : name) tokens.push_back(int32_t(alphabet.find(c)));
    tokens.push_back(mark);
    const size_t T = std::min(tokens.size() - 1, size_t(kContext));
    const Tensor loss = mean(softmax_cross_entropy(gpt.logits({tokens.data(), T}), {tokens.data() + 1, T}));
    tape.backward(loss);
    if (step % std::max<int64_t>(1, steps / 50) == 0 || step + 1 == steps)
      std::printf("step %4ld  loss %.12f\n", long(step + 1), loss.item());
    adam.step(gpt.params, tape.gradient(gpt.params.array()), 0.01 * (1 - double(step) / double(steps)));
  }

  const Rng rng(1, Stream::kSample);
  for (int64_t n = 0; n < 10; ++n) {
    Ids tokens{mark};
    while (tokens.size() < kContext && (tokens.size() == 1 || tokens.back() != mark)) {
      tape.new_step();
      const Tensor p = softmax(scale(gpt.logits(tokens), 1 / 0.5));  // temperature 0.5
      const std::span<const real> last = p.span().last(size_t(mark + 1));
      const std::vector<double> weights(last.begin(), last.end());
      tokens.push_back(int32_t(categorical(weights, rng.at(n).uniform(int64_t(tokens.size())))));
      if (tokens.back() != mark) std::putchar(alphabet[size_t(tokens.back())]);
    }
    std::putchar('\n');
  }
}

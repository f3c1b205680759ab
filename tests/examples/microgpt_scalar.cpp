// microgpt.cpp again, on single numbers: every weight, every product and every sum is a node of the tape, as in Andrej
// Karpathy's microgpt (2026). It gives the same losses, some hundred times more slowly, and each op can be stepped
// through.
//   ./microgpt_scalar names.txt [STEPS]
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

#include "gradus/engine/ops.h"
#include "gradus/engine/optim.h"
using namespace gradus;
using Scalars = std::vector<Tensor>;
using Matrix = std::vector<Scalars>;  // [out][in]

constexpr size_t kLayers = 1, C = 16, kHeads = 4, D = C / kHeads, kContext = 16;

Tensor number(double x) { return constant({}, x); }
Tensor dot(const Scalars& a, const Scalars& b) {
  Tensor s = a[0] * b[0];
  for (size_t i = 1; i < a.size(); ++i) s = s + a[i] * b[i];
  return s;
}
Scalars plus(Scalars a, const Scalars& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] + b[i];
  return a;
}
Scalars times(const Matrix& w, const Scalars& x) {
  Scalars y;
  for (const Scalars& row : w) y.push_back(dot(row, x));
  return y;
}
Scalars scaled(Scalars x, const Tensor& by) {
  for (Tensor& v : x) v = v * by;
  return x;
}
Scalars softmax(Scalars x) {  // of numbers far from where e^x overflows
  for (Tensor& v : x) v = exp(v);
  Tensor sum = x[0];
  for (size_t i = 1; i < x.size(); ++i) sum = sum + x[i];
  return scaled(x, exp(-1.0 * log(sum)));
}
Scalars rms_norm(const Scalars& x) { return scaled(x, rsqrt(1.0 / double(C) * dot(x, x) + number(1e-5))); }

struct Gpt {
  Params params;
  std::map<std::string, Matrix> w;
  std::vector<Scalars> keys[kLayers], values[kLayers];  // of the tokens read so far

  explicit Gpt(size_t V) {
    const auto matrix = [&](const std::string& name, size_t out, size_t in) {
      for (size_t o = 0; o < out; ++o) {
        Scalars& row = w[name].emplace_back();
        for (size_t i = 0; i < in; ++i) row.push_back(params.add(text(name, ".", o, ".", i), {}, Init::normal(0.08)));
      }
    };
    matrix("wte", V, C), matrix("wpe", kContext, C), matrix("head", V, C);
    for (size_t l = 0; l < kLayers; ++l) {
      for (const char* name : {"wq", "wk", "wv", "wo"}) matrix(text("layer", l, ".", name), C, C);
      matrix(text("layer", l, ".fc1"), 4 * C, C), matrix(text("layer", l, ".fc2"), C, 4 * C);
    }
    params.init(1);
  }

  // Probabilities of the token after this one, which stands at `place`, behind those read before.
  Scalars next(size_t token, size_t place) {
    Scalars x = rms_norm(plus(w["wte"][token], w["wpe"][place]));
    for (size_t l = 0; l < kLayers; ++l) {
      const auto by = [&](const char* name, const Scalars& v) { return times(w[text("layer", l, ".", name)], v); };
      const Scalars y = rms_norm(x), q = by("wq", y);
      keys[l].push_back(by("wk", y));
      values[l].push_back(by("wv", y));
      Scalars attended;
      for (size_t h = 0; h < kHeads; ++h) {
        const auto part = [&](const Scalars& v) { return Scalars(&v[h * D], &v[h * D] + D); };
        Scalars scores;
        for (const Scalars& k : keys[l]) scores.push_back(0.5 * dot(part(q), part(k)));  // 1 / √D
        const Scalars p = softmax(scores);
        for (size_t c = h * D; c < (h + 1) * D; ++c) {
          Scalars column;
          for (const Scalars& v : values[l]) column.push_back(v[c]);
          attended.push_back(dot(p, column));
        }
      }
      x = plus(by("wo", attended), x);
      Scalars hidden = by("fc1", rms_norm(x));
      for (Tensor& v : hidden) v = relu(v);
      x = plus(by("fc2", hidden), x);
    }
    return softmax(times(w["head"], x));
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
  const size_t mark = alphabet.size();  // begins and ends a name
  if (names.empty()) return std::fprintf(stderr, "microgpt_scalar names.txt [STEPS]: no names to read\n"), 2;

  Gpt gpt(mark + 1);
  std::printf("%zu names, %zu tokens, %ld parameters\n", names.size(), mark + 1, long(gpt.params.size()));
  AdamW adam(gpt.params, {.beta1 = 0.85, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0});
  Tape tape;
  const Tape::Use use(tape);
  for (int64_t step = 0; step < steps; ++step) {
    tape.new_step();
    for (size_t l = 0; l < kLayers; ++l) gpt.keys[l].clear(), gpt.values[l].clear();
    const std::string& name = names[size_t(step * 7919) % names.size()];
    std::vector<size_t> tokens{mark};
    for (const char c : name) tokens.push_back(alphabet.find(c));
    tokens.push_back(mark);
    const size_t T = std::min(tokens.size() - 1, kContext);
    Tensor loss = number(0);
    for (size_t t = 0; t < T; ++t) loss = loss + -1.0 / double(T) * log(gpt.next(tokens[t], t)[tokens[t + 1]]);
    tape.backward(loss);
    if (step % std::max<int64_t>(1, steps / 50) == 0 || step + 1 == steps)
      std::printf("step %4ld  loss %.12f\n", long(step + 1), loss.item());
    adam.step(gpt.params, tape.gradient(gpt.params.array()), 0.01 * (1 - double(step) / double(steps)));
  }
}

// microgpt.cpp again, on single numbers: every weight, every product and every sum is a node of the tape, as in Andrej
// Karpathy's microgpt (2026). It gives the same losses, some hundred times more slowly, and each op can be stepped
// through.
//   ./microgpt_scalar names.txt [STEPS]
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "gradus/engine/ops.h"
#include "gradus/engine/optim.h"
using namespace gradus;
using Scalars = std::vector<Tensor>;
using Matrix = std::vector<Scalars>;  // [out][in]

constexpr int64_t kLayers = 1, C = 16, kHeads = 4, kContext = 16;

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
Scalars softmax(const Scalars& x) {
  double most = x[0].item();  // a constant: it changes no slope, and no e^x overflows
  for (const Tensor& v : x) most = std::max(most, v.item());
  Scalars p;
  for (const Tensor& v : x) p.push_back(exp(v - number(most)));
  Tensor sum = p[0];
  for (size_t i = 1; i < p.size(); ++i) sum = sum + p[i];
  const Tensor inverse = exp(-1.0 * log(sum));
  for (Tensor& v : p) v = v * inverse;
  return p;
}
Scalars rms_norm(Scalars x) {
  const Tensor scale = rsqrt(1.0 / double(x.size()) * dot(x, x) + number(1e-5));
  for (Tensor& v : x) v = v * scale;
  return x;
}

struct Gpt {
  struct Layer {
    Matrix wq, wk, wv, wo, fc1, fc2;
    std::vector<Scalars> keys, values;  // of the tokens read so far
  };
  Params params;
  Matrix wte, wpe, head;
  std::vector<Layer> layers;

  explicit Gpt(int64_t V) {
    const auto matrix = [&](const std::string& name, int64_t out, int64_t in) {
      Matrix w(static_cast<size_t>(out));
      for (int64_t o = 0; o < out; ++o)
        for (int64_t i = 0; i < in; ++i)
          w[size_t(o)].push_back(params.add(text(name, ".", o, ".", i), {}, Init::normal(0.08)));
      return w;
    };
    wte = matrix("wte", V, C), wpe = matrix("wpe", kContext, C), head = matrix("head", V, C);
    for (int64_t l = 0; l < kLayers; ++l) {
      const std::string n = text("layer", l, ".");
      layers.push_back({.wq = matrix(n + "wq", C, C),
                        .wk = matrix(n + "wk", C, C),
                        .wv = matrix(n + "wv", C, C),
                        .wo = matrix(n + "wo", C, C),
                        .fc1 = matrix(n + "fc1", 4 * C, C),
                        .fc2 = matrix(n + "fc2", C, 4 * C),
                        .keys = {},
                        .values = {}});
    }
    params.init(1);
  }

  // Probabilities of the token after this one, which stands at `place`, behind those read before.
  Scalars next(size_t token, size_t place) {
    Scalars x = rms_norm(plus(wte[token], wpe[place]));
    for (Layer& l : layers) {
      const Scalars y = rms_norm(x), q = times(l.wq, y);
      l.keys.push_back(times(l.wk, y));
      l.values.push_back(times(l.wv, y));
      Scalars attended;
      for (size_t h = 0; h < kHeads; ++h) {
        const auto part = [&](const Scalars& v) {
          return Scalars(&v[h * C / kHeads], &v[h * C / kHeads] + C / kHeads);
        };
        Scalars scores;
        for (const Scalars& k : l.keys) scores.push_back(0.5 * dot(part(q), part(k)));  // 1 / √(C / heads)
        const Scalars p = softmax(scores);
        for (size_t c = h * C / kHeads; c < (h + 1) * C / kHeads; ++c) {
          Scalars column;
          for (const Scalars& v : l.values) column.push_back(v[c]);
          attended.push_back(dot(p, column));
        }
      }
      x = plus(times(l.wo, attended), x);
      Scalars hidden = times(l.fc1, rms_norm(x));
      for (Tensor& v : hidden) v = relu(v);
      x = plus(times(l.fc2, hidden), x);
    }
    return softmax(times(head, x));
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

  Gpt gpt(int64_t(mark) + 1);
  std::printf("%zu names, %zu tokens, %ld parameters\n", names.size(), mark + 1, long(gpt.params.size()));
  AdamW adam(gpt.params, {.beta1 = 0.85, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0});
  Tape tape;
  const Tape::Use use(tape);
  for (int64_t step = 0; step < steps; ++step) {
    tape.new_step();
    for (Gpt::Layer& l : gpt.layers) l.keys.clear(), l.values.clear();
    const std::string& name = names[size_t(step * 7919) % names.size()];
    std::vector<size_t> tokens{mark};
    for (const char c : name) tokens.push_back(alphabet.find(c));
    tokens.push_back(mark);
    const size_t T = std::min(tokens.size() - 1, size_t(kContext));
    Tensor loss = number(0);
    for (size_t t = 0; t < T; ++t) loss = loss + -1.0 / double(T) * log(gpt.next(tokens[t], t)[tokens[t + 1]]);
    tape.backward(loss);
    if (step % std::max<int64_t>(1, steps / 50) == 0 || step + 1 == steps)
      std::printf("step %4ld  loss %.12f\n", long(step + 1), loss.item());
    adam.step(gpt.params, tape.gradient(gpt.params.array()), 0.01 * (1 - double(step) / double(steps)));
  }
}

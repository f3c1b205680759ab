#include "apps/step/examples.h"

#include <cmath>
#include <vector>

#include "apps/commands.h"
#include "engine/ops.h"

namespace gradus {

namespace {

using Reals = std::vector<real>;

// a reaches the loss along two paths, and so does d: their gradients are sums.
Tensor scalar() {
  const Tensor a = variable("a", 2.0);
  const Tensor b = variable("b", -3.0);
  const Tensor c = variable("c", 10.0);
  const Tensor ab = named("ab", a * b);
  const Tensor d = named("d", ab + c);
  const Tensor square = named("d²", d * d);
  const Tensor scaled = named("0.1 d²", 0.1 * square);
  return named("loss", scaled + a);
}

Tensor neuron() {
  const Tensor x = named("x", constant({1, 3}, Reals{1, real(0.5), -2}));
  const Tensor w = variable("w", {3, 1}, Reals{real(0.8), real(-0.4), real(-0.3)});
  const Tensor b = variable("b", {1}, Reals{real(0.1)});
  const Tensor xw = named("x w", matmul(x, w));
  const Tensor a = named("a", add_rows(xw, b));
  const Tensor o = named("o", tanh(a));
  const Tensor target = named("target", constant({1, 1}, 1));
  const Tensor error = named("error", sub(o, target));
  const Tensor square = named("error²", mul(error, error));
  return named("loss", sum(square));
}

// Three tokens through an LSTM with two hidden units, and the next-token loss; the cell is that of
// composed::lstm_cell, gate by gate.
Tensor lstm() {
  const Tensor E = variable("E", {3, 2}, Reals{real(0.5), real(-0.3), real(-0.8), real(0.4), real(0.2), real(0.9)});
  const Tensor w_ih =
      variable("w_ih", {8, 2},
               Reals{real(0.4), real(-0.2), real(0.1), real(0.5), real(-0.3), real(0.2), real(0.6), real(0.1),
                     real(0.7), real(-0.5), real(0.3), real(0.8), real(-0.1), real(0.4), real(0.2), real(-0.6)});
  const Tensor w_hh =
      variable("w_hh", {8, 2},
               Reals{real(0.3), real(0.1), real(-0.4), real(0.2), real(0.5), real(-0.1), real(-0.2), real(0.6),
                     real(0.4), real(-0.3), real(0.1), real(0.7), real(0.2), real(0.3), real(-0.5), real(0.4)});
  const Tensor b = variable("b", {8}, Reals{0, 0, 1, 1, 0, 0, 0, 0});
  const Tensor w_out = variable("w_out", {3, 2}, Reals{real(0.9), real(-0.4), real(-0.6), real(0.5), real(0.1), 1});
  const Tensor x = named("x", embedding(E, std::vector<int32_t>{0, 1, 2}));
  const Tensor xw = named("x w_ihᵀ", matmul_nt(x, w_ih));
  const Tensor xwb = named("x w_ihᵀ + b", add_rows(xw, b));
  static constexpr const char* kNames[3][15] = {{"h₀ w_hhᵀ", "a₁", "a₁[i]", "a₁[f]", "a₁[g]", "a₁[o]", "i₁", "f₁", "g₁",
                                                 "o₁", "f₁ c₀", "i₁ g₁", "c₁", "tanh c₁", "h₁"},
                                                {"h₁ w_hhᵀ", "a₂", "a₂[i]", "a₂[f]", "a₂[g]", "a₂[o]", "i₂", "f₂", "g₂",
                                                 "o₂", "f₂ c₁", "i₂ g₂", "c₂", "tanh c₂", "h₂"},
                                                {"h₂ w_hhᵀ", "a₃", "a₃[i]", "a₃[f]", "a₃[g]", "a₃[o]", "i₃", "f₃", "g₃",
                                                 "o₃", "f₃ c₂", "i₃ g₃", "c₃", "tanh c₃", "h₃"}};
  Tensor h = named("h₀", constant({1, 2}, 0)), c = named("c₀", constant({1, 2}, 0));
  std::vector<Tensor> outputs;
  for (int t = 0; t < 3; ++t) {
    const char* const* name = kNames[t];
    const Tensor hw = named(name[0], matmul_nt(h, w_hh));
    const Tensor a = named(name[1], add(xwb.rows(t, 1), hw));
    const Tensor ai = named(name[2], columns(a, 0, 2));
    const Tensor af = named(name[3], columns(a, 2, 2));
    const Tensor ag = named(name[4], columns(a, 4, 2));
    const Tensor ao = named(name[5], columns(a, 6, 2));
    const Tensor i = named(name[6], sigmoid(ai));
    const Tensor f = named(name[7], sigmoid(af));
    const Tensor g = named(name[8], tanh(ag));
    const Tensor o = named(name[9], sigmoid(ao));
    const Tensor fc = named(name[10], mul(f, c));
    const Tensor ig = named(name[11], mul(i, g));
    c = named(name[12], add(fc, ig));
    const Tensor tanh_c = named(name[13], tanh(c));
    h = named(name[14], mul(o, tanh_c));
    outputs.push_back(h);
  }
  const Tensor all = named("h", concat(outputs)).reshape({3, 2});
  const Tensor logits = named("logits", matmul_nt(all, w_out));
  const Tensor each = named("−log p", softmax_cross_entropy(logits, std::vector<int32_t>{1, 2, 0}));
  return named("loss", mean(each));
}

// One causal head over three positions of width two, and the next-token loss.
Tensor attention() {
  const Tensor x = variable("x", {3, 2}, Reals{1, real(0.2), real(-0.5), real(0.8), real(0.3), real(-1)});
  const Tensor w_q = variable("w_q", {2, 2}, Reals{real(0.9), real(-0.3), real(0.4), real(0.7)});
  const Tensor w_k = variable("w_k", {2, 2}, Reals{real(0.6), real(0.5), real(-0.8), real(0.2)});
  const Tensor w_v = variable("w_v", {2, 2}, Reals{1, real(-0.6), real(0.3), real(0.8)});
  const Tensor w_out =
      variable("w_out", {2, 3}, Reals{real(0.7), real(-0.2), real(0.5), real(-0.4), real(0.9), real(0.1)});
  const Tensor Q = named("Q", matmul(x, w_q));
  const Tensor K = named("K", matmul(x, w_k));
  const Tensor V = named("V", matmul(x, w_v));
  const Tensor QK = named("Q Kᵀ", matmul_nt(Q, K));
  const Tensor S = named("S", scale(QK, 1 / std::sqrt(2.0)));
  const Tensor P = named("P", causal_softmax(S));
  const Tensor PV = named("P V", matmul(P, V));
  const Tensor logits = named("logits", matmul(PV, w_out));
  const Tensor log_p = named("log p", log_softmax(logits));
  const Tensor of_target = named("log p[target]", pick(log_p, std::vector<int32_t>{1, 2, 0}));
  const Tensor average = named("mean log p", mean(of_target));
  return named("loss", scale(average, -1));
}

// KL(π‖q) of the four sentences the cat, the dog, a cat, a dog, with π = softmax(z) = (.5, .2, .1, .2) and
// q = (.4, .3, .2, .1); its gradient with respect to z is π (log π/q − KL).
Tensor kl() {
  const Tensor z =
      variable("z", {1, 4}, Reals{real(std::log(.5)), real(std::log(.2)), real(std::log(.1)), real(std::log(.2))});
  const Reals logs{real(std::log(.4)), real(std::log(.3)), real(std::log(.2)), real(std::log(.1))};
  const Tensor log_q = named("log q", constant({1, 4}, logs));
  const Tensor pi = named("π", softmax(z));
  const Tensor log_pi = named("log π", log_softmax(z));
  const Tensor log_ratio = named("log π/q", sub(log_pi, log_q));
  const Tensor term = named("π log π/q", mul(pi, log_ratio));
  return named("KL(π‖q)", sum(term));
}

// One draw of the ELBO of the toy of models/posterior/gaussian_toy.h, h ~ N(0,1) and x | h ~ N(h,1) with x = 1, under a
// guide N(μ, σ²): the gradient goes through the draw h = μ + σ ε, ε = -0.6.
Tensor elbo() {
  const Tensor mu = variable("μ", 0.2);
  const Tensor rho = variable("log σ", std::log(0.8));
  const Tensor noise = named("ε", constant({}, -0.6));
  const Tensor x = named("x", constant({}, 1));
  const Tensor sigma = named("σ", exp(rho));
  const Tensor moved = named("σ ε", mul(sigma, noise));
  const Tensor h = named("h", mu + moved);
  const Tensor error = named("x − h", sub(x, h));
  const Tensor square = named("(x − h)²", error * error);
  const Tensor of_datum =
      named("½ (x − h)² + ½ log 2π", add(scale(square, 0.5), constant({}, 0.5 * std::log(2 * M_PI))));
  const Tensor variance = named("σ²", sigma * sigma);
  const Tensor mean_square = named("μ²", mu * mu);
  const Tensor both = named("½ (σ² + μ²)", scale(add(variance, mean_square), 0.5));
  const Tensor shifted = named("½ (σ² + μ² − 1)", add(both, constant({}, -0.5)));
  const Tensor kl = named("KL(guide‖prior)", sub(shifted, rho));
  return named("−ELBO", of_datum + kl);
}

constexpr StepExample kExamples[] = {
    {"scalar", "loss = 0.1 (a b + c)² + a, where a reaches the loss along two paths", scalar},
    {"neuron", "one tanh neuron with a bias, and its squared error", neuron},
    {"lstm", "three tokens through an LSTM with two units, and the next-token loss", lstm},
    {"attention", "one causal attention head over three positions, and the next-token loss", attention},
    {"kl", "KL(π‖q) of two distributions over four sentences, π = softmax(z)", kl},
    {"elbo", "−ELBO of a Gaussian guide from one draw, whose gradient goes through h = μ + σ ε", elbo},
};

}  // namespace

std::span<const StepExample> step_examples() { return kExamples; }

const StepExample& step_example(const std::string& name, const std::vector<std::string>& others) {
  std::string known;
  for (const StepExample& example : kExamples) {
    if (name == example.name) return example;
    known += (known.empty() ? "" : " | ") + std::string(example.name);
  }
  for (const std::string& other : others) known += " | " + other;
  throw UsageError("step " + name + ": must be one of " + known);
}

}  // namespace gradus

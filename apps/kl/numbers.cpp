// gradus kl: the page of worked numbers. Longer than 350 lines because it is a page of text: one function for each
// section, which says what is computed, by which formula, and what a document prints for it. It computes nothing;
// apps/kl/worked_example.cpp does.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/format.h"
#include "apps/kl/kl.h"

namespace gradus {

namespace {

constexpr int kLabel = 34;  // characters of the first column; the page is at most 100 wide

// "3  The gradient ......... [1] §3.2"
void heading(int number, const std::string& title, const std::string& source) {
  const std::string begin = text(number, "  ", title);
  std::printf("\n%s%s\n\n", left(begin, 60).c_str(), right(source, 40).c_str());
}
void say(const char* lines) { std::printf("%s\n", lines); }

// One line of a table: a label, cells of `width` characters on the right, and a note.
void row(const std::string& label, const std::vector<std::string>& cells, int width, const std::string& note = "") {
  std::string line = left("   " + label, kLabel);
  for (const std::string& cell : cells) line += right(cell, width);
  if (!note.empty()) line += "   " + note;
  std::printf("%s\n", line.substr(0, line.find_last_not_of(' ') + 1).c_str());
}
std::string decimals(double value, int n) { return fixed(std::fabs(value) < 1e-15 ? 0 : value, n); }
// Twelve decimals below 10, twelve digits above.
std::string twelve(double value) { return value < 10 ? decimals(value, 12) : digits(value, 12); }
// Four numbers, one for each sentence, to ten decimals.
void sentences(const std::string& label, const std::vector<double>& values) {
  std::vector<std::string> cells(values.size());
  std::ranges::transform(values, cells.begin(), [](double v) { return decimals(v, 10); });
  row(label, cells, 15);
}
void sentence_names() { row("", {"the cat", "the dog", "a cat", "a dog"}, 15); }
// One number to 14 digits.
void number(const std::string& label, double value, const std::string& note = "") {
  row(label, {digits(value)}, 21, note);
}
// The document's figure and the true one.
void beside(const std::string& label, const std::string& document, const std::string& truth,
            const std::string& note = "") {
  row(label, {document, truth}, 21, note);
}

void introduction(const FourSentences& w) {
  say("THE WORKED NUMBERS\n");
  say("One of five documents on reinforcement learning of language models calculates with a world of four");
  say("sentences; the formulas of all five can be tried on it. Every number here is computed as you read");
  say("it; beside it stands what a document prints, where it prints something. Logarithms are natural");
  say("(nats) unless bits are named. What is smaller than 1e-15 is rounding and shown as 0.\n");
  say("A gradient is taken with respect to the four logits of π = softmax(z), where the score of a");
  say("sentence x is s_j(x) = ∂ log π(x)/∂z_j = [x = j] − π_j. β is the weight of the KL penalty, which");
  say("the first document calls λ.\n");
  sentence_names();
  const auto table = [](const std::string& label, const std::vector<double>& values) {
    std::vector<std::string> cells(values.size());
    std::ranges::transform(values, cells.begin(), [](double v) { return text(v); });
    row(label, cells, 15);
  };
  table("q  corpus and frozen prior", w.q.p);
  table("π  policy", w.pi.p);
  table("p  auxiliary n-gram model", w.p.p);
  table("r  reward: contains \"cat\"", w.r);
  say("\n   [1] tutorial on KL-penalised RL as Bayesian inference   [2] introduction to RL objectives");
  say("   [3] article on token-level RL                           [4] article on f-divergences, human");
  say("   [5] article on KL penalties and Bayesian models             feedback, distributional control");
}

void divergences(const WorkedNumbers& n) {
  heading(1, "How far is π from q?", "[1] §4.1");
  say("   D_KL(π‖q) = Σ π log(π/q) = .5 log(.5/.4) + .2 log(.2/.3) + .1 log(.1/.2) + .2 log(.2/.1)\n");
  sentence_names();
  sentences("log(π/q)", n["log_ratios.pi.q"]);
  sentences("π log(π/q)", n["terms.pi.q"]);
  say("");
  beside("", "document", "true");
  beside("D_KL(π‖q), nats", "0.22", digits(n.one("kl.pi.q"), 15), "0.22 is wrong");
  beside("D_KL(π‖q), bits", "", digits(n.one("kl_bits.pi.q"), 15));
  beside("D_KL(π‖q), base 10", "", digits(n.one("kl_base10.pi.q"), 15));
  beside("D_KL(q‖π), nats", "", digits(n.one("kl.q.pi"), 15), "the other direction");
  beside("χ²(q‖π) = Σ (π−q)²/π", "", digits(n.one("chi2.q.pi"), 15), "exactly 0.22");
  beside("log(.5/.4), without its weight .5", "", digits(n["log_ratios.pi.q"][0], 15), "0.22 rounded");
  say("\n   0.22 is wrong by a factor of 2.2. In nats, in bits and in base 10, in both directions, no KL of π");
  say("   and q and no sum of any of its terms comes within 0.005 of it. χ²(q‖π) is exactly 0.22.\n");
  say("   The same for every pair. H is the entropy, H(a,b) = −Σ a log b = H(a) + D_KL(a‖b) the cross-");
  say("   entropy, JS the Jensen-Shannon divergence in its halved form (at most log 2).\n");
  row("", {"nats", "bits", "exp, perplexity"}, 21);
  for (const auto& [key, label] : {std::pair{"pi", "H(π)"}, {"q", "H(q)"}, {"p", "H(p)"}})
    row(label,
        {digits(n.one(text("entropy.", key))), digits(n.one(text("entropy_bits.", key))),
         digits(n.one(text("perplexity.", key)))},
        21);
  say("");
  row("a, b", {"D_KL(a‖b) nats", "bits", "base 10", "H(a,b) nats"}, 16);
  for (const auto& [key, label] : {std::pair{"pi.q", "π, q"},
                                   {"q.pi", "q, π"},
                                   {"pi.p", "π, p"},
                                   {"p.pi", "p, π"},
                                   {"q.p", "q, p"},
                                   {"p.q", "p, q"}}) {
    std::vector<std::string> cells;
    for (const char* kind : {"kl.", "kl_bits.", "kl_base10.", "cross_entropy."})
      cells.push_back(twelve(n.one(text(kind, key))));
    row(label, cells, 16);
  }
  say("");
  row("a, b", {"π, q", "π, p", "q, p"}, 21);
  const auto pairs = [&](const std::string& label, const std::string& key, bool swapped = false) {
    std::vector<std::string> cells;
    for (const auto& pair : {std::pair{"pi.q", "q.pi"}, {"pi.p", "p.pi"}, {"q.p", "p.q"}})
      cells.push_back(digits(n.one(text(key, ".", swapped ? pair.second : pair.first))));
    row(label, cells, 21);
  };
  pairs("total variation ½ Σ|a−b|", "tv");
  pairs("JS (halved), nats", "js");
  pairs("JS (halved), bits", "js_bits");
  pairs("2 JS (not halved), nats", "js_unhalved");
  pairs("χ²(a‖b) = Σ (a−b)²/b", "chi2");
  pairs("χ²(b‖a) = Σ (a−b)²/a", "chi2", true);
  pairs("Hellinger² = ½ Σ (√a−√b)²", "hellinger2");
  number("Jeffreys, D_KL(π‖q) + D_KL(q‖π)", n.one("jeffreys.pi.q"));
  say("\n   p swaps two numbers of q, so every divergence of p and q is the same in both directions: such a");
  say("   pair cannot tell the directions apart. π and q can, but only in the third digit.");
}

void chain_rule(const WorkedNumbers& n) {
  heading(2, "Word by word", "[1] §4.1; [3] §4.1");
  say("   D_KL(π‖q) = Σ_t E_{prefix ~ π} D_KL(π(·|prefix) ‖ q(·|prefix)): the KL of sentences is the sum");
  say("   over words, each averaged over the prefixes that π writes. Never the mean over words.\n");
  row("", {"P(the)", "P(cat)", "P(cat|the)", "P(cat|a)"}, 15);
  for (const auto& [key, label] : {std::pair{"pi", "π"}, {"q", "q"}, {"p", "p"}})
    sentences(label, n[text("words.", key)]);
  say("");
  number("KL of the first word", n.one("chain.word1"), "both say \"the\" with 0.7");
  number("KL of the second after \"the\"", n.one("chain.word2_after_the"), "weight 0.7");
  number("KL of the second after \"a\"", n.one("chain.word2_after_a"), "weight 0.3");
  number("0 + 0.7 · ... + 0.3 · ...", n.one("chain.sum"), "= D_KL(π‖q)");
  say("\n   π and q have the same words in each position; all of their KL is in how the words go together.");
  say("   A model of single positions gives both the same table, and cannot tell them apart:\n");
  sentence_names();
  sentences("P(word 1) · P(word 2)", n["words.product"]);
  number("information between words, π", n.one("mutual_information.pi"));
  number("information between words, q", n.one("mutual_information.q"));
}

void gradients(const WorkedNumbers& n) {
  heading(3, "The gradient", "[1] §3.2");
  say("   ∇E_π[r] = E_π[r s] and ∇D_KL(π‖q) = E_π[s log(π/q)], so ∇J = E_π[s (r − β log(π/q))].\n");
  sentence_names();
  sentences("∇ E_π[r]", n["gradient.reward"]);
  sentences("∇ D_KL(π‖q)", n["gradient.kl.pi.q"]);
  sentences("∇ D_KL(q‖π) = π − q", n["gradient.kl.q.pi"]);
  sentences("∇ H(π) = −π (log π + H)", n["gradient.entropy"]);
  for (double beta : kCoefs) sentences(text("∇ J, β = ", beta), n[text("gradient.objective.", beta)]);
}

void constant(const WorkedNumbers& n) {
  heading(4, "The auxiliary model p and the constant c", "[1] §3.3, §4.2");
  say("   The document estimates ∇D_KL(π‖q) by s(x) (log(π(x)/p(x)) + c), x ~ π, and calls it unbiased.");
  say("   It is unbiased, for every c, because E_π[s] = 0 — but for ∇D_KL(π‖p), not for ∇D_KL(π‖q).\n");
  sentence_names();
  sentences("log(π/p)", n["log_ratios.pi.p"]);
  sentences("π log(π/p), sum = D_KL(π‖p)", n["terms.pi.p"]);
  sentences("its mean: ∇ D_KL(π‖p)", n["gradient.kl.pi.p"]);
  sentences("the claim: ∇ D_KL(π‖q)", n["gradient.kl.pi.q"]);
  sentences("bias", n["gradient.bias"]);
  say("");
  row("", {"of ∇D_KL(π‖q)", "of its estimate", "of the bias"}, 21);
  row("length", {digits(n["gradient.norms"][0]), digits(n["gradient.norms"][1]), digits(n["gradient.norms"][2])}, 21);
  number("cosine of truth and estimate", n.one("gradient.cosine"));
  say("\n   c changes the variance only. The least total variance is at c* = −E[‖s‖² ℓ]/E[‖s‖²], with ℓ the");
  say("   log-ratio; a constant for each coordinate does better. The popular c = −KL makes it worse.\n");
  sentence_names();
  sentences("‖s(x)‖²", n["score_norms"]);
  sentences("c_j* for each j, ℓ = log(π/p)", n["constant.each.p"]);
  sentences("c_j* for each j, ℓ = log(π/q)", n["constant.each.q"]);
  number("E‖s‖² = 1 − Σ π²", n.one("score_norm_mean"));
  say("");
  row("total variance of one sample", {"ℓ = log(π/p)", "ℓ = log(π/q)"}, 21);
  const auto both = [&](const std::string& label, const std::string& key) {
    row(label, {digits(n.one(key + ".p")), digits(n.one(key + ".q"))}, 21);
  };
  both("c*", "constant.best");
  both("c = 0", "constant.variance_0");
  both("c = c*", "constant.variance_best");
  both("c = −KL", "constant.variance_minus_kl");
  both("c = 1", "constant.variance_1");
  both("c = c_j* for each coordinate j", "constant.variance_each");
  say("\n   The same for the reward: REINFORCE with a baseline b, s (r − b), has a total variance of\n");
  number("b = 0", n.one("baseline.variance_0"));
  number("b = E r = 0.6", n.one("baseline.variance_mean"));
  number("b* = E[‖s‖² r]/E[‖s‖²]", n.one("baseline.variance_best"), "b* = " + digits(n.one("baseline.best"), 12));
}

void importance(const WorkedNumbers& n) {
  heading(5, "Importance sampling", "[1] §4.2");
  say("   E_π[f] = E_p[f π/p]: sample from p, weight by π/p. The estimator of section 4 does neither. With");
  say("   both, (π/p) s (log(π/q) + c), x ~ p, has the right mean for every c; q must still be known.\n");
  sentence_names();
  sentences("weight π/p", n["importance.weights"]);
  sentences("mean, c = 0", n["importance.gradient_0"]);
  sentences("mean, c = −KL", n["importance.gradient_minus_kl"]);
  say("");
  number("total variance, c = 0", n.one("importance.variance_0"));
  number("total variance, c = −KL", n.one("importance.variance_minus_kl"));
  number("E_p[w]", n.one("importance.mean_weight"));
  number("E_p[w²] = 1 + χ²(π‖p)", n.one("importance.mean_square"));
  number("effective samples for each drawn", n.one("importance.ess_fraction"), "1/E_p[w²]; (Σw)²/Σw² of a sample");
  say("\n   Self-normalised, Σ w f/Σ w, the estimate needs no normalised π, and has a bias that falls as 1/N.");
  say("   Its mean over all samples of N sentences, for E_π[r] = 0.6:\n");
  std::vector<std::string> sizes, means;
  for (int draws : {1, 2, 4, 8, 16, 32}) {
    sizes.push_back(text(draws));
    means.push_back(fixed(n.one(text("importance.self_normalised.", draws)), 7));
  }
  row("N", sizes, 11);
  row("mean of the estimate", means, 11);
}

void posteriors(const WorkedNumbers& n) {
  heading(6, "The posterior", "[1] §3.1");
  say("   J(π) = E_π[r] − β D_KL(π‖q) is greatest at π*(x) = q(x) e^{r(x)/β}/Z, with J* = β log Z, and for");
  say("   every π  J* − J(π) = β D_KL(π‖π*): to raise J is to infer a posterior over sentences.\n");
  std::vector<std::string> cells;
  for (double beta : kCoefs) cells.push_back(text("β = ", beta));
  row("", cells, 16);
  const auto line = [&](const std::string& label, const std::string& key, size_t index = 0) {
    std::vector<std::string> values;
    for (double beta : kCoefs) values.push_back(twelve(n[text("posterior.", key, ".", beta)][index]));
    row(label, values, 16);
  };
  const char* const names[] = {"π*(the cat)", "π*(the dog)", "π*(a cat)", "π*(a dog)"};
  for (size_t i = 0; i < 4; ++i) line(names[i], "table", i);
  line("Z", "z");
  line("log Z", "log_z");
  line("J* = β log Z", "j_star");
  line("J(π*), from its definition", "j_of_posterior");
  line("E[r] under π*", "reward");
  line("D_KL(π*‖q)", "kl_to_prior");
  line("H(π*)", "entropy");
  line("J(q) = E_q[r]", "j_of_prior");
  line("J(π)", "j_of_pi");
  line("J* − J(π)", "gap_of_pi");
  line("D_KL(π‖π*)", "kl_of_pi");
  line("D_KL(π*‖π)", "kl_to_pi");
  line("D_KL(q‖π*)", "kl_of_prior");
  say("\n   β → 0 leaves q among the best sentences; β → ∞ leaves q.\n");
  sentence_names();
  sentences("π* for β → 0", n["posterior.limit"]);
  number("its D_KL to q, −log 0.6", n.one("posterior.limit_kl"));
  say("\n   The other way round: the β at which D_KL(π*‖q) is a given target, and the reward bought with it.\n");
  row("D_KL(π*‖q)", {"0.02", "0.05", "0.1", "0.2"}, 16);
  std::vector<std::string> betas, rewards;
  for (const char* target : {"0.02", "0.05", "0.1", "0.2"}) {
    betas.push_back(twelve(n[text("kl_target.", target)][0]));
    rewards.push_back(twelve(n[text("kl_target.", target)][1]));
  }
  row("β", betas, 16);
  row("E[r]", rewards, 16);
  say("\n   An entropy bonus α H(π) is the case of a uniform prior: π* = softmax(r/α) ([3] §4.3). α = 0.5:\n");
  sentences("π*", n["entropy_bonus.table"]);
  number("J* = α log Σ e^{r/α}", n.one("entropy_bonus.j_star"));
}

void moments(const WorkedNumbers& n) {
  heading(7, "Distributional control", "[4] §1.1");
  say("   The nearest p to q with E_p[φ] = μ is p(x) = q(x) e^{Λφ(x)}/Z: the posterior of section 6 with");
  say("   φ as reward and β = 1/Λ. (Document [4] takes the letters GDC for a gradient method; they stand");
  say("   for generation with distributional control.) Here φ = contains \"cat\", q has E[φ] = 0.6.\n");
  row("", {"μ = 0.5", "μ = 0.7", "μ = 0.9"}, 21);
  const auto line = [&](const std::string& label, const std::string& key, size_t index = 0) {
    std::vector<std::string> values;
    for (const char* mu : {"0.5", "0.7", "0.9"}) values.push_back(digits(n[text("moments.", key, ".", mu)][index]));
    row(label, values, 21);
  };
  const char* const names[] = {"p(the cat)", "p(the dog)", "p(a cat)", "p(a dog)"};
  line("Λ", "lambda");
  line("β = 1/Λ", "beta");
  line("Z", "z");
  line("log Z", "log_z");
  for (size_t i = 0; i < 4; ++i) line(names[i], "table", i);
  line("D_KL(p‖q) = Λμ − log Z", "kl");
  say("\n   Two features, \"cat\" and \"the\", and a constraint that every sentence must meet:\n");
  sentence_names();
  sentences("E[cat] = 0.5, E[the] = 0.5", n["moments.two.table"]);
  sentences("E[cat] = 0.9, E[the] = 0.3", n["moments.far.table"]);
  sentences("always \"the\"", n["moments.pointwise.table"]);
  sentences("always \"the\", E[cat] = 0.5", n["moments.hybrid.table"]);
  say("");
  row("", {"Λ of cat", "Λ of the", "D_KL(p‖q)"}, 21);
  const auto fit = [&](const std::string& label, const std::string& key) {
    const std::vector<double>& lambda = n[key + ".lambda"];
    row(label, {digits(lambda[0]), lambda.size() > 1 ? digits(lambda[1]) : "", digits(n.one(key + ".kl"))}, 21);
  };
  fit("E[cat] = 0.5, E[the] = 0.5", "moments.two");
  fit("E[cat] = 0.9, E[the] = 0.3", "moments.far");
  row("always \"the\"", {"", "", digits(n.one("moments.pointwise.kl"))}, 21);
  fit("always \"the\", E[cat] = 0.5", "moments.hybrid");
  say("\n   Of the first: a tilt of two separate features leaves p(the cat) p(a dog) / p(the dog) p(a cat).\n");
  number("that ratio, 2/3 as in q", n.one("moments.two.odds"));
  number("Z", n.one("moments.two.z"));
  say("\n   DPG follows −(P/q − B) s for x ~ q, P = Z p. At μ = 0.9, from π:\n");
  sentence_names();
  sentences("mean, any B: Z ∇D_KL(p‖π)", n["dpg.mean"]);
  row("total variance", {"B = 0", "B = Z π/q"}, 21);
  row("x ~ q", {digits(n.one("dpg.variance")), digits(n.one("dpg.variance_baseline"))}, 21);
  row("x ~ π, B = Z", {digits(n.one("dpg.on_policy_variance")), digits(n.one("dpg.on_policy_variance_baseline"))}, 21);
}

void f_divergences(const WorkedNumbers& n) {
  heading(8, "Seven divergences, one gradient", "[4] §1.1");
  say("   D_f(π‖t) = E_t[f(π/t)] and ∇D_f = E_π[f'(π/t) s]: each divergence pays a sample −f'(π/t). The");
  say("   document promises this theory and does not give it; it is that of Go et al. 2023.");
  const std::pair<const char*, const char*> rows[] = {
      {"forward_kl", "KL(t‖π), f = −log τ"},     {"reverse_kl", "KL(π‖t), f = τ log τ"},
      {"tv", "total variation, f = ½|τ−1|"},     {"js_unhalved", "2 JS, f' = log(2τ/(1+τ))"},
      {"forward_chi2", "χ²(t‖π), f = (1−τ)²/τ"}, {"reverse_chi2", "χ²(π‖t), f = (τ−1)²"},
      {"hellinger2", "Hellinger², f = ½(1−√τ)²"}};
  for (const auto& [key, label] : {std::pair{"q", "t = q"}, {"posterior", "t = π* at β = 1"}}) {
    std::printf("\n");
    row(label, {"D_f(π‖t)"}, 21);
    for (const auto& [f, name] : rows) number(name, n.one(text("f.value.", f, ".", key)));
    std::printf("\n");
    row(text(label, ", reward −f'"), {"the cat", "the dog", "a cat", "a dog"}, 15);
    for (const auto& [f, name] : rows) sentences(name, n[text("f.reward.", f, ".", key)]);
    std::printf("\n");
    row(text(label, ", gradient"), {"the cat", "the dog", "a cat", "a dog"}, 15);
    for (const auto& [f, name] : rows) sentences(name, n[text("f.gradient.", f, ".", key)]);
  }
  say("\n   The reverse KL to π* has the gradient −∇J/β of section 3: learning from a reward with a KL");
  say("   penalty is one of the seven.");
}

void kl_estimates(const WorkedNumbers& n) {
  heading(9, "k1, k2, k3: three estimates of D_KL(π‖q)", "[1] §3.2");
  say("   From a sample x ~ π and u = log(π/q): k1 = u, k2 = u²/2, k3 = e^−u − 1 + u.\n");
  sentence_names();
  for (int k : {1, 2, 3}) sentences(text("k", k), n[text("k", k, ".values")]);
  say("");
  row("", {"k1", "k2", "k3"}, 21);
  const auto line = [&](const std::string& label, const std::string& key) {
    row(label, {digits(n.one("k1." + key), 15), digits(n.one("k2." + key), 15), digits(n.one("k3." + key), 15)}, 21);
  };
  line("mean", "mean");
  line("bias", "bias");
  line("variance", "variance");
  line("standard deviation / KL", "relative");
  say("\n   As values k1 and k3 are right and k3 is far steadier. Differentiated as a loss, k1 does nothing,");
  say("   k2 descends D_KL(π‖q), and k3 descends the other direction. As a reward, k1 is the right one.\n");
  sentence_names();
  sentences("∇ D_KL(π‖q)", n["gradient.kl.pi.q"]);
  sentences("∇ D_KL(q‖π)", n["gradient.kl.q.pi"]);
  for (int k : {1, 2, 3}) sentences(text("mean gradient of k", k, " as a loss"), n[text("k", k, ".loss_gradient")]);
  sentences("k1 as a reward", n["k1.reward_gradient"]);
  sentences("k2 as a reward", n["k2.reward_gradient"]);
  sentences("k3 as a reward", n["k3.reward_gradient"]);
  say("\n   Between N(0,1) and N(μ,1), in closed form:\n");
  row("", {"KL", "k1 std/KL", "k2 bias/KL", "k2 std/KL", "k3 std/KL"}, 12);
  for (const char* mu : {"0.1", "1"}) {
    std::vector<std::string> cells;
    for (double v : n[text("gaussian.", mu)]) cells.push_back(fixed(v, 7));
    row(text("μ = ", mu), cells, 12);
  }
}

void groups(const WorkedNumbers& n) {
  heading(10, "Groups of samples", "[3] §4.2");
  say("   Several samples of one prompt can be each other's baseline. The mean gradient over all 16 pairs:\n");
  sentence_names();
  sentences("∇ E_π[r]", n["gradient.reward"]);
  sentences("minus the other's reward", n["group.leave_one_out"]);
  sentences("minus the mean of both", n["group.mean_with_itself"]);
  sentences("the same over its deviation", n["group.normalised"]);
  say("\n   To leave oneself out is unbiased; a mean of all G samples shrinks the gradient by (G−1)/G; to");
  say("   divide by the deviation scales it by the difficulty of the prompt. Three of eight are right:\n");
  row("advantage", {"right", "wrong"}, 21);
  const auto line = [&](const std::string& label, const std::string& key) {
    row(label, {digits(n[key][0]), digits(n[key][1])}, 21);
  };
  line("leave-one-out", "group.three_of_eight.leave_one_out");
  line("mean and deviation", "group.three_of_eight.normalised");
}

void tokens(const WorkedNumbers& n) {
  heading(11, "One logit for each word", "[3] §2.2, §4.1");
  say("   The policy as two decisions: the first word, then the second. Each is paid what follows it: the");
  say("   reward, and the log-ratios of itself and of all words after it.\n");
  row("logit of", {"the", "cat after the", "cat after a"}, 21);
  const auto three = [&](const std::string& label, const std::string& key) {
    row(label, {digits(n[key][0], 13), digits(n[key][1], 13), digits(n[key][2], 13)}, 21);
  };
  three("∇ E_π[r]", "tokens.gradient.reward");
  three("∇ D_KL(π‖q)", "tokens.gradient.kl");
  three("without the KL of later words", "tokens.gradient.kl_without_future");
  say("\n   The last line is a common mistake: the first word looks free, and is not.\n");
  row("value of", {"the start", "the", "a"}, 21);
  three("E_π[r | prefix]", "tokens.values");
  say("\n   The posterior, word by word, from the last to the first: V(h) = β log Σ q(a|h) e^{Q(h,a)/β} and");
  say("   π*(a|h) = q(a|h) e^{(Q−V)/β}. V(start) is J* of section 6.\n");
  row("", {"V(the)", "V(a)", "V(start) = J*"}, 21);
  for (double beta : kCoefs) three(text("β = ", beta), text("tokens.soft_values.", beta));
  row("", {"π*(the)", "π*(cat|the)", "π*(cat|a)"}, 21);
  for (double beta : kCoefs) three(text("β = ", beta), text("tokens.soft_policy.", beta));
}

void ascents(const WorkedNumbers& n) {
  heading(12, "The algorithm without noise", "[1] §3.2");
  say("   z ← z + ∇J from π = q, with the exact gradient. gradus kl --lesson says what it shows.\n");
  for (double beta : {0.0, 0.1, 0.5, 1.0, 2.0}) {
    if (beta > 0) std::printf("\n");
    row(text("β = ", beta), {"E[r]", "H(π)", "D_KL(π‖q)", beta > 0 ? "D_KL(π‖π*)" : "−log E[r]"}, 16);
    for (int steps : kAscentSteps) {
      std::vector<std::string> cells;
      for (double v : n[text("ascent.", beta, ".", steps)])
        cells.push_back(v < 1e-5 && v > 1e-15 ? digits(v, 4) : decimals(v, 10));
      row(text(steps, steps == 1 ? " step" : " steps"), cells, 16);
    }
  }
  say("\n   With the rewards 1, 0.5, 0.2, 0 and β = 0 one sentence is left:\n");
  row("steps", {"E[r]", "H(π)", "D_KL(π‖q)", "π(the cat)"}, 16);
  for (int steps : {0, 10, 100, 1000, 2000}) {
    std::vector<std::string> cells;
    for (double v : n[text("collapse.", steps)]) cells.push_back(fixed(v, 10));
    row(text(steps), cells, 16);
  }
}

void likelihood(const WorkedNumbers& n) {
  heading(13, "Likelihood, and a posterior over parameters", "[5] §2.5, §3.1, §3.3");
  say("   Ten sentences with the counts 4, 3, 2, 1. The best any model can do is H(q); it says the counts.\n");
  number("nats a sentence, H(q)", n.one("mle.sentence"));
  number("nats a word", n.one("mle.word"), "perplexity " + digits(n.one("mle.word_perplexity")));
  number("nats a token, end mark counted", n.one("mle.token"));
  number("nats a sentence under π, H(q,π)", n.one("mle.under_pi"));
  number("log-likelihood of the ten", n.one("mle.log_likelihood"));
  say("\n   The document speaks of a posterior over parameters. That is not the posterior of section 6, which");
  say("   is over sentences. Over parameters, with a Dirichlet(1) prior:\n");
  sentence_names();
  sentences("posterior mean, (count+1)/14", n["dirichlet.mean"]);
  sentences("posterior variance", n["dirichlet.variance"]);
  number("log evidence of the ten", n.one("dirichlet.log_evidence"));
}

void closed_forms(const WorkedNumbers& n) {
  heading(14, "Small formulas", "[1] §3.1; [2] §2.3; [4] §1.1");
  say("   The controller of Ziegler et al., β (1 + clip(KL/target − 1, ±0.2) n/horizon), with β = 0.2,");
  say("   target 6, n = 256, horizon 10000:\n");
  for (const char* measured : {"12", "6.3", "0"}) number(text("KL = ", measured), n.one(text("controller.", measured)));
  say("\n   Generalised advantages of the rewards 0, 0, 1 and values .5, .6, .7, with γ = .99 and λ = .95:\n");
  const auto three = [&](const std::string& label, const std::string& key) {
    row(label, {digits(n[key][0]), digits(n[key][1]), digits(n[key][2])}, 21);
  };
  three("advantage", "advantages.generalised");
  three("advantage + value", "advantages.returns");
  say("\n   DPO's loss over all pairs of q, labelled by σ(r_i − r_j): its least is at π*.\n");
  row("", {"at q", "at π*", "at π"}, 21);
  for (const char* beta : {"0.5", "1"})
    row(text("β = ", beta),
        {digits(n.one(text("dpo.q.", beta))), digits(n.one(text("dpo.posterior.", beta))),
         digits(n.one(text("dpo.pi.", beta)))},
        21);
}

void report(const WorkedNumbers& n) {
  heading(15, "A report whose totals do not add up", "[4] §5.4");
  say("   F1 = 2PR/(P+R) of the printed P and R; \"off\" where the printed F1 is further away than rounding");
  say("   explains. A macro average is the mean of the rows; a weighted one counts each row by its support.\n");
  row("class", {"P", "R", "F1 printed", "F1 true", "support"}, 12);
  const Report printed = printed_report();
  for (size_t i = 0; i < printed.rows.size(); ++i) {
    const ReportRow& r = printed.rows[i];
    const double f1 = n["report.f1"][i];
    row(text(i), {fixed(r.precision, 3), fixed(r.recall, 3), fixed(r.f1, 3), fixed(f1, 4), text(r.support)}, 12,
        std::fabs(r.f1 - f1) > 0.001 ? "off" : "");
  }
  const auto summary = [&](const std::string& label, const ReportRow& r) {
    row(label, {fixed(r.precision, 3), fixed(r.recall, 3), fixed(r.f1, 3), "", text(r.support)}, 12);
  };
  const auto truth = [&](const std::string& label, const std::vector<double>& v) {
    row(label, {fixed(v[0], 4), fixed(v[1], 4), "", fixed(v[2], 4), text(n.one("report.support"))}, 12);
  };
  summary("micro, printed", printed.micro);
  summary("macro, printed", printed.macro);
  truth("macro, from the rows", n["report.macro"]);
  summary("weighted, printed", printed.weighted);
  truth("weighted, from the rows", n["report.weighted"]);
  say("\n   The supports sum to 7670, not 46435. With one label for each text, micro P, R and F1 are all the");
  say("   accuracy, and cannot differ. The \"92.5 % F1\" of the text is the column of P.");
}

void listings(const WorkedNumbers& n) {
  heading(16, "Two listings, in numbers", "[2] §5.1; [3] §5.1");
  say("   A network that ends in a softmax and a loss that takes another: nothing can be near certain.\n");
  sentence_names();
  sentences("softmax(π), for π", n["softmax_twice.pi"]);
  number("the most, of 4 words", n.one("softmax_twice.most.4"), "instead of 1");
  number("the most, of 100 words", n.one("softmax_twice.most.100"));
  say("\n   An environment that pays, at every step, the share of the target met so far: an early hit counts");
  say("   again and again. The target has three tokens; R(Y|X) is the share met at the end.\n");
  row("hits", {"return of the listing", "R(Y|X)"}, 24);
  for (const char* hits : {"100", "001", "101", "111"})
    row(text(hits[0], " ", hits[1], " ", hits[2]),
        {digits(n[text("similarity.", hits)][0], 13), digits(n[text("similarity.", hits)][1], 13)}, 24);
  say("\n   Paid 1/3 for each hit when it happens, the steps sum to R.");
}

}  // namespace

void print_worked_numbers(const WorkedNumbers& n) {
  introduction(FourSentences());
  for (auto* section : {divergences, chain_rule, gradients, constant, importance, posteriors, moments, f_divergences,
                        kl_estimates, groups, tokens, ascents, likelihood, closed_forms, report, listings})
    section(n);
}

}  // namespace gradus

// gradus kl --lesson: from the worked example, over the tabular world and its posterior, to what fine-tuning will do.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/format.h"
#include "apps/kl/kl.h"

namespace gradus {

namespace {

void say(const std::string& line) {  // without the spaces at its end
  std::printf("%s\n", line.substr(0, line.find_last_not_of(' ') + 1).c_str());
}

// A bar of one character for each 2.5 % of the probability.
std::string bar(double probability) {
  std::string s;
  for (int64_t i = 0; i < std::lround(probability * 40); ++i) s += "█";
  return s;
}
void world(const char* name, const Table& t) {
  const FourSentences w;
  for (size_t i = 0; i < t.size(); ++i)
    say("   " + left(i == 0 ? name : "", 5) + left(w.names[i], 8) + right(fixed(t.p[i], 5), 9) + "  " + bar(t.p[i]));
}

void example(const WorkedNumbers& n, const FourSentences& w) {
  say("1  The example\n");
  say("   A corpus knows four sentences. Our prior q has learned how often each occurs; a policy π says");
  say("   them a little differently.\n");
  world("q", w.q);
  say("");
  world("π", w.pi);
  say("\n   How far has π gone? Each sentence that π says counts by how much likelier π finds it than q:\n");
  say("      D_KL(π‖q) = .5 log(.5/.4) + .2 log(.2/.3) + .1 log(.1/.2) + .2 log(.2/.1)");
  const std::vector<double>& t = n["terms.pi.q"];
  std::printf("                = %.6f − %.6f − %.6f + %.6f\n", t[0], -t[1], -t[2], t[3]);
  std::printf("                = %s nats = %s bits\n\n", digits(n.one("kl.pi.q"), 15).c_str(),
              digits(n.one("kl_bits.pi.q"), 15).c_str());
  say("   The tutorial from which the example comes prints 0.22. That is wrong; 0.22 is χ²(q‖π). Check it");
  say("   with a file of your own: gradus kl FILE.json, with {\"p\":{\"the cat\":0.5,...},\"q\":{...}}.\n");
}

void tabular(const WorkedNumbers& n) {
  say("2  The world as a table\n");
  say("   A policy over four sentences is four logits, π = softmax(z): small enough that every average is a");
  say("   sum of four terms, large enough that nothing essential is missing. A reward likes cats: r = 1 for");
  say("   \"the cat\" and \"a cat\", else 0. Both q and π earn E[r] = 0.6. The objective subtracts what it");
  say("   costs to leave q,\n");
  say("      J(π) = E_π[r] − β D_KL(π‖q),\n");
  std::printf("   so at β = 1 J(q) = 0.6 and J(π) = %.6f: π has moved and has nothing to show for it. The\n",
              n.one("posterior.j_of_pi.1"));
  say("   gradient ∇J = E_π[s (r − β log(π/q))] says in which direction to mend it:\n");
  const std::vector<double>& g = n["gradient.objective.1"];
  std::printf("      the cat %+.6f   the dog %+.6f   a cat %+.6f   a dog %+.6f\n\n", g[0], g[1], g[2], g[3]);
}

void posterior_page(const WorkedNumbers& n) {
  say("3  The best policy is a posterior\n");
  say("   Where does it end? At the π* with the greatest J, and that is Bayes' rule over sentences: the");
  say("   prior times a likelihood e^{r/β}, over its sum Z.\n");
  say("      π*(x) = q(x) e^{r(x)/β} / Z       J* = β log Z       J* − J(π) = β D_KL(π‖π*) for every π\n");
  for (double beta : kCoefs) {
    std::printf("   β = %g: E[r] = %.6f, D_KL(π*‖q) = %.6f, J* = %.6f\n", beta, n.one(text("posterior.reward.", beta)),
                n.one(text("posterior.kl_to_prior.", beta)), n.one(text("posterior.j_star.", beta)));
    world("π*", Table::of(n[text("posterior.table.", beta)]));
    say("");
  }
  say("   Within the sentences with a cat, and within those without, the odds stay those of q: 2 to 1 and");
  say("   3 to 1. Only the balance between the two kinds moves. The last identity is the whole theory: to");
  say("   raise J is to come nearer to π*, and what is missing is β times the distance.\n");
}

void fine_tuning(const WorkedNumbers& n) {
  say("4  What fine-tuning will do\n");
  say("   REINFORCE estimates ∇J from samples. Here is what it estimates: z ← z + ∇J, exactly, from π = q.\n");
  say("   " + left("β", 4) + right("steps", 9) + right("E[r]", 12) + right("H(π)", 12) + right("D_KL(π‖q)", 12) +
      right("D_KL(π‖π*)", 14));
  for (double beta : {0.0, 0.1, 0.5, 1.0, 2.0}) {
    for (int steps : kAscentSteps) {
      const std::vector<double>& v = n[text("ascent.", beta, ".", steps)];
      const std::string rest = beta == 0 ? "" : v[3] < 1e-15 ? "0" : v[3] < 1e-4 ? digits(v[3], 3) : fixed(v[3], 8);
      say("   " + left(steps == 0 ? text(beta) : "", 4) + right(text(steps), 9) + right(fixed(v[0], 6), 12) +
          right(fixed(v[1], 6), 12) + right(fixed(std::max(v[2], 0.0), 6), 12) + right(rest, 14));
    }
    say("");
  }
  const auto end = [&](const char* beta, size_t column) { return n[text("ascent.", beta, ".2000")][column]; };
  std::printf("   β = 0, no penalty: the reward rises to %.4f and goes on rising; the entropy has fallen from\n",
              end("0", 0));
  std::printf("   %.4f to %.4f, for one sentence crowds out the other, although both earn the same. The KL,\n",
              n["ascent.0.0"][1], end("0", 1));
  std::printf("   %.4f, has passed log(1/0.6) = %.4f, all that the reward can ask for. That is collapse.\n\n",
              end("0", 2), n.one("posterior.limit_kl"));
  std::printf("   β = 0.1: nearly all of the reward, %.4f, and \"a cat\" stays: the entropy tends to %.4f, not\n",
              end("0.1", 0), n.one("posterior.entropy.0.1"));
  std::printf("   to 0. It is slow, %.4f from π* after 2000 steps: a small β pulls weakly.\n\n", end("0.1", 3));
  std::printf("   β = 0.5, 1, 2: π* is reached, and the reward that it earns, %.4f, %.4f, %.4f, is what that\n",
              end("0.5", 0), end("1", 0), end("2", 0));
  say("   β buys. More steps buy nothing more; only a smaller β does. Sampling adds noise to this path,");
  say("   and no other end: a run that settles elsewhere has an error, or too large a step.\n");
  say("   All of the numbers, with their formulas: gradus kl.");
}

}  // namespace

void print_kl_lesson(const WorkedNumbers& n) {
  const FourSentences w;
  say("FROM A WORKED EXAMPLE TO FINE-TUNING\n");
  example(n, w);
  tabular(n);
  posterior_page(n);
  fine_tuning(n);
}

}  // namespace gradus

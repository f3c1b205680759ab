// Over 350 lines: the scenes, a function each, and the table of draws that they share.
#include "rl/step_scenes.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/step/math.h"
#include "models/text/utf8.h"
#include "rl/methods/clip.h"

namespace gradus {
namespace {

using Cell = TraceTable::Cell;

constexpr size_t kMostTexts = 30;   // of a world that is listed
constexpr size_t kMostUpdates = 8;  // that are told; of more, the first half and the last half of so many

std::string quoted(const std::string& plain) { return "“" + valid_utf8(plain) + "”"; }

std::vector<double> exponentials(const std::vector<double>& x) {
  std::vector<double> y(x.size());
  std::ranges::transform(x, y.begin(), [](double v) { return std::exp(v); });
  return y;
}
std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> d(a);
  for (size_t i = 0; i < d.size(); ++i) d[i] -= b[i];
  return d;
}
std::vector<double> scaled(std::vector<double> x, double factor) {
  for (double& v : x) v *= factor;
  return x;
}

// A table with a row for each draw of a batch: the number of its text, its token, and columns of arrays [B,T].
class DrawTable {
 public:
  // `numbers`: of the texts within the whole batch; empty: in order.
  DrawTable(const Experience& e, const Tokenizer& tokenizer, std::span<const int64_t> numbers = {}) {
    table_.columns = {"text", "token"};
    table_.grouped = true;
    for (int64_t b = 0; b < e.batch.B; ++b)
      for (int64_t t = e.batch.first_slot(b); t < e.batch.end_slot(b); ++t) {
        const size_t slot = size_t(b * e.batch.T + t);
        slots_.push_back(slot);
        table_.rows.push_back({std::to_string(numbers.empty() ? b + 1 : numbers[size_t(b)] + 1),
                               valid_utf8(tokenizer.token(e.batch.targets[slot]))});
      }
  }
  // Nothing where x is empty.
  DrawTable& add(const std::string& title, const std::vector<double>& x, bool tinted = false) {
    if (x.empty()) return *this;
    return add(
        title, [&](size_t slot) { return Cell(x[slot]); }, tinted);
  }
  DrawTable& add(const std::string& title, const std::function<Cell(size_t slot)>& cell, bool tinted = false) {
    if (tinted) table_.tinted.push_back(int(table_.columns.size()));
    table_.columns.push_back(title);
    for (size_t r = 0; r < slots_.size(); ++r) table_.rows[r].push_back(cell(slots_[r]));
    return *this;
  }
  TraceTable take() { return std::move(table_); }

 private:
  TraceTable table_;
  std::vector<size_t> slots_;
};

class Teller {
 public:
  Teller(const StepRecord& record, const StepContext& context) : r_(record), c_(context), e_(record.batch) {}

  TraceScene texts() const;
  TraceScene draws() const;
  TraceScene payment() const;
  std::vector<double> next_values() const;
  std::vector<double> errors_of_values(std::span<const double> next) const;
  TraceScene advantage() const;
  TraceScene weights(size_t u) const;
  TraceScene critic(size_t u) const;
  TraceScene result() const;
  TraceScene all_texts() const;
  TraceTable answers() const;

 private:
  std::string of_update(size_t u, const std::string& title) const;
  bool acts() const { return c_.method.acting() != nullptr; }
  bool has_advantage() const { return !e_.credit.empty() && !e_.advantage.empty(); }
  std::string aim() const;
  size_t largest(const std::vector<double>& x) const;
  std::string draw_at(size_t slot) const;
  std::string exactly(const KnownPolicy& known) const;

  const StepRecord& r_;
  const StepContext& c_;
  const Experience& e_;
};

std::string Teller::aim() const {
  if (acts())
    return text("The logits are action values Q, which learn what a text will still be paid by ", c_.aim, ".");
  if (c_.method.has_target())
    return text("The policy π is to come near to the target p that the prior q and ", c_.aim,
                " make, β = ", brief(r_.kl_coef), ".");
  return text("J = E[r] − β KL(π‖q)", c_.options.entropy_coef > 0 ? " + α H(π)" : "", " is to rise: r is ", c_.aim,
              ", q the prior, β = ", brief(r_.kl_coef),
              c_.options.entropy_coef > 0 ? text(", α = ", brief(c_.options.entropy_coef)) : "", ".");
}

std::string Teller::exactly(const KnownPolicy& known) const {
  const Objective& at = known.truth.at;
  if (acts()) return text("E[r] = ", brief(at.reward), " of the greedy policy");
  return text("J = ", brief(at.objective), ", E[r] = ", brief(at.reward), ", KL(π‖q) = ", brief(at.kl));
}

// The slot of the draw of which x [B,T] is largest, and how a person finds it.
size_t Teller::largest(const std::vector<double>& x) const {
  size_t most = size_t(e_.batch.first_slot(0));
  for (int64_t b = 0; b < e_.size(); ++b)
    for (int64_t t = e_.batch.first_slot(b); t < e_.batch.end_slot(b); ++t)
      if (const size_t i = size_t(b * e_.batch.T + t); std::fabs(x[i]) > std::fabs(x[most])) most = i;
  return most;
}
std::string Teller::draw_at(size_t slot) const {
  const int64_t b = int64_t(slot) / e_.batch.T;
  return text("draw ", int64_t(slot) - b * e_.batch.T - e_.batch.first_slot(b) + 1, " of text ", b + 1);
}

TraceScene Teller::texts() const {
  TraceScene scene{.title = text("Step ", r_.step, " draws ", e_.size(), e_.size() == 1 ? " text" : " texts")};
  scene.lines = {aim(), c_.method.behaviour()
                            ? "Another policy μ draws the texts, token by token."
                            : "The policy draws the texts, token by token, and each gets its reward."};
  if (c_.before)
    scene.lines.push_back(text("Over all texts, exactly, before the step: ", exactly(*c_.before), ". The most is ",
                               brief(c_.before->truth.j_star), "."));
  const std::vector<double> reward = sum_over_draws(e_.batch, e_.reward), pi = sum_over_draws(e_.batch, e_.log_pi),
                            q = sum_over_draws(e_.batch, e_.log_q);
  const bool prompts = c_.prompts.size() > 1 || (c_.prompts.size() == 1 && !c_.prompts[0].empty());
  TraceTable table;
  table.columns = {"text", "drawn", "draws", "reward"};
  table.tinted = {3};
  if (!acts()) table.columns.insert(table.columns.end(), {"log π", "log q"});
  if (prompts) table.columns.emplace_back("prompt");
  for (int64_t b = 0; b < e_.size(); ++b) {
    const bool cut = e_.sequences.end_id() >= 0 && !e_.sequences.ended(b);
    table.rows.push_back({std::to_string(b + 1),
                          quoted(c_.tokenizer.decode(e_.sequences.text(b))) + (cut ? " (cut)" : ""),
                          double(e_.batch.length[size_t(b)]), reward[size_t(b)]});
    if (!acts()) table.rows.back().insert(table.rows.back().end(), {pi[size_t(b)], q[size_t(b)]});
    if (prompts) table.rows.back().emplace_back(quoted(c_.prompts.at(size_t(e_.group[size_t(b)]))));
  }
  scene.tables.push_back(std::move(table));
  return scene;
}

TraceScene Teller::draws() const {
  TraceScene scene{.title = "The tokens and their probabilities"};
  DrawTable table(e_, c_.tokenizer);
  if (acts()) {
    scene.lines = {"μ is the policy that explores: it draws each token with this probability."};
    scene.tables.push_back(table.add("μ", exponentials(e_.log_mu)).take());
    return scene;
  }
  scene.lines = {"π is the policy, q the prior: each says how likely the token is after what stands before it."};
  table.add("π", exponentials(e_.log_pi)).add("q", exponentials(e_.log_q));
  if (e_.log_mu != e_.log_pi) table.add("μ", exponentials(e_.log_mu));
  table.add("log π", e_.log_pi).add("log q", e_.log_q).add("log π/q", difference(e_.log_pi, e_.log_q), true);
  scene.tables.push_back(table.take());
  return scene;
}

TraceScene Teller::payment() const {
  TraceScene scene{.title = "The reward, and the KL in it"};
  DrawTable table(e_, c_.tokenizer);
  table.add("r", e_.reward);
  if (e_.credit.empty()) {
    scene.title = "The reward";
    scene.tables.push_back(table.take());
    return scene;
  }
  const double beta = r_.kl_coef;
  const std::vector<double> log_ratio = difference(e_.log_pi, e_.log_q);
  scene.formulas = {c_.method.math().credit};
  const double alpha = c_.options.entropy_coef;
  const bool full = !e_.row_kl.empty();
  scene.title = beta > 0    ? "The reward, and the KL in it"
                : alpha > 0 ? "The reward, and the entropy in it"
                            : "The reward";
  std::string credit = "c is what a draw is credited with: its reward";
  if (beta > 0 && !full) credit += ", less β times what it adds to the KL";
  if (alpha > 0) credit += ", and α times its surprise";
  if (beta > 0 && full) credit += ", less β γ times the KL of the next row; that of its own row is differentiated";
  scene.lines = {credit + "."};
  if (full)
    table.add("KL of the row", e_.row_kl);
  else if (beta > 0)
    table.add("log π/q", log_ratio).add("−β log π/q", scaled(log_ratio, -beta), true);
  if (c_.options.entropy_coef > 0) table.add("−α log π", scaled(e_.log_pi, -c_.options.entropy_coef), true);
  scene.tables.push_back(table.add("c", e_.credit, true).take());
  if (e_.row_kl.empty() && beta > 0 && c_.options.entropy_coef == 0) {
    const size_t i = largest(log_ratio);
    scene.worked = {text(draw_at(i), ": c = ", brief(e_.reward[i]), " − ", brief(beta), "·", factor_text(log_ratio[i]),
                         " = ", brief(e_.credit[i]))};
  }
  return scene;
}

// V behind each draw, [B,T]: 0 after the last.
std::vector<double> Teller::next_values() const {
  std::vector<double> next(e_.value.size(), 0.0);
  for (int64_t b = 0; b < e_.size(); ++b)
    for (int64_t t = e_.batch.first_slot(b); t + 1 < e_.batch.end_slot(b); ++t)
      next[size_t(b * e_.batch.T + t)] = e_.value[size_t(b * e_.batch.T + t + 1)];
  return next;
}

// δ = c + γ V' − V, [B,T]
std::vector<double> Teller::errors_of_values(std::span<const double> next) const {
  std::vector<double> delta = e_.credit;
  for (size_t i = 0; i < delta.size(); ++i) delta[i] += c_.options.gamma * next[i] - e_.value[i];
  return delta;
}

TraceScene Teller::advantage() const {
  const bool has_critic = !e_.value.empty();
  TraceScene scene{.title = has_critic ? "The critic, returns and advantages" : "Returns, baseline and advantages"};
  const MethodMath math = c_.method.math();
  scene.formulas = {math.returns, math.advantage};
  DrawTable table(e_, c_.tokenizer);
  table.add("c", e_.credit).add("R", e_.returns).add(has_critic ? "V" : "b", e_.baseline);
  if (has_critic) {
    const std::vector<double> next = next_values(), delta = errors_of_values(next);
    scene.tables.push_back(table.add("δ", delta).add("A", e_.advantage, true).take());
    const size_t i = largest(next);
    scene.worked = {text(draw_at(i), ": δ = ", brief(e_.credit[i]), " + ", brief(c_.options.gamma), "·",
                         factor_text(next[i]), " − ", factor_text(e_.value[i]), " = ", brief(delta[i]))};
    return scene;
  }
  scene.tables.push_back(table.add("A", e_.advantage, true).take());
  const size_t i = largest(e_.advantage);
  const double b = e_.baseline[i], of_return = e_.returns[i] - b;
  scene.worked = {text(draw_at(i), ": R − b = ", brief(e_.returns[i]), " − ", factor_text(b), " = ", brief(of_return))};
  if (std::fabs(e_.advantage[i] - of_return) > 1e-9) scene.worked[0] += text(", A = ", brief(e_.advantage[i]));
  return scene;
}

std::string Teller::of_update(size_t u, const std::string& title) const {
  const size_t n = r_.updates.size();
  return n == 1 ? "The " + title : text("Update ", u + 1, " of ", n, ": the ", title);
}

TraceScene Teller::weights(size_t u) const {
  const UpdateRecord& update = r_.updates[u];
  const Experience mini = minibatch_of(r_, update);
  const Weights& w = update.weights;
  const bool on_logit = !w.logit.empty(),
             reweighed = std::ranges::any_of(w.importance, [](double ratio) { return ratio != 1; });
  const MethodMath math = c_.method.math();
  TraceScene scene{.title = of_update(u, "weight of each token, and the loss")};
  scene.formulas = {
      u > 0 && !math.later.empty() ? math.later : math.weight,
      text("L = −1/", mini.size(), " Σ ", reweighed ? "π/μ " : "", on_logit ? "wₜ zₜ" : "wₜ log πₜ",
           w.kl.empty() ? "" : " + w KLₜ", " = ", brief(loss_of(update, mini.batch)), ", where w is held constant")};
  if (w.clipped) {
    double objective = 0;
    for (size_t i = 0; i < w.ratio.size(); ++i)
      objective += clipped_objective(w.ratio[i], mini.advantage[i], c_.options.clip_ratio);
    scene.formulas.push_back(text("objective = 1/", mini.size(), " Σ min(ρₜ Aₜ, clip(ρₜ, 1 − ε, 1 + ε) Aₜ) = ",
                                  brief(objective / double(mini.size())), "; its gradient is that of −L"));
    scene.lines.push_back(text("The clip holds ", *w.clipped, " of ",
                               std::accumulate(mini.batch.length.begin(), mini.batch.length.end(), int64_t{0}),
                               " draws, ε = ", brief(c_.options.clip_ratio), "."));
  }
  if (reweighed) scene.lines.push_back("Each text counts π/μ times, for it was drawn from another policy μ.");
  if (update.policy && u + 1 < r_.updates.size())
    scene.lines.push_back(text("The gradient has the norm ", brief(gradient_norm(update.policy->gradient)),
                               "; the update goes as that of the last, which is shown in full."));
  DrawTable table(mini, c_.tokenizer, update.rows);
  if (!w.ratio.empty())
    table.add("ρ", w.ratio).add("A", mini.advantage).add("clip", [&](size_t i) {
      return Cell(w.log_pi[i] == 0 && mini.advantage[i] != 0 ? "held" : "·");
    });
  if (reweighed) table.add("π/μ of text", on_every_draw(mini.batch, w.importance));
  if (!mini.log_target.empty()) table.add("log p of text", on_every_draw(mini.batch, mini.log_target));
  if (on_logit && !update.now.largest.empty())
    table.add("r", mini.reward).add("max Q′ next", [&](size_t i) {
      const int64_t T = mini.batch.T, b = int64_t(i) / T;
      return Cell(int64_t(i) + 1 < b * T + mini.batch.end_slot(b) ? update.now.largest[i + 1] : 0.0);
    });
  if (on_logit)
    table.add(acts() ? "Q" : "z", update.now.logit).add("w", w.logit, true).add("∂L/∂z", update.descent.logit);
  else
    table.add("log π", update.now.log_pi).add("w", w.log_pi, true).add("∂L/∂log π", update.descent.log_pi);
  table.add("w of row KL", w.kl, true).add("w of H", w.entropy, true);
  scene.tables.push_back(table.take());
  return scene;
}

TraceScene Teller::critic(size_t u) const {
  const UpdateRecord& update = r_.updates[u];
  const Experience mini = minibatch_of(r_, update);
  TraceScene scene{.title = of_update(u, "critic")};
  const std::vector<double>& error = update.weights.value;
  double squares = 0, draws = 0;
  const std::vector<double>& ratio = update.weights.importance;  // of each text
  const bool reweighed = std::ranges::any_of(ratio, [](double r) { return r != 1; });
  for (int64_t b = 0; b < mini.size(); ++b)
    for (int64_t t = mini.batch.first_slot(b); t < mini.batch.end_slot(b); ++t, ++draws) {
      const double e = error[size_t(b * mini.batch.T + t)];
      squares += (ratio.empty() ? 1 : ratio[size_t(b)]) * e * e;
    }
  scene.formulas = {text("½ mean of ", reweighed ? "π/μ " : "", "(Rₜ − Vₜ)² = ", brief(squares / draws / 2))};
  scene.lines = {"The critic V descends its distance to the returns R, with an optimiser of its own."};
  DrawTable table(mini, c_.tokenizer, update.rows);
  if (reweighed) table.add("π/μ of text", on_every_draw(mini.batch, ratio));
  scene.tables.push_back(table.add("R", mini.returns)
                             .add("V", update.now.value)
                             .add("R − V", error, true)
                             .add("∂/∂V", update.descent.value)
                             .take());
  return scene;
}

TraceScene Teller::result() const {
  TraceScene scene{.title = "The policy before and after the step"};
  const OptimiserInput& last = *r_.updates.back().policy;
  const double norm = gradient_norm(last.gradient);
  scene.lines = {text("The gradient had the norm ", brief(norm),
                      last.factor != 1 ? text(", clipped to ", brief(norm * last.factor)) : "",
                      "; the learning rate is ", brief(last.lr), ".")};
  DrawTable table(e_, c_.tokenizer);
  if (acts()) {
    const std::vector<double>& before = r_.updates.front().now.logit;
    if (r_.updates.front().rows.empty())
      table.add("Q before", before)
          .add("Q after", r_.after.logit)
          .add("change", difference(r_.after.logit, before), true);
    else
      table.add("Q after", r_.after.logit);
  } else {
    const std::vector<double> before = exponentials(e_.log_pi), after = exponentials(r_.after.log_pi);
    table.add("A", has_advantage() ? e_.advantage : std::vector<double>()).add("q", exponentials(e_.log_q));
    table.add("π before", before).add("π after", after).add("change", difference(after, before), true);
  }
  if (!e_.value.empty()) table.add("V before", e_.value).add("V after", r_.after.value);
  scene.tables.push_back(table.take());
  return scene;
}

TraceScene Teller::all_texts() const {
  const KnownWorlds::Known &before = c_.before->world, &after = c_.after->world;
  TraceScene scene{.title = "All texts of this world, exactly, before and after the step"};
  const bool has_best = !after.log_posterior.empty() && !acts();
  const bool same = before.sequences == after.sequences;
  std::vector<size_t> order(size_t(after.sequences.size()));
  std::iota(order.begin(), order.end(), size_t{0});
  const std::vector<double>& by = has_best ? after.log_posterior : after.log_pi;
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return by[a] > by[b]; });
  TraceTable table;
  if (order.size() > kMostTexts) table.title = text("The ", kMostTexts, " likeliest of ", order.size(), " texts");
  order.resize(std::min(order.size(), kMostTexts));
  table.columns = {"text", "reward", "q"};
  if (same) table.columns.emplace_back("π before");
  table.columns.emplace_back("π after");
  if (same) table.tinted = {int(table.columns.size())}, table.columns.emplace_back("change");
  if (has_best) table.columns.emplace_back("π*");
  for (const size_t i : order) {
    std::vector<Cell> row{quoted(c_.tokenizer.decode(after.sequences.text(int64_t(i)))), after.reward[i],
                          std::exp(after.log_q[i])};
    const double pi = std::exp(after.log_pi[i]);
    if (same) row.emplace_back(std::exp(before.log_pi[i]));
    row.emplace_back(pi);
    if (same) row.emplace_back(pi - std::exp(before.log_pi[i]));
    if (has_best) row.emplace_back(std::exp(after.log_posterior[i]));
    table.rows.push_back(std::move(row));
  }
  if (has_best)
    scene.lines = {text("π*", c_.options.entropy_coef == 0 ? " = q e^{r/β} / Z" : "", " is the best policy: its J is ",
                        brief(c_.after->truth.j_star), ".")};
  if (c_.prompts.size() > 1) scene.lines.push_back(text("Texts behind the first prompt, ", quoted(c_.prompts[0]), "."));
  scene.tables = {answers(), std::move(table)};
  return scene;
}

// J and its parts before and after.
TraceTable Teller::answers() const {
  const Objective &before = c_.before->truth.at, &after = c_.after->truth.at;
  TraceTable table;
  table.columns = {"", "E[r]"};
  table.rows = {{"before", before.reward}, {"after", after.reward}, {"change", after.reward - before.reward}};
  if (acts()) return table;
  table.columns.insert(table.columns.begin() + 1, "J");
  table.columns.insert(table.columns.end(), {"KL(π‖q)", "H(π)"});
  const double change = after.objective - before.objective;
  const double J[] = {before.objective, after.objective, change}, kl[] = {before.kl, after.kl, after.kl - before.kl},
               H[] = {before.entropy, after.entropy, after.entropy - before.entropy};
  for (size_t i = 0; i < 3; ++i) {
    table.rows[i].insert(table.rows[i].begin() + 1, J[i]);
    table.rows[i].insert(table.rows[i].end(), {kl[i], H[i]});
  }
  return table;
}

}  // namespace

Experience minibatch_of(const StepRecord& record, const UpdateRecord& update) {
  return update.rows.empty() ? record.batch : rows_of(record.batch, update.rows);
}

std::vector<TraceScene> opening_scenes(const StepRecord& record, const StepContext& context) {
  const Teller teller(record, context);
  std::vector<TraceScene> scenes{teller.texts(), teller.draws(), teller.payment()};
  if (!record.batch.credit.empty()) scenes.push_back(teller.advantage());
  const size_t n = record.updates.size();
  for (size_t u = 0; u < n; ++u)
    if (n <= kMostUpdates || u < kMostUpdates / 2 || u + kMostUpdates / 2 >= n) {
      scenes.push_back(teller.weights(u));
      if (!record.updates[u].weights.value.empty()) scenes.push_back(teller.critic(u));
    }
  return scenes;
}

std::vector<TraceScene> closing_scenes(const StepRecord& record, const StepContext& context) {
  const Teller teller(record, context);
  std::vector<TraceScene> scenes{teller.result()};
  if (context.before && context.after) scenes.push_back(teller.all_texts());
  return scenes;
}

}  // namespace gradus

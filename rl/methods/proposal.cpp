#include "rl/methods/proposal.h"

#include <algorithm>
#include <cmath>

#include "models/families.h"
#include "models/table.h"
#include "rl/tables/divergence.h"

namespace gradus {

namespace {

enum class Kind { kPolicy, kFixed, kAdaptive };
constexpr Named<Kind> kProposals[] = {
    {"policy", Kind::kPolicy}, {"fixed", Kind::kFixed}, {"adaptive", Kind::kAdaptive}};

}  // namespace

std::vector<std::string> Proposal::names() { return names_of(kProposals); }

Proposal::Proposal(const std::string& name, const MethodModels& models) : policy_(models.policy) {
  const Kind kind = row_named(kProposals, name, "proposal").value;
  if (kind == Kind::kPolicy) return;
  require(models.policy && models.prior, "Proposal", Loc::here(), "a proposal '", name, "' needs policy and prior");
  if (kind == Kind::kFixed) {
    fixed_ = models.prior;
  } else {
    own_ = clone(*policy_);
    better_ = clone(*policy_);
  }
}

void Proposal::consider(const Experience& e) {
  replace_ = false;
  if (!own_) return;
  const std::vector<double> pi = sum_over_draws(e.batch, e.log_pi), mu = sum_over_draws(e.batch, e.log_mu);
  std::vector<double> log_ratios(e.log_target);
  for (size_t b = 0; b < mu.size(); ++b) log_ratios[b] -= mu[b];
  const double top = std::ranges::max(log_ratios);
  if (!std::isfinite(top)) return;  // nothing that the target allows
  Sum weights, difference, squares;
  for (size_t b = 0; b < pi.size(); ++b) {
    const double w = std::exp(log_ratios[b] - top);
    if (w == 0) continue;
    weights += w;
    difference += w * (mu[b] - pi[b]);
  }
  const double mean = difference / weights;
  for (size_t b = 0; b < pi.size(); ++b) {
    const double w = std::exp(log_ratios[b] - top), off = w == 0 ? 0 : w * (mu[b] - pi[b] - mean);
    squares += off * off;
  }
  replace_ = mean < -kDoubt * std::sqrt(squares) / weights;
  if (replace_) better_->params().copy_from(policy_->params());
}

void Proposal::learn() {
  if (replace_) own_->params().copy_from(better_->params());
  replace_ = false;
}

Params* Proposal::params() { return own_ ? &own_->params() : nullptr; }

}  // namespace gradus

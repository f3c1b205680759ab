#include "models/posterior/variational.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "engine/rng.h"
#include "engine/target.h"
#include "models/families.h"

namespace gradus {

PosteriorKind variational_posterior() { return {.name = "variational", .title = "a variational guide"}; }

VariationalModel::VariationalModel(std::unique_ptr<LanguageModel> own, const PosteriorOptions& options)
    : PosteriorModel(std::move(own), options.draws), options_(options) {
  const Params& params = net().params();
  for (int64_t i = 0; i < params.count(); ++i)
    sites_.push_back(
        {.mean = params_.add(params.name(i) + ".mean", params.shape(i), Init::constant(0)),
         .log_deviation = params_.add(params.name(i) + ".log_deviation", params.shape(i),
                                      Init::constant(std::log(std::min(0.05, options.prior_scale / 20))))});
  net().params().freeze("");
}

void VariationalModel::initialise() {
  LanguageModel::initialise();
  net().initialise();
  for (size_t i = 0; i < sites_.size(); ++i)
    std::ranges::copy(net().params().values(int64_t(i)), params_.edit(sites_[i].mean).begin());
}

void VariationalModel::learn_from(int64_t targets, double sequences) {
  targets_ = targets;
  sequences_ = sequences;
  if (net().params().size() == 0)
    net().params().allocate();  // of a model that was loaded: what is bound takes their place
}

Tensor VariationalModel::kl_of(const Site& site) const {
  const double s = options_.prior_scale, n = double(site.mean.numel());
  const Tensor variances = sum(exp(scale(site.log_deviation, 2)));
  const Tensor squares = sum(mul(site.mean, site.mean));
  const Tensor spread = scale(add(variances, squares), 1 / (2 * s * s));
  return add(sub(spread, sum(site.log_deviation)), constant({}, n * (std::log(s) - 0.5)));
}

Tensor VariationalModel::losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                                int64_t T) const {
  Tape& tape = Tape::current(Loc::here());
  if (!tape.info().training) return PosteriorModel::losses(tokens, targets, B, T);
  require(targets_ > 0 || tape.measures(), "losses", Loc::here(), "learn_from() has not said how long the text is");
  const Rng rng(tape.info().seed, Stream::kPosterior, tape.info().step);
  Tensor kl = constant({}, 0);
  for (size_t i = 0; i < sites_.size(); ++i) {
    const Site& site = sites_[i];
    const Tensor noise = constant(site.mean.shape(), 0);
    const Rng of_site = rng.at(0, int64_t(i));
    if (!tape.measures())
      for (int64_t j = 0; j < noise.numel(); ++j) Tensor(noise).edit()[size_t(j)] = real(of_site.normal(j));
    const Tensor drawn = add(site.mean, mul(exp(site.log_deviation), noise));
    kl = add(kl, kl_of(site));
    tape.bind(net().params().tensor(int64_t(i)), drawn);
  }
  const Tensor of_data = net().losses(tokens, targets, B, T);
  const Tensor shares = constant({B * T, 1}, 0);  // of KL, for each target
  for (int64_t b = 0; b < B && !tape.measures(); ++b) {
    const auto own = targets.subspan(size_t(b * T), size_t(T));
    const double each = 1 / (sequences_ * double(T - std::ranges::count(own, kNoTarget)));
    for (int64_t t = 0; t < T; ++t)
      if (own[size_t(t)] != kNoTarget) Tensor(shares).edit()[size_t(b * T + t)] = real(each);
  }
  return named("−log p + KL/S", add(of_data, matmul(shares, kl.reshape({1, 1})).reshape({B * T})));
}

double VariationalModel::kl() const {
  double total = 0;
  const double s = options_.prior_scale;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const auto mean = sites_[i].mean.span(), log_deviation = sites_[i].log_deviation.span();
    for (size_t j = 0; j < mean.size(); ++j) {
      const double mu = double(mean[j]), rho = double(log_deviation[j]);
      total += std::log(s) - rho + (std::exp(2 * rho) + mu * mu) / (2 * s * s) - 0.5;
    }
  }
  return total;
}

void VariationalModel::moments(std::span<double> mean, std::span<double> deviation) const {
  size_t at = 0;
  for (const Site& site : sites_)
    for (size_t j = 0; j < size_t(site.mean.numel()); ++j, ++at) {
      mean[at] = double(site.mean.span()[j]);
      deviation[at] = std::exp(double(site.log_deviation.span()[j]));
    }
}

void VariationalModel::write_draw(int64_t k, std::span<real> numbers) const {
  const Rng rng(uint64_t(options().seed), Stream::kPosterior, 0);
  size_t at = 0;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const Rng of_site = rng.at(k + 1, int64_t(i));
    const auto mean = sites_[i].mean.span(), log_deviation = sites_[i].log_deviation.span();
    for (size_t j = 0; j < mean.size(); ++j, ++at)
      numbers[at] = real(double(mean[j]) + std::exp(double(log_deviation[j])) * of_site.normal(int64_t(j)));
  }
}

std::unique_ptr<LanguageModel> VariationalModel::copy() const {
  const std::span<const double> counts = net().counts();
  auto own = declare_model(options(), vocabulary(), {counts.begin(), counts.end()});
  auto twin = std::make_unique<VariationalModel>(std::move(own), options_);
  twin->params().init(0);
  twin->params().copy_from(params_);
  twin->learn_from(targets_, sequences_);
  return twin;
}

}  // namespace gradus

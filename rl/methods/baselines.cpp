#include "rl/methods/baselines.h"

#include "models/table.h"
#include "rl/tables/estimators.h"

namespace gradus {
namespace {

// The mean weighted return of the others.
std::vector<double> leave_one_out(const BaselineInput& input) {
  std::vector<double> weighted(input.whole.begin(), input.whole.end());
  for (size_t b = 0; b < weighted.size(); ++b) weighted[b] *= input.importance[b];
  return on_every_draw(input.e.batch, leave_one_out_means(weighted, input.e.group));
}
std::vector<double> none(const BaselineInput& input) { return std::vector<double>(input.e.reward.size(), 0.0); }
std::vector<double> moving(const BaselineInput& input) {
  return on_every_draw(input.e.batch, std::vector<double>(size_t(input.e.size()), input.moving));
}
std::vector<double> value(const BaselineInput& input) { return input.e.value; }

constexpr Baseline kBaselines[] = {
    {.name = "leave-one-out",
     .help = "the mean return of the other sequences with its prompt; unbiased",
     .least_batch = 2,
     .make = leave_one_out},
    {.name = "none", .help = "nothing", .make = none},
    {.name = "moving", .help = "a mean of the returns of earlier batches", .remembers = true, .make = moving},
    {.name = "value",
     .help = "the value network's prediction from the tokens before the draw",
     .needs_value = true,
     .make = value},
};

}  // namespace

const Baseline& baseline_named(const std::string& name) { return row_named(kBaselines, name, "baseline"); }
std::vector<std::string> baseline_names() { return names_of(kBaselines); }
std::vector<std::string> baselines_with_value() {
  std::vector<std::string> names;
  for (const Baseline& row : kBaselines)
    if (row.needs_value) names.push_back(row.name);
  return names;
}
std::vector<std::string> baselines_of_one_batch() {
  std::vector<std::string> names;
  for (const Baseline& row : kBaselines)
    if (!row.needs_value && !row.remembers) names.push_back(row.name);
  return names;
}

}  // namespace gradus

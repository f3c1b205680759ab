#include "apps/look/insight.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"
#include "engine/ops_inside.h"
#include "models/adapter.h"

namespace gradus {
namespace {

// The model in fused ops, which keep what is looked at; it is the same function.
std::unique_ptr<LanguageModel> fused_twin(const LanguageModel& model) {
  ModelOptions options = model.options();
  options.ops = kOps[size_t(Ops::kFused)].name;
  return clone_with(model, options);
}

// All parts of a pass over the inputs, with their numbers for the whole of it. A family without attention and gates has
// the features of each token, unless it only counts.
struct Pass {
  std::vector<Part> parts;
  std::vector<std::vector<double>> numbers;  // [T,T] of weights, else [T,units]
};
Pass pass_over(const LanguageModel& model, std::span<const int32_t> inputs) {
  const int64_t T = int64_t(inputs.size());
  Pass pass;
  if (!model.token_vectors()) return pass;
  Tape tape;
  const Tape::Use use(tape);
  const Tensor features = model.features(inputs, 1, T);
  int64_t layer = 0;
  for (const Op& op : tape.ops()) {
    std::vector<Inside> found = inside(op);
    for (Inside& part : found) {
      pass.parts.push_back({layer, part.name, part.weights, part.weights ? 0 : part.columns});
      pass.numbers.push_back(std::move(part.numbers));
    }
    layer += !found.empty();
  }
  if (pass.parts.empty()) {
    pass.parts.push_back({0, "features", false, model.width()});
    pass.numbers.emplace_back(features.span().begin(), features.span().end());
  }
  return pass;
}

// The place of each input in the window that its prediction is made from: a full window drops its older half.
class Windows {
 public:
  explicit Windows(const LanguageModel& model, bool windowed)
      : context_(windowed ? model.options().context : INT64_MAX), fresh_(context_ - (windowed ? context_ / 2 : 0)) {}
  int64_t first(int64_t at) const { return at < context_ ? 0 : ((at - context_) / fresh_ + 1) * fresh_; }
  int64_t end(int64_t first, int64_t inputs) const { return context_ > inputs - first ? inputs : first + context_; }

 private:
  int64_t context_, fresh_;
};

// Probabilities at every place of a sequence, token by token.
void predict(const LanguageModel& model, std::span<const int32_t> inputs, std::span<Place> places) {
  std::vector<double> log_p(size_t(model.vocabulary()));
  Tape tape;
  const Tape::Use use(tape);
  State state = model.start(1);
  const LongLoop loop("reading tokens", int64_t(places.size()));
  for (size_t t = 0; t < places.size(); ++t) {
    loop.at(int64_t(t));
    const Tape::Mark mark(tape);
    log_distribution(model.next(state, inputs.subspan(t, 1)).span(), 1, log_p);
    require_numbers(log_p);
    Place& place = places[t];
    place.log_prob = log_p[size_t(place.token)];
    place.rank = 1 + std::count_if(log_p.begin(), log_p.end(), [&](double x) { return x > place.log_prob; });
    place.likeliest.resize(size_t(std::min(kLikeliest, model.vocabulary())));
    find_likeliest(log_p, place.likeliest);
  }
}

// The numbers of every part at every place of a sequence, one pass for each window.
void look_inside(const LanguageModel& model, const Windows& windows, std::span<const int32_t> inputs,
                 std::span<Place> places) {
  for (size_t t = 0; t < places.size();) {
    const int64_t first = places[t].first, end = windows.end(first, int64_t(inputs.size())), T = end - first;
    const Pass pass = pass_over(model, inputs.subspan(size_t(first), size_t(T)));
    for (; t < places.size() && places[t].first == first; ++t)
      for (size_t k = 0; k < pass.parts.size(); ++k) {
        const int64_t row = int64_t(t) - first, width = pass.parts[k].weights ? T : pass.parts[k].units;
        const double* numbers = pass.numbers[k].data() + row * width;
        places[t].parts.emplace_back(numbers, numbers + (pass.parts[k].weights ? row + 1 : width));
      }
  }
}

void draw_vectors(const Checkpoint& run, Insight& insight) {
  const Tensor vectors = run.model->token_vectors();
  if (!vectors) return;
  std::vector<char> taken(size_t(run.tokenizer.size()), 0);
  const auto take = [&](int32_t token) {
    if (int64_t(insight.named.size()) == kMostNamed || taken[size_t(token)]++) return;
    insight.named.push_back(token);
  };
  for (const Place& place : insight.places) take(place.token);
  for (int32_t token = 0; token < run.tokenizer.size(); ++token) take(token);
  const int64_t E = vectors.dim(1);
  std::vector<double> rows;
  for (const int32_t token : insight.named) {
    const real* row = vectors.data() + token * E;
    rows.insert(rows.end(), row, row + E);
  }
  insight.plane = principal_plane(rows, int64_t(insight.named.size()), E);
}

}  // namespace

double Insight::nats() const {
  double sum = 0;
  for (const Place& place : places) sum -= place.log_prob;
  return sum / double(places.size());
}

Insight look_into(const Checkpoint& run, const std::vector<std::vector<int32_t>>& sequences) {
  const bool is_fused = &run.model->rung() == &fused_rung();
  const std::unique_ptr<LanguageModel> twin = is_fused ? nullptr : fused_twin(*run.model);
  const LanguageModel& model = twin ? *twin : *run.model;
  const Windows windows(model, run.config.family().windowed);

  Insight insight;
  insight.parts = pass_over(model, {&run.start_id, 1}).parts;
  int64_t heads = 0, units = 0, numbers = 0;
  for (const Part& part : insight.parts) (part.weights ? heads : units) += part.weights ? 1 : part.units;
  for (size_t s = 0; s < sequences.size(); ++s) {
    std::vector<int32_t> inputs{run.start_id};
    const size_t begin = insight.places.size();
    for (size_t t = 0; t < sequences[s].size(); ++t) {
      const int64_t at = int64_t(t), first = windows.first(at), more = heads * (at - first + 1) + units;
      const bool full = int64_t(insight.places.size()) == kMostPlaces || numbers + more > kMostPartNumbers;
      if (insight.left_out > 0 || (full && !insight.places.empty())) {
        ++insight.left_out;
        continue;
      }
      numbers += more;
      insight.places.push_back({.sequence = int64_t(s), .at = at, .first = first, .token = sequences[s][t]});
      if (t > 0) inputs.push_back(sequences[s][t - 1]);
    }
    const std::span<Place> here = std::span(insight.places).subspan(begin);
    if (here.empty()) continue;
    predict(*run.model, inputs, here);
    look_inside(model, windows, inputs, here);
    insight.inputs.push_back(std::move(inputs));
  }
  draw_vectors(run, insight);
  return insight;
}

Attended attended(const Insight& insight, size_t part) {
  Attended sum{};
  double n = 0;
  for (const Place& place : insight.places) {
    const std::vector<double>& w = place.parts[part];
    if (w.size() < 3) continue;
    sum.itself += w[w.size() - 1];
    sum.before += w[w.size() - 2];
    sum.first += w[0];
    ++n;
  }
  return {sum.itself / n, sum.before / n, sum.first / n};
}

}  // namespace gradus

#include "apps/look/text.h"

#include <algorithm>
#include <cmath>

#include "apps/candidates.h"
#include "apps/format.h"
#include "models/text/utf8.h"

namespace gradus {

double strength(double nats, int64_t vocabulary) {
  return std::clamp(nats / std::log(double(std::max<int64_t>(vocabulary, 2))), 0.0, 1.0);
}

std::string coloured_text(const Checkpoint& run, const Insight& insight, bool colour) {
  if (!colour) return "";
  // Of the 256 colours of a terminal, from the paper to a full orange.
  constexpr int kShades[] = {-1, 230, 223, 222, 215, 208, 202};
  std::string out;
  for (size_t i = 0; i < insight.places.size(); ++i) {
    const Place& place = insight.places[i];
    const bool is_end = place.token == run.tokenizer.end_id();
    if (place.at > 0 && !is_end) out += run.tokenizer.separator();
    const std::string shown = is_end ? "∎" : harmless(run.tokenizer.decode({&place.token, 1}));
    const int shade =
        kShades[std::lround(strength(-place.log_prob, run.model->vocabulary()) * double(std::size(kShades) - 1))];
    const bool line_ends = shown.ends_with('\n');
    const std::string body = line_ends ? shown.substr(0, shown.size() - 1) + "␊" : shown;
    out += shade < 0 ? body : text("\x1b[30;48;5;", shade, "m", body, "\x1b[0m");
    if (line_ends || (is_end && i + 1 < insight.places.size())) out += "\n";
  }
  return out + "\n\n";
}

std::string places_text(const Checkpoint& run, const Insight& insight) {
  const size_t columns = columns_of_tokens(run.tokenizer), begin = 5 + 1 + columns + 6 + 5 + 2;
  std::string out = "place " + to_columns("token", columns) + "  nats rank  likeliest, with their probabilities\n";
  for (size_t i = 0; i < insight.places.size(); ++i) {
    const Place& place = insight.places[i];
    out += right(grouped(int64_t(i) + 1), 5) + " " + to_columns(shown_token(run.tokenizer, place.token), columns) +
           right(fixed(-place.log_prob, 3), 6) + right(grouped(place.rank), 5) + "  " +
           candidates_text(run.tokenizer, place.likeliest, begin) + "\n";
  }
  return out;
}

std::string heads_text(const Insight& insight) {
  std::string out;
  for (size_t k = 0; k < insight.parts.size(); ++k) {
    if (!insight.parts[k].weights) continue;
    if (out.empty()) out = "attention      itself  the one before   the first   elsewhere\n";
    const auto [itself, before, first] = attended(insight, k);
    const auto percent = [](double x) { return std::isfinite(x) ? fixed(100 * x, 0) + "%" : std::string("–"); };
    out += left(text("layer ", insight.parts[k].layer, " ", insight.parts[k].name), 15) + right(percent(itself), 6) +
           right(percent(before), 16) + right(percent(first), 12) + right(percent(1 - itself - before - first), 12) +
           "\n";
  }
  return out;
}

std::string units_text(const Insight& insight) {
  std::string out;
  for (size_t k = 0; k < insight.parts.size(); ++k) {
    const Part& part = insight.parts[k];
    if (part.weights) continue;
    if (out.empty()) out = "units             mean   size  below 0.1  above 0.9\n";
    double sum = 0, size = 0, low = 0, high = 0, n = 0;
    for (const Place& place : insight.places)
      for (const double x : place.parts[k]) {
        sum += x;
        size += std::fabs(x);
        low += x < 0.1;
        high += x > 0.9;
        ++n;
      }
    const bool is_gate = part.name == "i" || part.name == "f" || part.name == "o";
    const auto share = [&](double count) { return is_gate ? fixed(100 * count / n, 0) + "%" : std::string("–"); };
    out += left(text("layer ", part.layer, " ", part.name), 15) + right(fixed(sum / n, 3), 7) +
           right(fixed(size / n, 3), 7) + right(share(low), 11) + right(share(high), 11) + "\n";
  }
  return out.empty() ? out : out + "Gates i, f and o are between 0, closed, and 1, open; size is the mean of |x|.\n";
}

}  // namespace gradus
